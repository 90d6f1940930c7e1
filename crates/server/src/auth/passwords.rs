//! Passwords: argon2id, off the async threads, and never more at once than there are cores.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

/// Memory of one hash in KiB (the recommendation of OWASP's password storage cheat sheet, as are the next two).
pub const MEMORY_KIB: u32 = 19_456;
/// Passes over the memory.
pub const PASSES: u32 = 2;
/// Lanes.
pub const LANES: u32 = 1;
/// Most passwords that wait for their turn; beyond it [`PasswordError::Busy`].
pub const WAITING: usize = 64;

/// Bytes of a salt (RFC 9106 section 3.1 recommends 16).
const SALT: usize = 16;

/// Hashes and verifies passwords.
pub struct Passwords {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// What a password is compared with when there is no such user, so that both cases take the same work.
    nobody: Arc<str>,
}

/// A password was neither hashed nor verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too many wait already.
    #[error("too many passwords wait to be checked: try again")]
    Busy,
    /// The stored hash cannot be read, or the machine has no memory for the work.
    #[error("hashing a password failed: {0}")]
    Failed(String),
}

impl Passwords {
    /// At most `at_once` passwords are worked on at a time; each takes [`MEMORY_KIB`] while it is.
    pub fn new(at_once: NonZeroUsize) -> Self {
        Passwords { turns: Arc::new(Semaphore::new(at_once.get())), waiting: AtomicUsize::new(0), nobody: nobody().into() }
    }

    /// The PHC string of a new password.
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        self.in_turn(move || hash_now(password.as_bytes())).await
    }

    /// Is `password` the one that `hash` (a PHC string) was made of? `None` stands for a user who does not exist: the answer
    /// is false, after the same work.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, PasswordError> {
        let exists = hash.is_some();
        let hash = hash.map_or_else(|| Arc::clone(&self.nobody), Arc::from);
        let matches = self.in_turn(move || verify_now(password.as_bytes(), &hash)).await?;
        Ok(matches && exists)
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = Place::take(&self.waiting)?;
        // The semaphore is never closed.
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| PasswordError::Busy)?;
        drop(place);
        // The turn goes with the work: a request that is given up does not make room for another hash before its own ends.
        let worked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        worked.await.map_err(|error| PasswordError::Failed(error.to_string()))?
    }
}

/// A place among those that wait, given back when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Result<Self, PasswordError> {
        let place = Place(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= WAITING { Err(PasswordError::Busy) } else { Ok(place) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A PHC string that asks for the work of a new hash, and that no password can be found for: salt and output are zeros.
fn nobody() -> String {
    let (salt, output) = ("A".repeat(22), "A".repeat(43));
    format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${output}")
}

fn hash_now(password: &[u8]) -> Result<String, PasswordError> {
    let failed = |error: Error| PasswordError::Failed(error.to_string());
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| PasswordError::Failed(error.to_string()))?;
    let salt: [u8; SALT] = rand::random();
    let hash: PasswordHash =
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_with_salt(password, &salt).map_err(failed)?;
    Ok(hash.to_string())
}

/// The parameters are the hash's own: those of older versions go on working.
fn verify_now(password: &[u8], hash: &str) -> Result<bool, PasswordError> {
    match PasswordVerifier::<str>::verify_password(&Argon2::default(), password, hash) {
        Ok(()) => Ok(true),
        Err(Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(PasswordError::Failed(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn passwords() -> Passwords {
        Passwords::new(NonZeroUsize::MIN)
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_another_is_not() {
        let passwords = passwords();
        let hash = passwords.hash("correct horse".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash("correct horse".into()).await.unwrap(), "the salt is fresh");
        assert_eq!(passwords.verify("correct horse".into(), Some(hash.clone())).await, Ok(true));
        assert_eq!(passwords.verify("correct horsf".into(), Some(hash)).await, Ok(false));
    }

    #[tokio::test]
    async fn nobody_has_no_password() {
        let passwords = passwords();
        assert_eq!(passwords.verify("correct horse".into(), None).await, Ok(false));
        let hash = passwords.hash("correct horse".into()).await.unwrap();
        let work = |hash: &str| hash.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!((work(&nobody()), nobody().len()), (work(&hash), hash.len()), "the same work, and as long");
        assert!(matches!(passwords.verify("x".into(), Some("damaged".into())).await, Err(PasswordError::Failed(_))));
    }

    #[tokio::test]
    async fn those_who_wait_are_bounded_and_places_come_back() {
        let passwords = passwords();
        let work: fn() -> Result<(), PasswordError> = || Ok(());
        let turn = Arc::clone(&passwords.turns).acquire_owned().await.unwrap();
        let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(passwords.in_turn(work))).collect();
        for waits in &mut waiting {
            assert!(waits.as_mut().now_or_never().is_none());
        }
        assert_eq!(passwords.in_turn(work).await, Err(PasswordError::Busy));
        waiting.pop();
        let mut last = Box::pin(passwords.in_turn(work));
        assert!(last.as_mut().now_or_never().is_none(), "a place was given back");
        waiting.push(last);
        drop(turn);
        assert!(futures_util::future::join_all(waiting).await.iter().all(Result::is_ok));
    }
}
