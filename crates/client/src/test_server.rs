//! A server of a few lines, and somebody who is logged in there, for tests.

use std::sync::Arc;

use banter_model::{DeviceId, Millis, UserId};
use banter_protocol::api::Tokens;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::storage::Account;

/// Somebody who made an account at `base`, with an access token that is good until `expires_at`.
pub(crate) fn ada(base: &str, expires_at: Millis) -> Account {
    Account {
        api: base.to_owned(),
        user: UserId(1),
        device: DeviceId(11),
        handle: "ada".into(),
        tokens: Some(Tokens { access_token: "a".into(), expires_at, refresh_token: "r".into() }),
        servers: vec![],
        from_the_start: true,
    }
}

/// Answers every request with what `answer` makes of its head; `None` cuts the connection.
pub(crate) async fn serve(answer: impl Fn(&str) -> Option<(u16, String)> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                let mut buffer = [0; 4_096];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    request.extend_from_slice(&buffer[..read]);
                    let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
                    let Some(end) = text.find("\r\n\r\n") else { continue };
                    let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
                    if text.len() < end + 4 + length.unwrap_or(0) {
                        continue;
                    }
                    let whole = String::from_utf8_lossy(&request).into_owned();
                    if let Some((status, body)) = answer(&whole) {
                        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
                    }
                    return;
                }
            });
        }
    });
    base
}
