//! A WebSocket client that costs next to nothing, so that the server is what is measured.

use std::io::Cursor;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};

/// Connections from one loopback address before the next one is used: far fewer than there are ephemeral ports, since binding
/// to port 0 gives up before all of them are taken.
const PER_SOURCE: u64 = 5_000;

/// Connects, as the `number`-th connection, and says hello.
pub async fn connect(address: SocketAddr, number: u64, token: &str) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    let source = Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + u32::try_from(number / PER_SOURCE)?);
    socket.bind(SocketAddr::new(IpAddr::V4(source), 0))?;
    let mut stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    let request = format!(
        "GET /v1/socket HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await?;
        answer.push(byte);
        ensure!(answer.len() < 4096, "no end of the handshake");
    }
    ensure!(answer.starts_with(b"HTTP/1.1 101"), "no WebSocket: {}", String::from_utf8_lossy(&answer));
    let mut hello = Vec::new();
    frame(&mut hello, format!(r#"{{"type":"hello","token":"{token}"}}"#).as_bytes());
    stream.write_all(&hello).await?;
    Ok(stream)
}

/// Adds a text frame. Its mask is zero, which RFC 6455 allows and costs nothing.
pub fn frame(buffer: &mut Vec<u8>, payload: &[u8]) {
    let header = FrameHeader { opcode: OpCode::Data(Data::Text), mask: Some([0; 4]), ..FrameHeader::default() };
    // Writing to memory cannot fail.
    let _ = header.format(payload.len() as u64, buffer);
    buffer.extend_from_slice(payload);
}

/// Takes the first whole frame of `bytes`: its payload, and how long it is with its header.
pub fn parse(bytes: &[u8]) -> Result<Option<(&[u8], usize)>> {
    let mut cursor = Cursor::new(bytes);
    let Some((header, length)) = FrameHeader::parse(&mut cursor)? else { return Ok(None) };
    let start = cursor.position() as usize;
    let end = start + usize::try_from(length)?;
    if bytes.len() < end {
        return Ok(None);
    }
    match header.opcode {
        OpCode::Data(Data::Text) => Ok(Some((&bytes[start..end], end))),
        other => bail!("the server sent {other:?}: {}", String::from_utf8_lossy(&bytes[start..end])),
    }
}

/// The value of the string field `name` of a JSON object written without spaces. Enough for frames of the server's, and cheap.
pub fn text_field<'a>(json: &'a [u8], name: &str) -> Result<&'a [u8]> {
    let key = format!("\"{name}\":\"");
    let start = json.windows(key.len()).position(|part| part == key.as_bytes()).context("no such field")? + key.len();
    let length = json[start..].iter().position(|byte| *byte == b'"').context("no end")?;
    Ok(&json[start..start + length])
}

/// The value of the number field `name` of a JSON object written without spaces.
pub fn number_field<T: std::str::FromStr<Err = std::num::ParseIntError>>(json: &[u8], name: &str) -> Result<T> {
    let key = format!("\"{name}\":");
    let start = json.windows(key.len()).position(|part| part == key.as_bytes()).context("no such field")? + key.len();
    let digits = json[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    Ok(std::str::from_utf8(&json[start..start + digits])?.parse()?)
}
