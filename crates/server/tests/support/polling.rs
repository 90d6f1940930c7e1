//! A session over long polling.

use std::collections::VecDeque;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::http::{self, Answer};
use super::{Person, World};

/// A session.
pub struct Polling {
    pub name: String,
    pub cursor: u64,
    address: SocketAddr,
    frames: VecDeque<Value>,
}

impl Polling {
    /// A session of a device's.
    pub async fn open(world: &World, who: &Person) -> Polling {
        let (polling, first) = Polling::begin(world, json!({"type": "hello", "token": who.token})).await;
        assert_eq!(first.len(), 1);
        assert_eq!((&first[0]["type"], &first[0]["user"]), (&json!("welcome"), &json!(who.user)));
        polling
    }

    /// A session with any first frame, and the frames that answer it.
    pub async fn begin(world: &World, frame: Value) -> (Polling, Vec<Value>) {
        let answer = world.call("POST", "/v1/sessions", None, Some(frame)).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let name = answer.json["session"].as_str().unwrap().to_owned();
        let cursor = answer.json["cursor"].as_u64().unwrap();
        let first = answer.json["frames"].as_array().unwrap().clone();
        (Polling { name, cursor, address: world.address, frames: VecDeque::new() }, first)
    }

    pub async fn post(&self, frames: Value) -> Answer {
        self.call("POST", &format!("/v1/sessions/{}/frames", self.name), Some(frames.to_string())).await
    }

    /// Posts frames that have to be taken.
    pub async fn send(&self, frames: Value) {
        let answer = self.post(frames).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
    }

    /// One poll with any cursor.
    pub async fn poll(&self, after: u64) -> Answer {
        self.call("GET", &format!("/v1/sessions/{}/frames?after={after}", self.name), None).await
    }

    /// The next frame, polled for as often as it takes, but for those that come of themselves.
    pub async fn text(&mut self) -> Value {
        loop {
            while let Some(frame) = self.frames.pop_front() {
                if frame["type"] != "presence" && frame["type"] != "account" {
                    return frame;
                }
            }
            let answer = self.poll(self.cursor).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            self.cursor = answer.json["cursor"].as_u64().unwrap();
            self.frames.extend(answer.json["frames"].as_array().unwrap().iter().cloned());
        }
    }

    /// The next frame, which has to be of this type.
    pub async fn expect(&mut self, kind: &str) -> Value {
        let frame = self.text().await;
        assert_eq!(frame["type"], kind, "{frame}");
        frame
    }

    /// Any request.
    pub async fn call(&self, method: &str, path: &str, body: Option<String>) -> Answer {
        http::call(self.address, method, path, None, body).await
    }
}
