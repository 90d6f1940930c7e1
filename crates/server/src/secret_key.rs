//! The key that tokens are signed with: made once, kept in the data folder.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Bytes of the key.
const KEY_BYTES: usize = 32;

/// Reads the key at `path`, which is made if it is missing (readable for this user only). A crash leaves the key whole or missing.
///
/// # Errors
/// When the file cannot be read or made, or is not a key.
pub fn load(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    match File::open(path) {
        Ok(file) => {
            let mut bytes = Vec::new();
            file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes)?;
            let wrong =
                || io::Error::new(io::ErrorKind::InvalidData, format!("{} is not a key of {KEY_BYTES} bytes", path.display()));
            bytes.try_into().map_err(|_| wrong())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path),
        Err(error) => Err(error),
    }
}

fn make(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let key: [u8; KEY_BYTES] = rand::random();
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&key)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn made_once_for_this_user_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let key = load(&path).unwrap();
        assert_eq!(load(&path).unwrap(), key);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, [0; 31]).unwrap();
        assert_eq!(load(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
