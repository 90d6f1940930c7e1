//! Certificates by which nodes know each other.

use std::fmt;
use std::time::Duration;

use banter_fleet::tls::choose_cryptography;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Error, Identity, Server, ServerTlsConfig};

use crate::config::{ConfigError, Node};

/// The longest that the greeting of TLS may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(3);

/// What links between nodes are encrypted with. Both ends show a certificate, and take none but those of one authority; the one that is
/// called has to be named by the address that it is called at. A key that is shared proves the rest
/// ([`NodeKey`](super::NodeKey)), as without TLS.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeTls {
    authority: String,
    certificate: String,
    key: String,
}

impl fmt::Debug for NodeTls {
    /// Everything but the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeTls")
            .field("authority", &self.authority)
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl NodeTls {
    /// The authority whose nodes are believed, and this node's own certificate and key, as PEM.
    ///
    /// # Errors
    /// When one of them is none, or the key is another certificate's.
    pub fn new(authority: String, certificate: String, key: String) -> Result<Self, ConfigError> {
        let tls = NodeTls { authority, certificate, key };
        let unusable = |error: Error| {
            let reason = super::link::reason(&error);
            ConfigError::Contradiction(format!("the certificates of `node.internal_tls_…` are of no use: {reason}"))
        };
        tls.server(Server::builder()).map_err(unusable)?;
        tls.endpoint(Endpoint::from_static("https://localhost")).map_err(unusable)?;
        Ok(tls)
    }

    /// Those that the configuration names; `None` if links are in plain text.
    ///
    /// # Errors
    /// When a file cannot be read, or is of no use.
    pub fn of(node: &Node) -> Result<Option<Self>, ConfigError> {
        let files = node.internal_tls();
        match (files.read_authority()?, files.read_identity()?) {
            (Some(authority), Some((certificate, key))) => NodeTls::new(authority, certificate, key).map(Some),
            _ => Ok(None),
        }
    }

    /// Lets in only who shows a certificate of the authority.
    pub(super) fn server(&self, server: Server) -> Result<Server, Error> {
        choose_cryptography();
        let config = ServerTlsConfig::new().identity(self.identity()).client_ca_root(Certificate::from_pem(&self.authority));
        server.tls_config(config.timeout(HANDSHAKE_TIME))
    }

    /// Goes only to who shows one, with the name that it is called by.
    pub(super) fn endpoint(&self, endpoint: Endpoint) -> Result<Endpoint, Error> {
        choose_cryptography();
        let config = ClientTlsConfig::new().identity(self.identity()).ca_certificate(Certificate::from_pem(&self.authority));
        endpoint.tls_config(config.timeout(HANDSHAKE_TIME))
    }

    fn identity(&self) -> Identity {
        Identity::from_pem(&self.certificate, &self.key)
    }
}
