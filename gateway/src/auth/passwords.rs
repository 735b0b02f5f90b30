//! Passwords, hashed by argon2id on threads of their own.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::fmt;
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;
use tokio::sync::oneshot;

/// KiB of memory and passes of one hash: the first choice of OWASP's cheat sheet for argon2id. Some 20
/// to 50 ms of one processor.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;

/// Hashes that wait: a second's worth of two threads. Full: the login is refused and may come again.
const WAITING: usize = 64;

/// Compared with where there is no such user, so that it takes as long as one that there is.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    let salt = [0x5a; 16];
    hash_with(&salt, "nobody has this password").unwrap_or_default()
});

/// Why a password was not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PasswordError {
    #[error("too many passwords wait to be checked")]
    Busy,
    #[error("passwords cannot be hashed: the gateway stops, or the system gives no randomness")]
    Broken,
}

type Job = Box<dyn FnOnce() + Send>;

/// Hashes passwords on a few threads of its own, so that logins never hold up other calls. Cheap to
/// clone.
#[derive(Clone)]
pub struct Passwords {
    queue: SyncSender<Job>,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").finish_non_exhaustive()
    }
}

impl Passwords {
    /// Starts the threads: half of the processors, four at the most. They end with the last clone.
    pub fn start() -> Passwords {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Passwords::with_threads((processors / 2).clamp(1, 4))
    }

    fn with_threads(count: usize) -> Passwords {
        let (queue, jobs) = sync_channel::<Job>(WAITING);
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..count {
            let jobs = jobs.clone();
            let thread = std::thread::Builder::new().name(format!("passwords-{number}"));
            if let Err(error) = thread.spawn(move || work(&jobs)) {
                tracing::error!(%error, "no thread for passwords: logins will be refused");
            }
        }
        Passwords { queue }
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let (done, told) = oneshot::channel();
        let job: Job = Box::new(move || {
            // Who asked may have gone away.
            let _ = done.send(job());
        });
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => PasswordError::Busy,
            TrySendError::Disconnected(_) => PasswordError::Broken,
        })?;
        told.await.map_err(|_| PasswordError::Broken)
    }

    /// Returns the hash of a password as it is kept, with a salt of its own (PHC string).
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        let salt = super::random::<16>().map_err(|_| PasswordError::Broken)?;
        let hashed = self.run(move || hash_with(&salt, &password)).await?;
        hashed.ok_or(PasswordError::Broken)
    }

    /// Says whether a password is the one that was hashed. Without a hash it is not, and that takes as
    /// long.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn verify(
        &self,
        password: String,
        kept: Option<String>,
    ) -> Result<bool, PasswordError> {
        self.run(move || {
            let is_known = kept.is_some();
            let kept = kept.unwrap_or_else(|| NOBODY.clone());
            is_it(&password, &kept) && is_known
        })
        .await
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        // The lock is held while this thread waits; the others wait for the lock.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(),
            Err(_) => return,
        }
    }
}

fn hasher() -> Option<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash_with(salt: &[u8], password: &str) -> Option<String> {
    let hashed = hasher()?.hash_password_with_salt(password.as_bytes(), salt);
    hashed.ok().map(|hash| hash.to_string())
}

fn is_it(password: &str, kept: &str) -> bool {
    // The parameters are those of the hash, so that older ones go on being right.
    let parsed = PasswordHash::new(kept);
    parsed.is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again_and_another_is_not() {
        let passwords = Passwords::start();
        let kept = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(
            kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{kept}"
        );
        let again = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert_ne!(kept, again, "each has a salt of its own");
        let is = |password: &str, kept: Option<&str>| {
            passwords.verify(password.to_owned(), kept.map(str::to_owned))
        };
        assert_eq!(is("correct horse", Some(&kept)).await, Ok(true));
        assert_eq!(is("correct horsf", Some(&kept)).await, Ok(false));
        assert_eq!(
            is("correct horse", Some("$argon2id$nonsense")).await,
            Ok(false)
        );
        assert_eq!(is("nobody has this password", None).await, Ok(false));
    }

    #[tokio::test]
    async fn what_does_not_fit_the_queue_is_refused_at_once() {
        let passwords = Passwords::with_threads(1);
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = std::sync::mpsc::channel::<()>();
        let job: Job = Box::new(move || {
            begun.send(()).unwrap();
            let _ = held.recv();
        });
        passwords.queue.try_send(job).unwrap();
        begins.recv().unwrap();
        for _ in 0..WAITING {
            passwords.queue.try_send(Box::new(|| ())).unwrap();
        }
        let refused = passwords.hash("x".to_owned()).await;
        assert_eq!(refused, Err(PasswordError::Busy));
        drop(release);
    }
}
