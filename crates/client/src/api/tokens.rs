//! The device's tokens, refreshed one at a time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use banter_model::Millis;
use banter_protocol::api::{Refresh, Tokens};
use reqwest::Method;

use super::{Api, answer, decode, encode};
use crate::Error;
use crate::storage::Store;

/// A token that has less than this left is refreshed before it is used, in milliseconds.
const MARGIN_MS: Millis = 30_000;
/// The server gives the same answer again within 30 s of the first question: so often, and so far apart, it is asked.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(6);
/// What the server says of a refresh token that it does not know, or that was used before: only this ends the login.
const INVALID_REFRESH_TOKEN: &str = "invalid_refresh_token";

pub(super) struct TokenKeeper {
    tokens: Mutex<Option<Tokens>>,
    /// Held while refreshing: a second refresh with the same token would look like theft.
    refreshing: tokio::sync::Mutex<()>,
    store: Option<Store>,
    /// The pair in memory is newer than the stored one, which is used up.
    unstored: AtomicBool,
}

impl TokenKeeper {
    pub fn new(tokens: Option<Tokens>, store: Option<Store>) -> Self {
        TokenKeeper {
            tokens: Mutex::new(tokens),
            refreshing: tokio::sync::Mutex::new(()),
            store,
            unstored: AtomicBool::new(false),
        }
    }

    fn get(&self) -> Option<Tokens> {
        self.tokens.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    async fn set(&self, tokens: Option<Tokens>) -> Result<(), Error> {
        // Stored first: a pair that was used but not stored would be lost with the process.
        if let Some(store) = &self.store {
            store.save_tokens(tokens.as_ref()).await?;
        }
        self.unstored.store(false, Ordering::Release);
        self.keep(tokens);
        Ok(())
    }

    /// A pair that the server has just given. It is used even if it cannot be stored (the disk is full, say): the one before is used up, and
    /// to come with it again would end the login. Storing is tried again whenever a token is asked for.
    async fn set_refreshed(&self, tokens: Tokens) {
        if let Err(error) = self.set(Some(tokens.clone())).await {
            tracing::warn!(%error, "new tokens are not stored yet");
            self.keep(Some(tokens));
            self.unstored.store(true, Ordering::Release);
        }
    }

    async fn store_again(&self) {
        if self.unstored.load(Ordering::Acquire)
            && let Some(tokens) = self.get()
        {
            self.set_refreshed(tokens).await;
        }
    }

    fn keep(&self, tokens: Option<Tokens>) {
        *self.tokens.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = tokens;
    }
}

impl Api {
    /// A token that is good for some time, refreshed if need be.
    pub async fn access_token(&self) -> Result<String, Error> {
        if self.tokens.unstored.load(Ordering::Acquire) {
            let _only_one = self.tokens.refreshing.lock().await;
            self.tokens.store_again().await;
        }
        let tokens = self.tokens.get().ok_or_else(not_logged_in)?;
        if tokens.expires_at > now() + MARGIN_MS {
            return Ok(tokens.access_token);
        }
        match self.refresh(&tokens.access_token).await {
            // It may still be good, or the clock here may be wrong: the server knows.
            Err(error) if error.is_transient() => Ok(tokens.access_token),
            other => other,
        }
    }

    /// A token other than `stale`, which the server refused. Many may ask at once; one refreshes.
    pub async fn refresh(&self, stale: &str) -> Result<String, Error> {
        let _only_one = self.tokens.refreshing.lock().await;
        let tokens = self.tokens.get().ok_or_else(not_logged_in)?;
        if tokens.access_token != stale {
            return Ok(tokens.access_token);
        }
        let body = encode(&Refresh { refresh_token: tokens.refresh_token })?;
        let mut attempt = 0;
        let result: Result<Tokens, Error> = loop {
            let request = self.request(Method::POST, "/v1/refresh").header("content-type", "application/json");
            let result = match answer(request.timeout(ANSWER).body(body.clone())).await {
                Ok(response) => decode(response).await,
                Err(error) => Err(error),
            };
            attempt += 1;
            match result {
                Err(error) if error.is_transient() && attempt < ATTEMPTS => tokio::time::sleep(PAUSE).await,
                other => break other,
            }
        };
        match result {
            Ok(tokens) => {
                let token = tokens.access_token.clone();
                self.tokens.set_refreshed(tokens).await;
                Ok(token)
            }
            Err(error) if error.code == INVALID_REFRESH_TOKEN => {
                self.forget_tokens().await?;
                Err(Error::new(Error::SIGNED_OUT, format!("the device was logged out: {}", error.message)))
            }
            // Not the server's word on this token: a proxy's, say, that wants a login of its own.
            Err(error) if error.status == Some(401) => Err(Error { code: Error::UNREACHABLE.to_owned(), ..error }),
            Err(error) => Err(error),
        }
    }

    /// Forgets the tokens, here and in the store.
    pub async fn forget_tokens(&self) -> Result<(), Error> {
        self.tokens.set(None).await
    }
}

fn not_logged_in() -> Error {
    Error::new(Error::NOT_LOGGED_IN, "nobody is logged in here: log in first")
}

/// The clock of this machine, to be compared with `expires_at`.
fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis)
}
