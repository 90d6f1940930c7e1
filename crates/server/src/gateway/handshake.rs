//! From an HTTP request to a session over WebSocket: the handshake, and the first frame.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::IntoResponse;
use banter_protocol::limits::HELLO_MS;
use banter_protocol::{ErrorCode, close_code};
use http::{HeaderMap, HeaderName, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tungstenite::handshake::derive_accept_key;

use crate::api::errors::ApiError;
use crate::gateway::Gateway;
use crate::gateway::opening::Rejected;
use crate::gateway::session::{End, Transport};
use crate::gateway::shards::Arrival;
use crate::gateway::socket::{Finish, close};
use crate::gateway::websocket_codec::{Decoded, Decoder, Message};
use crate::listener::Place;

/// Most bytes that are read before the session stands: a token and a sync point are far smaller, and strangers get no more memory.
const FIRST_BYTES: usize = 64 << 10;
const FIRST_TOO_BIG: End = End { code: close_code::TOO_BIG, message: "more than 64 KiB before the session stands" };

/// `GET /v1/socket`: answers the handshake (RFC 6455 section 4.2) and leaves the connection to a task of its own.
pub async fn upgrade(State(gateway): State<Arc<Gateway>>, mut request: Request) -> Result<impl IntoResponse, ApiError> {
    let Some(key) = handshake_key(request.headers()).map(derive_accept_key) else {
        let message = "this path takes WebSocket handshakes of version 13 (RFC 6455) only";
        return Err(ApiError::new(ErrorCode::InvalidParameter, message));
    };
    if !gateway.node.web_origins.may_connect(request.headers()) {
        return Err(ApiError::new(ErrorCode::ForeignOrigin, "pages of this origin are none of this installation's"));
    }
    let upgraded = hyper::upgrade::on(&mut request);
    // A connection keeps its place among those that are not sessions until it is one.
    let place = request.extensions_mut().remove::<Place>();
    tokio::spawn(async move {
        let _place = place;
        let Ok(upgraded) = upgraded.await else { return };
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            // Copied: what hyper read into is far larger than the rest of it, and would be kept until the first frame is there.
            Ok(parts) => greet(gateway, parts.io.into_inner(), parts.read_buf.to_vec()).await,
            Err(_) => tracing::error!("a WebSocket came over something else than the listener's connections"),
        }
    });
    let upgrade = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "websocket")];
    Ok((StatusCode::SWITCHING_PROTOCOLS, upgrade, [(header::SEC_WEBSOCKET_ACCEPT, key)]))
}

fn handshake_key(headers: &HeaderMap) -> Option<&[u8]> {
    let has = |name: HeaderName, wanted: &str| {
        let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(wanted))
    };
    let version = has(header::SEC_WEBSOCKET_VERSION, "13");
    let wanted = has(header::CONNECTION, "upgrade") && has(header::UPGRADE, "websocket") && version;
    // A key is 16 bytes in base64.
    headers.get(header::SEC_WEBSOCKET_KEY).map(|key| key.as_bytes()).filter(|key| wanted && key.len() == 24)
}

/// Waits for the first frame, and starts the session.
async fn greet(gateway: Arc<Gateway>, mut stream: TcpStream, mut buffer: Vec<u8>) {
    // Answers are small and go out at once, together when there are several: Nagle's algorithm would only hold them up.
    let _ = stream.set_nodelay(true);
    let first = tokio::time::timeout(Duration::from_millis(HELLO_MS), first_frame(&mut stream, &mut buffer)).await;
    let opened = match first {
        Err(_) => Err(Rejected::TOO_LATE.end),
        Ok(Err(Finish::End(end))) => Err(end),
        Ok(Err(Finish::Gone)) => return,
        Ok(Ok(json)) => gateway.open(&json, Transport::Socket).map_err(|rejected| rejected.end),
    };
    match opened {
        Ok((session, waiting)) => {
            let waiting = waiting.map(|waiting| gateway.shards.elsewhere(waiting));
            let arrival = Arrival { gateway: gateway.clone(), session, rest: buffer, waiting, place: None };
            gateway.shards.hold(stream, arrival).await;
        }
        Err(end) => {
            gateway.node.metrics.closed(end.code);
            close(stream, VecDeque::new(), 0, end).await;
        }
    }
}

/// Reads until the first message is there; what came after it stays in `buffer`.
async fn first_frame(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Vec<u8>, Finish> {
    let mut decoder = Decoder::default();
    let mut before = 0;
    loop {
        let taken = match decoder.decode(buffer).map_err(Finish::End)? {
            Decoded::Message(Message::Text(json), taken) => {
                let json = json.to_vec();
                buffer.drain(..taken);
                return Ok(json);
            }
            Decoded::Message(Message::Close, _) => return Err(Finish::Gone),
            // A ping before the session stands is not answered.
            Decoded::Message(Message::Ping(_) | Message::Pong, taken) | Decoded::Fragment(taken) => taken,
            Decoded::Incomplete(needed) => {
                if before + needed > FIRST_BYTES {
                    return Err(Finish::End(FIRST_TOO_BIG));
                }
                if stream.read_buf(buffer).await.map_err(|_| Finish::Gone)? == 0 {
                    return Err(Finish::Gone);
                }
                0
            }
        };
        buffer.drain(..taken);
        before += taken;
    }
}
