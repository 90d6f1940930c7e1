//! A WebSocket by hand: frames can be as wrong as a test wants them.

use std::net::SocketAddr;

use banter_model::{DeviceId, UserId};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Person, World, soon};

/// A final text frame.
pub const TEXT: u8 = 0x81;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What the server sent.
#[derive(Debug, PartialEq)]
pub enum Incoming {
    Text(Value),
    Pong(Vec<u8>),
    Close(u16, String),
    /// The connection ended.
    Gone,
}

/// A connection that is a WebSocket, and perhaps a session.
pub struct Socket {
    pub stream: TcpStream,
    pub user: UserId,
    pub device: DeviceId,
    buffer: Vec<u8>,
    read: usize,
}

/// The handshake's bytes.
pub const HANDSHAKE: &str = "GET /v1/socket HTTP/1.1\r\nHost: banter\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The bytes of a masked frame with `first` as its first byte.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(0x80 | short as u8),
        medium @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend((medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

impl Socket {
    /// The handshake, and no frame yet.
    pub async fn connect(address: SocketAddr) -> Socket {
        Socket::over(TcpStream::connect(address).await.unwrap()).await
    }

    /// The handshake on a connection that is there already.
    pub async fn over(mut stream: TcpStream) -> Socket {
        stream.set_nodelay(true).unwrap();
        stream.write_all(HANDSHAKE.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon("the handshake's answer", stream.read_u8()).await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        // The accept value for the key above is the example of RFC 6455 section 1.3.
        assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
        Socket { stream, user: UserId(0), device: DeviceId(0), buffer: Vec::new(), read: 0 }
    }

    /// A session of a device's.
    pub async fn open(world: &World, who: &Person) -> Socket {
        Socket::open_at(world.address, who).await
    }

    /// The same on the server at `address`.
    pub async fn open_at(address: SocketAddr, who: &Person) -> Socket {
        let mut socket = Socket::connect(address).await;
        socket.send(json!({"type": "hello", "token": who.token})).await;
        let welcome = socket.expect("welcome").await;
        assert_eq!((&welcome["user"], &welcome["device"]), (&json!(who.user), &json!(who.device)));
        assert_eq!(welcome["heartbeat_ms"], 45_000);
        Socket { user: who.user, device: who.device, ..socket }
    }

    /// A session that begins with `resume`; and the `sync` answer.
    pub async fn resume(world: &World, who: &Person, since: Option<&str>) -> (Socket, Value) {
        let mut socket = Socket::connect(world.address).await;
        let mut resume = json!({"type": "resume", "token": who.token});
        if let Some(since) = since {
            resume["since"] = json!(since);
        }
        socket.send(resume).await;
        socket.expect("welcome").await;
        let sync = socket.synced().await;
        (Socket { user: who.user, device: who.device, ..socket }, sync)
    }

    pub async fn send(&mut self, frame: Value) {
        self.send_text(&frame.to_string()).await;
    }

    pub async fn send_text(&mut self, text: &str) {
        self.send_raw(&frame(TEXT, text.as_bytes())).await;
    }

    pub async fn send_raw(&mut self, bytes: &[u8]) {
        // The server may have closed already: what it said before is read next.
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next frame.
    #[track_caller]
    pub fn next(&mut self) -> impl Future<Output = Incoming> {
        soon("a frame", self.next_whenever())
    }

    async fn next_whenever(&mut self) -> Incoming {
        loop {
            if let Some((first, payload)) = self.take() {
                return match first {
                    TEXT => Incoming::Text(serde_json::from_slice(&payload).unwrap()),
                    0x8a => Incoming::Pong(payload),
                    0x88 => {
                        let code = u16::from_be_bytes([payload[0], payload[1]]);
                        Incoming::Close(code, String::from_utf8(payload[2..].to_vec()).unwrap())
                    }
                    other => panic!("a server does not send frames that begin with {other:#x}"),
                };
            }
            let mut bytes = vec![0; 64 << 10];
            match self.stream.read(&mut bytes).await {
                Ok(0) | Err(_) => return Incoming::Gone,
                Ok(length) => {
                    self.buffer.drain(..std::mem::take(&mut self.read));
                    self.buffer.extend_from_slice(&bytes[..length]);
                }
            }
        }
    }

    /// A whole frame out of the buffer.
    fn take(&mut self) -> Option<(u8, Vec<u8>)> {
        let bytes = &self.buffer[self.read..];
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        assert_eq!(second & 0x80, 0, "a server does not mask");
        let (start, length) = match second {
            126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap()))),
            127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap()) as usize),
            short => (2, usize::from(short)),
        };
        let payload = bytes.get(start..start + length)?.to_vec();
        self.read += start + length;
        Some((first, payload))
    }

    /// The next text frame but for those that come of themselves (presence of friends, changes of the account).
    #[track_caller]
    pub fn text(&mut self) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            loop {
                match soon("a frame", self.next_whenever()).await {
                    Incoming::Text(frame) if frame["type"] == "presence" || frame["type"] == "account" => {}
                    Incoming::Text(frame) => return frame,
                    other => panic!("{other:?} instead of a text at {caller}"),
                }
            }
        }
    }

    /// The next frame, which has to be of this type.
    #[track_caller]
    pub fn expect(&mut self, kind: &str) -> impl Future<Output = Value> {
        let (caller, kind) = (std::panic::Location::caller(), kind.to_owned());
        async move {
            let frame = self.text().await;
            assert_eq!(frame["type"], kind.as_str(), "{frame} at {caller}");
            frame
        }
    }

    /// The answer to `resume` or `sync`. Events may come before it: the session stands before the question is answered, so one that was
    /// stored a moment ago may still be on its way to it.
    #[track_caller]
    pub fn synced(&mut self) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            loop {
                let frame = self.text().await;
                match frame["type"].as_str() {
                    Some("sync") => return frame,
                    Some("event") => {}
                    _ => panic!("{frame} instead of the answer at {caller}"),
                }
            }
        }
    }

    /// The next frame, which has to be `error`: its code.
    #[track_caller]
    pub fn refused(&mut self) -> impl Future<Output = String> {
        let error = self.expect("error");
        async move {
            let error = error.await;
            assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()));
            error["code"].as_str().unwrap().to_owned()
        }
    }

    /// The next frame of presence.
    pub async fn presence(&mut self) -> Value {
        loop {
            match self.next().await {
                Incoming::Text(frame) if frame["type"] == "presence" => return frame["users"][0].clone(),
                Incoming::Text(frame) if frame["type"] == "account" => {}
                other => panic!("{other:?} instead of presence"),
            }
        }
    }

    /// Sends and waits until it is stored: the `sent` frame.
    pub async fn say(&mut self, tag: u64, conversation: banter_model::ConversationId, text: &str) -> Value {
        self.send(super::send(tag, conversation, text)).await;
        let sent = self.expect("sent").await;
        assert_eq!((&sent["tag"], &sent["conversation"]), (&json!(tag), &json!(conversation)));
        sent
    }

    /// Sends a frame and waits until the server has done it, and whatever it did is said: nothing else may come before the `pong`.
    pub async fn quiet(&mut self) {
        self.send(json!({"type": "ping"})).await;
        self.expect("pong").await;
    }

    /// The server ends the session: `bye`, then the close frame with the same code, then the connection's end.
    pub async fn closed(&mut self) -> u16 {
        let mut bye = None;
        loop {
            match self.next().await {
                Incoming::Text(frame) if frame["type"] == "bye" => bye = frame["code"].as_u64(),
                Incoming::Text(_) | Incoming::Pong(_) => {}
                Incoming::Close(code, _) => {
                    assert_eq!(bye, Some(u64::from(code)));
                    assert_eq!(self.next().await, Incoming::Gone);
                    return code;
                }
                Incoming::Gone => panic!("gone without a word"),
            }
        }
    }
}
