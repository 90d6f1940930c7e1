//! The cluster on ZooKeeper 3.6 or later.
//!
//! ```text
//! <root>/members/0007   ephemeral: a node that lives, as JSON (banter_store::cluster::Member). Its existence is the lease of the number.
//! <root>/numbers/0007   stays: the life that has or had the number last, and how far its ids may have gone.
//! ```
//!
//! A number is taken by one transaction that notes the new life in `numbers` and creates the ephemeral node. Whoever has a
//! number raises the floor of its ids by writes that are conditional on the version of `numbers`: a node that was taken for dead,
//! and whose number somebody else has, cannot raise it any more. So ids are unique whatever the clocks and the network do.

mod floor;
mod members;
mod node;
mod numbers;
mod stopped;

use std::time::Duration;

use banter_store::cluster::JoinError;
use zookeeper_client::{Acls, Client, Connector, Error, SessionInfo, TlsOptions};

pub use node::ZooKeeperNode;
pub use stopped::{StoppedCluster, StoppedError};

/// How long ids are given out without ZooKeeper: longer than it takes to bring it back.
const IDS_AHEAD: Duration = Duration::from_secs(600);

/// How ZooKeeper is reached. Every request is answered or fails within about 1.4 times the session timeout.
#[derive(Clone)]
pub struct ZooKeeperOptions {
    /// `host:port` of each server, with commas in between.
    pub servers: String,
    /// The path below which everything is kept: `/banter`.
    pub root: String,
    /// The time after which a node that is not heard of is dead; at least 2 s, and what the servers allow.
    pub session_timeout: Duration,
    /// For how long ahead a node reserves ids: it gives them out for so long while ZooKeeper is away. Whoever takes over the number of a node
    /// that died waits for as long, but takes one that was never used, or not lately, before.
    pub ids_ahead: Duration,
    /// Links are encrypted.
    pub tls: Option<ZooKeeperTls>,
    /// The nodes may be read and written with this user only (scheme `digest`).
    pub credentials: Option<ZooKeeperCredentials>,
}

/// Certificates, as PEM.
#[derive(Clone)]
pub struct ZooKeeperTls {
    /// Who is trusted to vouch for the servers.
    pub authority: String,
    /// This client's own certificate and its key, where the servers ask for one.
    pub identity: Option<(String, String)>,
}

/// A user of scheme `digest`.
#[derive(Clone)]
pub struct ZooKeeperCredentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl ZooKeeperOptions {
    /// The defaults: below `/banter`, dead after 10 seconds, ids for ten minutes, links in plain text, no user.
    pub fn new(servers: impl Into<String>) -> Self {
        let (root, session_timeout) = ("/banter".to_owned(), Duration::from_secs(10));
        ZooKeeperOptions { servers: servers.into(), root, session_timeout, ids_ahead: IDS_AHEAD, tls: None, credentials: None }
    }

    fn acls(&self) -> Acls<'static> {
        match self.credentials {
            Some(_) => Acls::creator_all(),
            None => Acls::anyone_all(),
        }
    }

    /// Connects and leaves again: what is wrong with the servers, the certificates or the credentials is found out, and nothing changed.
    ///
    /// # Errors
    /// When no server is reached within about the session timeout, or one refuses.
    pub async fn reach(&self) -> Result<(), JoinError> {
        let client = self.connect(None).await.map_err(join_error)?;
        match client.list_children(&self.root).await {
            // The first node makes it.
            Ok(_) | Err(Error::NoNode) => Ok(()),
            Err(error) => Err(join_error(error)),
        }
    }

    /// Connects: to the session given, if it has not ended yet, else with a new one. Gives up after about the session timeout.
    async fn connect(&self, session: Option<SessionInfo>) -> Result<Client, Error> {
        // Detached: what ends a session is its timeout, so that it can be gone on with by another client.
        let mut connector: Connector = Client::connector().with_session_timeout(self.session_timeout).with_detached();
        if let Some(ZooKeeperCredentials { user, password }) = &self.credentials {
            connector = connector.with_auth("digest", format!("{user}:{password}").as_bytes());
        }
        if let Some(session) = session {
            connector = connector.with_session(session);
        }
        match &self.tls {
            None => connector.connect(&self.servers).await,
            Some(tls) => {
                crate::tls::choose_cryptography();
                let mut options = TlsOptions::default().with_pem_ca(&tls.authority)?;
                if let Some((certificate, key)) = &tls.identity {
                    options = options.with_pem_identity(certificate, key)?;
                }
                connector.with_tls(options).secure_connect(&self.servers).await
            }
        }
    }
}

/// Errors at the start, when there is nothing yet to fall back on.
fn join_error(error: Error) -> JoinError {
    match error {
        Error::NoAuth | Error::AuthFailed | Error::InvalidAcl | Error::BadArguments(_) => JoinError::Refused(error.to_string()),
        _ => JoinError::Unreachable(error.to_string()),
    }
}
