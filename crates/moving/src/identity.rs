//! What an installation is beside its people and logs: its secret key, and how far its ids went.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use banter_model::Millis;
use banter_store::data_folder::DataFolder;

use crate::MoveError;

/// Keeps what an installation is beside its people and logs.
#[async_trait]
pub trait Identity: Send + Sync + 'static {
    /// The key that tokens are signed with, if there is one yet.
    async fn secret_key(&self) -> Result<Option<[u8; 32]>, MoveError>;

    /// Takes over the key of the source. Again changes nothing.
    ///
    /// # Errors
    /// [`MoveError::OtherSecretKey`] when there is another one.
    async fn take_secret_key(&self, key: &[u8; 32]) -> Result<(), MoveError>;

    /// Up to this time ids may have been given out; 0 when the clock alone decides.
    async fn ids_until(&self) -> Result<Millis, MoveError>;

    /// From now on every node number gives ids that are later than `until`.
    async fn take_ids_until(&self, until: Millis) -> Result<(), MoveError>;

    /// Everything has arrived, and was compared: from now on a part that is missing was lost.
    async fn complete(&self) -> Result<(), MoveError>;
}

/// That of a data folder: two files.
#[derive(Debug)]
pub struct FolderIdentity {
    folder: Arc<DataFolder>,
}

impl FolderIdentity {
    /// Of this folder.
    pub fn new(folder: Arc<DataFolder>) -> Self {
        FolderIdentity { folder }
    }
}

#[async_trait]
impl Identity for FolderIdentity {
    async fn secret_key(&self) -> Result<Option<[u8; 32]>, MoveError> {
        let path = self.folder.secret_key();
        match fs::read(&path) {
            Ok(bytes) => <[u8; 32]>::try_from(bytes)
                .map(Some)
                .map_err(|_| MoveError::Identity(format!("{} is not a key of 32 bytes", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(MoveError::File { path, source }),
        }
    }

    async fn take_secret_key(&self, key: &[u8; 32]) -> Result<(), MoveError> {
        match self.secret_key().await? {
            Some(found) if found == *key => Ok(()),
            Some(_) => Err(MoveError::OtherSecretKey),
            None => write_whole(&self.folder.secret_key(), key),
        }
    }

    async fn ids_until(&self) -> Result<Millis, MoveError> {
        let path = self.folder.ids();
        match fs::read_to_string(&path) {
            Ok(text) => match text.trim() {
                "" => Ok(0),
                text => text.parse().map_err(|_| MoveError::Identity(format!("{} holds no time", path.display()))),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(source) => Err(MoveError::File { path, source }),
        }
    }

    async fn take_ids_until(&self, until: Millis) -> Result<(), MoveError> {
        if self.ids_until().await? >= until {
            return Ok(());
        }
        write_whole(&self.folder.ids(), until.to_string().as_bytes())
    }

    async fn complete(&self) -> Result<(), MoveError> {
        self.folder.mark_complete().map_err(|error| MoveError::Identity(error.to_string()))
    }
}

/// Writes a file for this user only. A crash leaves it whole, or as it was.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), MoveError> {
    let new = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(MoveError::file(path))
}
