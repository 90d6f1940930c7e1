//! A session over long polling: for where WebSocket does not get through.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use banter_model::limits::FRAME_BYTES;
use banter_protocol::limits::POLL_FRAMES;
use banter_protocol::{ClientFrame, ServerFrame, close_code};
use tokio::time::sleep;

use super::{Closed, OUTGOING};
use crate::Error;
use crate::api::session;

/// A request that fails is made again so often, with doubling pauses, before the session counts as broken. It stays within the
/// minute for which the server keeps a session that nobody polls.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(300);

type Request<T> = Option<Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>>;

/// See [`super::Connection`].
pub struct Polling {
    http: reqwest::Client,
    base: String,
    session: String,
    cursor: u64,
    incoming: VecDeque<ServerFrame>,
    outgoing: VecDeque<ClientFrame>,
    poll: Request<banter_protocol::api::Poll>,
    post: Request<()>,
    bye: Option<Closed>,
}

impl fmt::Debug for Polling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The session's name is a secret.
        f.debug_struct("Polling").field("base", &self.base).field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

impl Polling {
    /// Opens a session at the server at `base` with `first` (a `hello` or `resume`).
    pub async fn connect(http: reqwest::Client, base: &str, first: &ClientFrame) -> Result<Self, Error> {
        let opened = session::open(&http, base, first).await?;
        Ok(Polling {
            http,
            base: base.to_owned(),
            session: opened.session,
            cursor: opened.cursor,
            incoming: opened.frames.into(),
            outgoing: VecDeque::new(),
            poll: None,
            post: None,
            bye: None,
        })
    }

    pub(super) fn send(&mut self, frame: &ClientFrame) -> Result<(), Closed> {
        if self.outgoing.len() >= OUTGOING {
            return Err(Closed::broken("too much waits to be written"));
        }
        // Every poll says that the device is there.
        if !matches!(frame, ClientFrame::Ping(_)) {
            self.outgoing.push_back(frame.clone());
        }
        Ok(())
    }

    pub(super) async fn next(&mut self) -> Result<ServerFrame, Closed> {
        poll_fn(|context| self.poll_next(context)).await
    }

    pub(super) async fn flush(&mut self) -> Result<(), Closed> {
        poll_fn(|context| self.poll_write(context)).await
    }

    pub(super) async fn close(mut self) {
        // Bounded by the time limits of the requests; the server ends the session by itself otherwise.
        let _ = tokio::time::timeout(Duration::from_secs(3), self.flush()).await;
        let _ = session::close(self.http, self.base, self.session).await;
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<ServerFrame, Closed>> {
        loop {
            if let Some(frame) = self.incoming.pop_front() {
                if let ServerFrame::Bye { code, message } = &frame {
                    self.bye = Some(Closed::by_server(*code, message));
                }
                return Poll::Ready(Ok(frame));
            }
            if let Some(bye) = self.bye.take() {
                return Poll::Ready(Err(bye));
            }
            if let Poll::Ready(Err(closed)) = self.poll_write(context) {
                return Poll::Ready(Err(closed));
            }
            let (http, base, session, cursor) = (&self.http, &self.base, &self.session, self.cursor);
            let poll = self.poll.get_or_insert_with(|| {
                let (http, base, session) = (http.clone(), base.clone(), session.clone());
                Box::pin(again(move || session::poll(http.clone(), base.clone(), session.clone(), cursor)))
            });
            match poll.as_mut().poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(result) => {
                    self.poll = None;
                    let answer = result.map_err(closed)?;
                    self.cursor = answer.cursor;
                    self.incoming.extend(answer.frames);
                }
            }
        }
    }

    /// Writes what waits, one request at a time so that the order is kept. Pending while something is not written.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        loop {
            if self.post.is_none() {
                if self.outgoing.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                let frames: Vec<_> = self.outgoing.drain(..together(&self.outgoing)).collect();
                let (http, base, session) = (self.http.clone(), self.base.clone(), self.session.clone());
                // Every frame may safely come twice: tags tell, and the rest only raises registers or asks.
                let post = again(move || session::post(http.clone(), base.clone(), session.clone(), frames.clone()));
                self.post = Some(Box::pin(post));
            }
            let Some(post) = self.post.as_mut() else { continue };
            match post.as_mut().poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(result) => {
                    self.post = None;
                    result.map_err(closed)?;
                }
            }
        }
    }
}

/// How many of these frames go into one post: what the server takes, in number and in bytes, and one at least.
fn together(frames: &VecDeque<ClientFrame>) -> usize {
    let mut bytes = 0;
    for (index, frame) in frames.iter().take(POLL_FRAMES).enumerate() {
        // Each with a comma. What cannot be encoded is refused when it is posted.
        bytes += serde_json::to_vec(frame).map_or(0, |json| json.len()) + 1;
        if index > 0 && bytes > FRAME_BYTES {
            return index;
        }
    }
    frames.len().min(POLL_FRAMES)
}

fn closed(error: Error) -> Closed {
    match error.code.as_str() {
        "token_expired" | "unauthenticated" => Closed::by_server(close_code::UNAUTHENTICATED, error.message),
        _ => Closed::broken(error),
    }
}

/// Makes a request again until it works, is refused, or has failed too often.
async fn again<T, F: Future<Output = Result<T, Error>>>(request: impl Fn() -> F) -> Result<T, Error> {
    let mut attempt = 0;
    loop {
        match request().await {
            Err(error) if error.is_transient() && attempt + 1 < ATTEMPTS => {
                let asked = Duration::from_secs(error.retry_after.unwrap_or(0).min(10));
                sleep(asked.max(PAUSE * (1 << attempt))).await;
                attempt += 1;
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use banter_model::{ConversationId, Tag, UserId};
    use banter_protocol::frame::Send;

    use super::*;

    fn frames(characters: usize, count: usize) -> VecDeque<ClientFrame> {
        let conversation = ConversationId::Direct(UserId(1), UserId(2));
        let send = |tag| Send { tag: Tag::new(tag).unwrap(), conversation, text: "x".repeat(characters), reply_to: None };
        (1..=count as u64).map(|tag| ClientFrame::Send(send(tag))).collect()
    }

    #[test]
    fn a_post_holds_what_the_server_takes() {
        assert_eq!(together(&frames(10, 3)), 3);
        assert_eq!(together(&frames(10, POLL_FRAMES + 1)), POLL_FRAMES);
        let long = frames(FRAME_BYTES / 3, 5);
        let first = together(&long);
        let bytes = serde_json::to_vec(&long.iter().take(first).collect::<Vec<_>>()).unwrap().len();
        assert!((1..5).contains(&first) && bytes <= FRAME_BYTES, "{first} frames of {bytes} bytes");
        assert_eq!(together(&frames(2 * FRAME_BYTES, 2)), 1, "what is too long by itself is for the server to refuse");
    }
}
