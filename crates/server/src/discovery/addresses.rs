//! Where addresses are, by a file in the format of MaxMind.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use banter_model::discovery::Coordinates;
use maxminddb::{MaxMindDbError, Reader, geoip2};

/// A file with the coordinates of addresses (GeoIP2 or GeoLite2 City, DB-IP City, or another in their format), read into memory.
pub struct AddressFile(Reader<Vec<u8>>);

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the file of addresses {} cannot be read: {source}", path.display())]
pub struct AddressFileError {
    path: PathBuf,
    source: MaxMindDbError,
}

impl std::fmt::Debug for AddressFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AddressFile").field(&self.0.metadata().database_type).finish()
    }
}

impl AddressFile {
    /// Reads the file at `path`. Blocks while it does.
    ///
    /// # Errors
    /// When it cannot be read, or is of another format.
    pub fn open(path: &Path) -> Result<Self, AddressFileError> {
        let reader = Reader::open_readfile(path);
        reader.map(AddressFile).map_err(|source| AddressFileError { path: path.to_owned(), source })
    }

    /// Where `address` is, if the file knows.
    pub fn coordinates(&self, address: IpAddr) -> Option<Coordinates> {
        let city: geoip2::City<'_> = self.0.lookup(address).ok()?.decode().ok()??;
        Coordinates::new(city.location.latitude?, city.location.longitude?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("addresses.mmdb");
        std::fs::write(&path, "nothing of the kind").unwrap();
        let refused = AddressFile::open(&path).unwrap_err();
        assert!(refused.to_string().contains("addresses.mmdb"), "{refused}");
        assert!(AddressFile::open(&folder.path().join("missing")).is_err());
    }
}
