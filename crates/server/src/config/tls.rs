//! The files of a link over TLS: whom this node believes, and by what it shows who it is.

use std::path::{Path, PathBuf};

use super::ConfigError;
use super::sections::contradiction;

/// The PEM files of one link, as they are named in its section; empty ones are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsFiles<'a> {
    /// What the keys begin with: `history.tls`, say, of `history.tls_ca`.
    pub(super) keys: &'static str,
    pub(super) ca: &'a Path,
    pub(super) cert: &'a Path,
    pub(super) key: &'a Path,
}

impl TlsFiles<'_> {
    /// Is there an authority to believe?
    pub fn is_on(&self) -> bool {
        is_there(self.ca)
    }

    /// The certificates of the authority.
    pub fn authority(&self) -> Option<PathBuf> {
        self.is_on().then(|| self.ca.to_owned())
    }

    /// The own certificate and its key.
    pub fn identity(&self) -> Option<(PathBuf, PathBuf)> {
        is_there(self.cert).then(|| (self.cert.to_owned(), self.key.to_owned()))
    }

    /// What is in [`TlsFiles::authority`].
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_authority(&self) -> Result<Option<String>, ConfigError> {
        self.authority().map(|path| read(&path)).transpose()
    }

    /// What is in the files of [`TlsFiles::identity`].
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn read_identity(&self) -> Result<Option<(String, String)>, ConfigError> {
        self.identity().map(|(cert, key)| Ok((read(&cert)?, read(&key)?))).transpose()
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let keys = self.keys;
        if is_there(self.cert) != is_there(self.key) {
            return Err(contradiction(format!("`{keys}_cert` and `{keys}_key` go together")));
        }
        Ok(())
    }

    /// As [`TlsFiles::validate`], for links that know no authority but the one that is named.
    pub(super) fn validate_with_authority(&self) -> Result<(), ConfigError> {
        let keys = self.keys;
        if is_there(self.cert) && !self.is_on() {
            return Err(contradiction(format!("`{keys}_cert` is of use only with `{keys}_ca`")));
        }
        self.validate()
    }
}

fn is_there(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.display().to_string(), source })
}
