//! Long-polling sessions, as single requests. [`crate::connection`] makes a connection of them.

use std::time::Duration;

use banter_protocol::api::{Poll, SessionOpened};
use banter_protocol::limits::{POLL_MS, SESSIONS_PATH};
use banter_protocol::{ClientFrame, ServerFrame};
use reqwest::Client;

use super::{answer, decode, encode};
use crate::Error;

/// A poll waits up to [`POLL_MS`]; this is that and some time for the way.
const POLL: Duration = Duration::from_millis(POLL_MS + 15_000);

/// Opens a session with a `hello` or `resume` frame.
pub(crate) async fn open(http: &Client, base: &str, first: &ClientFrame) -> Result<SessionOpened, Error> {
    let request = http.post(format!("{base}{SESSIONS_PATH}")).header("content-type", "application/json");
    decode(answer(request.body(encode(first)?)).await?).await
}

/// Waits for frames after `cursor`.
pub(crate) async fn poll(http: Client, base: String, session: String, cursor: u64) -> Result<Poll, Error> {
    let request = http.get(format!("{base}{SESSIONS_PATH}/{session}/frames?after={cursor}")).timeout(POLL);
    let mut answered: serde_json::Value = decode(answer(request).await?).await?;
    let frames = known_frames(answered["frames"].take());
    let cursor = answered["cursor"].as_u64().ok_or_else(|| Error::unexpected("a poll without a cursor"))?;
    Ok(Poll { frames, cursor })
}

/// Hands frames over, in order.
pub(crate) async fn post(http: Client, base: String, session: String, frames: Vec<ClientFrame>) -> Result<(), Error> {
    let request = http.post(format!("{base}{SESSIONS_PATH}/{session}/frames")).header("content-type", "application/json");
    answer(request.body(encode(&frames)?)).await.map(|_| ())
}

/// Ends a session.
pub(crate) async fn close(http: Client, base: String, session: String) -> Result<(), Error> {
    let request = http.delete(format!("{base}{SESSIONS_PATH}/{session}")).timeout(Duration::from_secs(3));
    answer(request).await.map(|_| ())
}

/// The frames of an array that this client knows. Others are of a newer server, and are passed over.
fn known_frames(array: serde_json::Value) -> Vec<ServerFrame> {
    let serde_json::Value::Array(frames) = array else { return Vec::new() };
    let known = |frame| serde_json::from_value(frame).inspect_err(|error| tracing::debug!(%error, "an unknown frame")).ok();
    frames.into_iter().filter_map(known).collect()
}
