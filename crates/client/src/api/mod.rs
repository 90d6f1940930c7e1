//! The HTTP API: every path of `docs/protocol.md`, typed.
//!
//! An [`Api`] belongs to one device: it carries the tokens and refreshes them by itself, one refresh at a time, each new pair stored
//! before it is used.

mod account;
mod conversation;
mod people;
pub(crate) mod session;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use banter_protocol::ErrorBody;
use banter_protocol::api::Tokens;
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use account::{log_in, sign_up};
use tokens::TokenKeeper;

use crate::Error;
use crate::storage::Store;

/// Making a connection takes at most this long.
const CONNECT: Duration = Duration::from_secs(10);
/// A request takes at most this long, its answer included. Hashing a password on a busy server takes a while.
const REQUEST: Duration = Duration::from_secs(30);

/// A client of the API. Clones share connections and tokens.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    base: Arc<str>,
    tokens: Arc<TokenKeeper>,
}

/// An HTTP client as every part of this crate uses it.
pub(crate) fn http_client() -> Result<reqwest::Client, Error> {
    install_provider();
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .timeout(REQUEST)
        .tcp_nodelay(true)
        .user_agent(concat!("banter/", env!("CARGO_PKG_VERSION")));
    builder.build().map_err(|error| Error::new(Error::INVALID_ARGUMENT, format!("no HTTP client: {error}")))
}

/// Chooses the cryptography of TLS, unless the program has chosen.
pub(crate) fn install_provider() {
    // An error means that there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// `url` without a slash at its end, if it is an `http` or `https` address.
pub(crate) fn base_of(url: &str) -> Result<Arc<str>, Error> {
    let trimmed = url.trim_end_matches('/');
    let parsed = reqwest::Url::parse(trimmed).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    match parsed {
        Some(_) => Ok(trimmed.into()),
        None => Err(Error::new(Error::INVALID_ARGUMENT, format!("{url:?} is no address like https://chat.example.org"))),
    }
}

impl Api {
    /// A client for the server at `base` with these tokens. With a store, new tokens are kept there.
    pub fn new(base: &str, tokens: Option<Tokens>, store: Option<Store>) -> Result<Self, Error> {
        let http = http_client()?;
        Ok(Api { http, base: base_of(base)?, tokens: Arc::new(TokenKeeper::new(tokens, store)) })
    }

    /// Where the API is.
    pub fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Asks with a token; once more with a new one if it has expired.
    async fn send(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<Response, Error> {
        let mut token = self.access_token().await?;
        for last in [false, true] {
            let mut request = self.request(method.clone(), path).bearer_auth(&token);
            if let Some(body) = &body {
                request = request.header("content-type", "application/json").body(body.clone());
            }
            match answer(request).await {
                Err(error) if error.status == Some(401) && !last && is_about_token(&error) => {
                    token = self.refresh(&token).await?;
                }
                Err(error) if error.status == Some(401) && is_about_token(&error) => {
                    return Err(Error::new(Error::SIGNED_OUT, "the server does not know this device any more: log in again"));
                }
                other => return other,
            }
        }
        Err(Error::unexpected("a new token is refused"))
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        decode(self.send(Method::GET, path, None).await?).await
    }

    pub(crate) async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: &impl Serialize) -> Result<T, Error> {
        decode(self.send(method, path, Some(encode(body)?)).await?).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        decode(self.send(Method::POST, path, None).await?).await
    }

    pub(crate) async fn tell(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<(), Error> {
        self.send(method, path, body).await.map(|_| ())
    }

    /// Does the chat server at `base`, which may be another host than the API's, answer? For telling a blocked WebSocket from a server that
    /// is gone, and from no network.
    pub async fn is_alive(&self, base: &str) -> bool {
        let answer = self.http().get(format!("{base}/health")).timeout(CONNECT).send().await;
        answer.is_ok_and(|answer| !answer.status().is_server_error())
    }
}

fn is_about_token(error: &Error) -> bool {
    matches!(error.code.as_str(), "token_expired" | "unauthenticated")
}

pub(crate) fn encode(body: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(body).map_err(|error| Error::new(Error::INVALID_ARGUMENT, error.to_string()))
}

/// Sends the request; an answer that is not a success is an error with the server's words.
pub(crate) async fn answer(request: RequestBuilder) -> Result<Response, Error> {
    let response = request.send().await.map_err(Error::unanswered)?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    let body = response.bytes().await.unwrap_or_default();
    let body = serde_json::from_slice(&body).unwrap_or_else(|_| ErrorBody {
        // A load balancer, say: its page is of no use here.
        code: if status.is_server_error() { Error::UNREACHABLE } else { Error::UNEXPECTED_ANSWER }.to_owned(),
        message: format!("the server answered with status {status}"),
        retry_after: header,
    });
    Err(Error::answered(Some(status.as_u16()), body))
}

pub(crate) async fn decode<T: DeserializeOwned>(response: Response) -> Result<T, Error> {
    let body = response.bytes().await.map_err(Error::unanswered)?;
    serde_json::from_slice(&body).map_err(Error::unexpected)
}

#[cfg(test)]
mod tests;
