//! A session over long polling: the same frames, in arrays.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use banter_model::limits::FRAME_BYTES;
use banter_protocol::limits::{POLL_FRAMES, POLL_MS};
use banter_protocol::{ErrorCode, ServerFrame, close_code};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{StatusCode, header};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use crate::api::errors::ApiError;
use crate::api::extract::read;
use crate::gateway::intake::Taken;
use crate::gateway::session::{End, MALFORMED_FRAMES, Session, TOO_MANY_MALFORMED, Transport};
use crate::gateway::{EncodedFrame, Gateway};

/// Most bytes in one post: the largest frame, and room for small ones.
const POST_BYTES: usize = 2 * FRAME_BYTES;
/// Most posts of a session at one time. A client sends one after the other; one whose answer was lost may be under way still.
const POSTS_AT_ONCE: usize = 4;
/// How often it is looked whether a session with too many unanswered commands may go on.
const UNANSWERED_PAUSE: Duration = Duration::from_millis(5);
/// The longest that a post waits for answers to earlier commands.
const UNANSWERED_TIME: Duration = Duration::from_secs(20);
/// Bytes of the secret name of a session.
const NAME_BYTES: usize = 16;

/// The polling sessions of this gateway, by their secret names.
#[derive(Default)]
pub struct Polls(Mutex<HashMap<String, Arc<PollSession>>>);

struct PollSession {
    session: Arc<Session>,
    /// Posts of one session are taken one after the other.
    posts: tokio::sync::Mutex<()>,
    /// Places for those that are taken or wait to be: each is in memory, and goes on when its client has hung up.
    places: Semaphore,
    /// The number of the latest poll: an earlier one that still waits gives way. A poll registers for waking while it holds this,
    /// and so never in place of a later one.
    latest: Mutex<u64>,
    /// How many frames of the session were malformed.
    malformed: AtomicU8,
    answered: Mutex<Answered>,
}

/// The last answer, kept until a poll with its cursor confirms it.
#[derive(Default)]
struct Answered {
    cursor: u64,
    frames: Vec<EncodedFrame>,
}

/// The query of a poll.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct After {
    after: u64,
}

impl Polls {
    fn get(&self, name: &str) -> Option<Arc<PollSession>> {
        self.0.lock().get(name).cloned()
    }

    fn remove(&self, name: &str) -> Option<Arc<PollSession>> {
        self.0.lock().remove(name)
    }

    /// Takes out the sessions for which `over` says so.
    pub fn take_out(&self, over: impl Fn(&Session) -> bool) -> Vec<Arc<Session>> {
        self.0.lock().extract_if(|_, poll| over(&poll.session)).map(|(_, poll)| poll.session.clone()).collect()
    }
}

/// `POST /v1/sessions`.
pub async fn open(State(gateway): State<Arc<Gateway>>, body: Body) -> Result<Response, ApiError> {
    let json = read(body, FRAME_BYTES).await?;
    let (session, waiting) = gateway.open(&json, Transport::Polling)?;
    let name = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; NAME_BYTES]>());
    let poll = Arc::new(PollSession {
        session: session.clone(),
        posts: tokio::sync::Mutex::default(),
        places: Semaphore::new(POSTS_AT_ONCE),
        latest: Mutex::default(),
        malformed: AtomicU8::new(0),
        answered: Mutex::default(),
    });
    gateway.polls.0.lock().insert(name.clone(), poll);
    if let Some(waiting) = waiting {
        waiting.await;
    }
    let (frames, _) = session.take(POLL_FRAMES);
    Ok(answer(StatusCode::CREATED, format!(r#"{{"session":"{name}","frames":{},"cursor":0}}"#, array(frames.iter()))))
}

/// `GET /v1/sessions/{session}/frames?after=<cursor>`.
pub async fn poll(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
    query: Result<Query<After>, QueryRejection>,
) -> Result<Response, ApiError> {
    let poll = gateway.polls.get(&name).ok_or_else(unknown_session)?;
    let Ok(Query(After { after })) = query else {
        return Err(ApiError::new(ErrorCode::InvalidParameter, "`after` is the cursor of the last answer".to_owned()));
    };
    let session = &poll.session;
    session.hear(gateway.seconds());
    let number = {
        let mut latest = poll.latest.lock();
        *latest += 1;
        session.wake();
        *latest
    };
    {
        let mut answered = poll.answered.lock();
        match answered.cursor.checked_sub(after) {
            Some(0) => answered.frames = Vec::new(),
            // The answer was lost on its way: the very same again.
            Some(1) => return Ok(answer(StatusCode::OK, body(&answered))),
            _ => {
                let message = format!("the cursor is {} or the one before it, not {after}", answered.cursor);
                return Err(ApiError::new(ErrorCode::InvalidParameter, message));
            }
        }
    }
    let superseded = || *poll.latest.lock() != number;
    let wait = poll_fn(|context| {
        let latest = poll.latest.lock();
        if *latest != number {
            return Poll::Ready(());
        }
        session.register(context.waker());
        if session.has_frames() { Poll::Ready(()) } else { Poll::Pending }
    });
    // Nothing in time is an answer too.
    let _ = tokio::time::timeout(Duration::from_millis(POLL_MS), wait).await;
    session.hear(gateway.seconds());
    let mut answered = poll.answered.lock();
    if superseded() {
        return Ok(answer(StatusCode::OK, format!(r#"{{"frames":[],"cursor":{after}}}"#)));
    }
    let (frames, end) = session.take(POLL_FRAMES);
    answered.frames = frames.into();
    if let Some(End { code, message }) = end {
        gateway.polls.remove(&name);
        gateway.forget(session);
        gateway.node.metrics.closed(code);
        answered.frames.push(EncodedFrame::new(&ServerFrame::Bye { code, message: message.to_owned() }));
    }
    if !answered.frames.is_empty() {
        answered.cursor += 1;
    }
    Ok(answer(StatusCode::OK, body(&answered)))
}

/// `POST /v1/sessions/{session}/frames`.
pub async fn post(State(gateway): State<Arc<Gateway>>, Path(name): Path<String>, body: Body) -> Result<Response, ApiError> {
    let poll = gateway.polls.get(&name).filter(|poll| !poll.session.has_ended()).ok_or_else(unknown_session)?;
    // Before anything of it is read.
    let Ok(_place) = poll.places.try_acquire() else {
        let message = format!("{POSTS_AT_ONCE} posts of this session are being taken: wait for their answers");
        return Err(ApiError::new(ErrorCode::Busy, message));
    };
    let json = read(body, POST_BYTES).await?;
    let frames: Vec<&RawValue> = serde_json::from_slice(&json)
        .map_err(|error| ApiError::new(ErrorCode::InvalidJson, format!("the body is an array of frames: {error}")))?;
    if frames.len() > POLL_FRAMES {
        return Err(ApiError::new(ErrorCode::TooLarge, format!("at most {POLL_FRAMES} frames in one post")));
    }
    let session = &poll.session;
    session.hear(gateway.seconds());
    let _in_order = poll.posts.lock().await;
    for frame in frames {
        let may_ask = async {
            while !session.may_ask() {
                tokio::time::sleep(UNANSWERED_PAUSE).await;
            }
        };
        if tokio::time::timeout(UNANSWERED_TIME, may_ask).await.is_err() {
            return Err(ApiError::new(ErrorCode::Busy, "too many commands of this session are unanswered".to_owned()));
        }
        match gateway.take(session, frame.get().as_bytes()) {
            Taken::Done => {}
            Taken::Waiting(waiting) => waiting.await,
            Taken::Malformed => {
                // Posts are taken one after the other.
                if poll.malformed.fetch_add(1, Ordering::Relaxed) >= MALFORMED_FRAMES {
                    session.end(TOO_MANY_MALFORMED);
                    break;
                }
            }
        }
    }
    Ok(answer(StatusCode::ACCEPTED, "{}".to_owned()))
}

/// `DELETE /v1/sessions/{session}`.
pub async fn close(State(gateway): State<Arc<Gateway>>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let poll = gateway.polls.remove(&name).ok_or_else(unknown_session)?;
    poll.session.end(End { code: close_code::NORMAL, message: "closed by the device" });
    gateway.forget(&poll.session);
    Ok(answer(StatusCode::NO_CONTENT, String::new()))
}

fn unknown_session() -> ApiError {
    ApiError::new(ErrorCode::UnknownSession, "there is no such session, or it has ended: open another")
}

fn body(answered: &Answered) -> String {
    format!(r#"{{"frames":{},"cursor":{}}}"#, array(answered.frames.iter()), answered.cursor)
}

fn array<'a>(frames: impl Iterator<Item = &'a EncodedFrame>) -> String {
    // Frames are JSON, which is UTF-8.
    let frames: Vec<_> = frames.map(|frame| String::from_utf8_lossy(frame.json())).collect();
    format!("[{}]", frames.join(","))
}

fn answer(status: StatusCode, json: String) -> Response {
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}
