//! HTTP by hand: what is sent is exactly the bytes given.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::soon;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    pub text: String,
    pub json: Value,
}

impl Answer {
    /// Status and code of a refusal.
    #[track_caller]
    pub fn refusal(&self) -> (u16, &str) {
        let code = self.json["code"].as_str().unwrap_or_else(|| panic!("no refusal: {} {}", self.status, self.text));
        assert!(self.json["message"].as_str().is_some_and(|message| !message.is_empty()));
        (self.status, code)
    }
}

/// The bytes of a request with a JSON body, or without one, after which the connection is closed.
pub fn request(method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> String {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: banter\r\nConnection: close\r\n");
    if let Some(token) = token {
        request += &format!("Authorization: Bearer {token}\r\n");
    }
    match body {
        Some(body) => request += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
        None => request += "\r\n",
    }
    request
}

/// One request, one answer.
pub async fn call(address: SocketAddr, method: &str, path: &str, token: Option<&str>, body: Option<String>) -> Answer {
    let mut answers = exchange(address, request(method, path, token, body.as_deref()).as_bytes()).await;
    assert_eq!(answers.len(), 1, "{method} {path}: {answers:?}");
    answers.remove(0)
}

/// Sends `bytes` and reads until the server closes: every answer that came.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<Answer> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may refuse and close before it has read everything.
    let _ = stream.write_all(bytes).await;
    answers(&read_to_end(&mut stream).await)
}

/// Sends `bytes`, and reads the status of the answer: for connections that stay open.
pub async fn status_of(address: SocketAddr, bytes: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut line = [0; 12];
    soon("an answer", stream.read_exact(&mut line)).await.unwrap();
    std::str::from_utf8(&line[9..]).unwrap().parse().unwrap()
}

/// Everything until the server closes.
pub async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match soon("an answer, or the end of the connection", stream.read(&mut buffer)).await {
            Ok(0) | Err(_) => return all,
            Ok(bytes) => all.extend_from_slice(&buffer[..bytes]),
        }
    }
}

/// The answers in `bytes`, each of the length that it says.
pub fn answers(mut bytes: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("the head of an answer is whole") + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        let text = String::from_utf8(bytes[end..end + length].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        answers.push(Answer { status, head, text, json });
        bytes = &bytes[end + length..];
    }
    answers
}
