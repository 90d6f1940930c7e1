//! Where a device lives, and who it belongs to.

use std::path::PathBuf;
use std::time::Duration;

use banter_protocol::api::{LoggedIn, Login, SignUp};

use super::Client;
use crate::Error;
use crate::api::{self, Api};
use crate::storage::{Account, FolderLock, Store};

/// How long to wait for another process that uses the same folder.
const PATIENCE: Duration = Duration::from_secs(1);

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

    /// Makes an account at the server `base` and a device of it, kept in `place`.
    ///
    /// Fails with [`Error::OCCUPIED`], and changes nothing, when somebody is logged in there, or when commands wait there that were never
    /// sent: see [`Profile::sign_up_instead`].
    pub async fn sign_up(place: Place, base: &str, body: &SignUp) -> Result<Self, Error> {
        let (lock, store) = open_free_store(place).await?;
        Self::signed_up(lock, store, base, body).await
    }

    /// Would a new login in `place` take nothing away? Fails with [`Error::OCCUPIED`] if it would.
    pub async fn check_free(place: Place) -> Result<(), Error> {
        let (_lock, store) = open_free_store(place).await?;
        store.close().await;
        Ok(())
    }

    /// As [`Profile::sign_up`], but who was logged in there is forgotten once the account is made, with everything not sent yet.
    pub async fn sign_up_instead(place: Place, base: &str, body: &SignUp) -> Result<Self, Error> {
        let (lock, store) = open_store(place).await?;
        Self::signed_up(lock, store, base, body).await
    }

    /// Logs in to an account at the server `base`, as a new device kept in `place`. Fails as [`Profile::sign_up`] does.
    pub async fn log_in(place: Place, base: &str, body: &Login) -> Result<Self, Error> {
        let (lock, store) = open_free_store(place).await?;
        Self::logged_in(lock, store, base, body).await
    }

    /// As [`Profile::log_in`], but who was logged in there is forgotten once the login has worked, with everything not sent yet.
    pub async fn log_in_instead(place: Place, base: &str, body: &Login) -> Result<Self, Error> {
        let (lock, store) = open_store(place).await?;
        Self::logged_in(lock, store, base, body).await
    }

    async fn signed_up(lock: Option<FolderLock>, store: Store, base: &str, body: &SignUp) -> Result<Self, Error> {
        let answer = api::sign_up(base, body).await?;
        Self::begin(lock, store, base, &body.handle, answer, true).await
    }

    async fn logged_in(lock: Option<FolderLock>, store: Store, base: &str, body: &Login) -> Result<Self, Error> {
        let answer = api::log_in(base, body).await?;
        Self::begin(lock, store, base, &body.handle, answer, false).await
    }

    /// Is there nothing of this device's that would be lost with its login? Fails with [`Error::OCCUPIED`] when commands wait for an answer.
    pub async fn check_all_sent(&self) -> Result<(), Error> {
        match self.store.unanswered().await? {
            0 => Ok(()),
            count => Err(Error::new(Error::OCCUPIED, format!("{} not sent yet", commands(count)))),
        }
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

fn commands(count: usize) -> String {
    if count == 1 { "1 command is".to_owned() } else { format!("{count} commands are") }
}

/// The store of a place where a new login takes nothing away.
async fn open_free_store(place: Place) -> Result<(Option<FolderLock>, Store), Error> {
    let (lock, store) = open_store(place).await?;
    let account = store.account().await?;
    let who = account.as_ref().filter(|account| account.tokens.is_some()).map(|account| &account.handle);
    let message = match (who, store.unanswered().await?) {
        (None, 0) => return Ok((lock, store)),
        (Some(handle), 0) => format!("@{handle} is logged in here"),
        (Some(handle), count) => format!("@{handle} is logged in here, and {} not sent yet", commands(count)),
        (None, count) => {
            let handle = account.map_or(String::new(), |account| format!(" (@{} was logged in here)", account.handle));
            format!("{} not sent yet{handle}", commands(count))
        }
    };
    Err(Error::new(Error::OCCUPIED, message))
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
