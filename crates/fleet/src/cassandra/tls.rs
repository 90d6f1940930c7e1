//! Encryption of the links to Cassandra.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::ConnectError;

/// Encryption of the links to Cassandra (`client_encryption_options` there).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM file with the certificates of the authorities that sign those of the nodes. No other is trusted.
    pub authorities: PathBuf,
    /// For clusters that ask for it (`require_client_auth`): PEM files of this client's certificate chain and of its key.
    pub client: Option<ClientCertificate>,
    /// Must a node's certificate name the address that it is reached at? Nodes are reached at IP addresses, which
    /// many clusters' certificates do not name; then any certificate of [`Tls::authorities`] is good for any node.
    pub names_checked: bool,
}

/// PEM files by which this client shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and those between it and the authority.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Tls {
    /// What connections are made with. Reads the files.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, ConnectError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.authorities)? {
            roots.add(certificate).map_err(|error| unusable(&self.authorities, error))?;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| unusable(&self.authorities, error))?;
        let verifier: Arc<dyn ServerCertVerifier> = if self.names_checked { verifier } else { Arc::new(AnyName { verifier }) };
        let builder = ClientConfig::builder_with_provider(Arc::<CryptoProvider>::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| ConnectError::Options(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match &self.client {
            None => builder.with_no_client_auth(),
            Some(ClientCertificate { chain, key }) => {
                let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error))?;
                builder.with_client_auth_cert(certificates(chain)?, key_der).map_err(|error| unusable(chain, error))?
            }
        };
        Ok(Arc::new(config))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| unusable(path, error))?;
    if certificates.is_empty() { Err(unusable(path, "there is no certificate in it")) } else { Ok(certificates) }
}

fn unusable(path: &Path, reason: impl std::fmt::Display) -> ConnectError {
    ConnectError::Options(format!("{} is of no use for encryption: {reason}", path.display()))
}

/// Verifies everything about a certificate but the name in it.
#[derive(Debug)]
struct AnyName {
    verifier: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // The name is the last that the verifier looks at, so everything else was found good.
        match self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_no_use_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("authorities.pem");
        std::fs::write(&empty, "nothing in here").unwrap();
        for authorities in [empty, folder.path().join("missing.pem")] {
            let tls = Tls { authorities: authorities.clone(), client: None, names_checked: true };
            let Err(ConnectError::Options(reason)) = tls.config() else { panic!("{authorities:?} was taken") };
            assert!(reason.contains(&authorities.display().to_string()), "{reason}");
        }
    }
}
