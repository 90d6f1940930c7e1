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

    fn text(text: &str) -> Vec<u8> {
        [&[(2 << 5) | text.len() as u8], text.as_bytes()].concat()
    }

    fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let pairs = entries.iter().map(|(name, value)| [text(name), value.clone()].concat());
        [vec![(7 << 5) | entries.len() as u8], pairs.collect::<Vec<_>>().concat()].concat()
    }

    fn double(value: f64) -> Vec<u8> {
        [&[(3 << 5) | 8][..], &value.to_be_bytes()].concat()
    }

    fn small(value: u8) -> Vec<u8> {
        vec![(5 << 5) | 1, value]
    }

    /// A file that knows of 0.0.0.0/1, with a tree of one node (left: the first entry of the data, right: nothing).
    fn file(latitude: f64) -> Vec<u8> {
        let tree = [0, 0, 17, 0, 0, 1];
        let data = map(&[("location", map(&[("latitude", double(latitude)), ("longitude", double(2.35))]))]);
        let metadata = map(&[
            ("binary_format_major_version", small(2)),
            ("binary_format_minor_version", small(0)),
            // An unsigned number of 64 bits and an array are types beyond the seventh, which take a second byte.
            ("build_epoch", vec![1, 2, 1]),
            ("database_type", text("Test-City")),
            ("description", map(&[])),
            ("ip_version", small(4)),
            ("languages", vec![0, 4]),
            ("node_count", vec![(6 << 5) | 1, 1]),
            ("record_size", small(24)),
        ]);
        [&tree[..], &[0; 16], &data, b"\xab\xcd\xefMaxMind.com", &metadata].concat()
    }

    #[test]
    fn addresses_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("addresses.mmdb");
        std::fs::write(&path, file(48.86)).unwrap();
        let addresses = AddressFile::open(&path).unwrap();
        let of = |address: &str| addresses.coordinates(address.parse().unwrap()).map(|at| (at.latitude, at.longitude));
        assert_eq!((of("10.0.0.1"), of("192.0.2.1"), of("2001:db8::1")), (Some((48.86, 2.35)), None, None));
        std::fs::write(&path, file(148.86)).unwrap();
        let wrong = AddressFile::open(&path).unwrap();
        assert_eq!(wrong.coordinates("10.0.0.1".parse().unwrap()), None, "not on the earth");
    }

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
