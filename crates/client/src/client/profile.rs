//! Where a device lives, and who it belongs to.

use std::path::PathBuf;
use std::time::Duration;

use banter_protocol::api::{LoggedIn, Login, SignUp};

use super::Client;
use crate::Error;
use crate::api::{self, Api};
use crate::storage::{Account, FolderLock, Store};

/// How long to wait for another process that uses the same folder.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a device keeps what it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In this folder, which is made if it is not there. One process at a time uses it.
    Folder(PathBuf),
    /// Nowhere: it ends with the process. For load generators and tests.
    Memory,
}

/// A device that is not connected: enough for everything that is asked of the API.
pub struct Profile {
    pub(super) lock: Option<FolderLock>,
    pub(super) store: Store,
    pub(super) account: Account,
    pub(super) api: Api,
}

impl Profile {
    /// The device of `place`. Fails with [`Error::NOT_LOGGED_IN`] when there is none, or when it was logged out.
    pub async fn open(place: Place) -> Result<Self, Error> {
        let (lock, store) = open_store(place).await?;
        let account = store.account().await?.filter(|account| account.tokens.is_some()).ok_or_else(nobody)?;
        Self::with(lock, store, account)
    }

    /// See [`Client::sign_up`].
    pub async fn sign_up(place: Place, base: &str, body: &SignUp) -> Result<Self, Error> {
        let (lock, store) = open_store(place).await?;
        let logged_in = api::sign_up(base, body).await?;
        Self::begin(lock, store, base, &body.handle, logged_in, true).await
    }

    /// See [`Client::log_in`].
    pub async fn log_in(place: Place, base: &str, body: &Login) -> Result<Self, Error> {
        let (lock, store) = open_store(place).await?;
        let logged_in = api::log_in(base, body).await?;
        Self::begin(lock, store, base, &body.handle, logged_in, false).await
    }

    /// Connects, and stays connected.
    pub async fn connect(self) -> Result<Client, Error> {
        Client::start(self).await
    }

    /// The HTTP API with this device's tokens.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Who is logged in.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// What is stored on this device.
    pub fn store(&self) -> &Store {
        &self.store
    }

    async fn begin(
        lock: Option<FolderLock>,
        store: Store,
        base: &str,
        handle: &str,
        logged_in: LoggedIn,
        from_the_start: bool,
    ) -> Result<Self, Error> {
        let LoggedIn { user, device, tokens, servers } = logged_in;
        let handle = banter_model::name::normalise_handle(handle).unwrap_or_else(|_| handle.to_owned());
        let api = api::base_of(base)?.to_string();
        let account = Account { api, user, device, handle, tokens: Some(tokens), servers, from_the_start };
        store.begin(&account).await?;
        Self::with(lock, store, account)
    }

    fn with(lock: Option<FolderLock>, store: Store, account: Account) -> Result<Self, Error> {
        let api = Api::new(&account.api, account.tokens.clone(), Some(store.clone()))?;
        Ok(Profile { lock, store, account, api })
    }
}

pub(super) fn nobody() -> Error {
    Error::new(Error::NOT_LOGGED_IN, "nobody is logged in here: sign up or log in first")
}

async fn open_store(place: Place) -> Result<(Option<FolderLock>, Store), Error> {
    match place {
        Place::Folder(folder) => {
            let lock = FolderLock::take(&folder, PATIENCE).await?;
            Ok((Some(lock), Store::open(&folder.join("banter.sqlite")).await?))
        }
        Place::Memory => Ok((None, Store::in_memory().await?)),
    }
}
