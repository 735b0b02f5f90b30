//! Who may call: the users and keys of this platform, and the first one for its owner.

mod bootstrap;
mod keep;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use bootstrap::OLD_TABLE;
pub use store::{SharedAccess, StoredAccess};

use crate::NodeError;
use apex_bus::access::{AccessChange, AccessError, AccessStore, AccessWrite, Swap};
use apex_bus::clock::Clock;
use apex_domain::access::{Grants, LoginLink, Role, User};
use apex_gateway::auth::{Access, RANDOM_BYTES, new_key, new_link};
use apex_storage::Records;
use std::path::Path;
use std::sync::Arc;

/// The owner of the data folder, whose token is in its file.
const ADMIN: &str = "admin";

/// How long a login link works: ten minutes, in nanoseconds.
const LINK_NS: i64 = 600 * 1_000_000_000;

/// The credentials of a node, and the keys that it uses itself.
#[derive(Debug)]
pub struct Keys {
    /// The public part of the key that was made now, if one was.
    pub made: Option<String>,
    store: Arc<StoredAccess>,
}

impl From<AccessError> for NodeError {
    fn from(error: AccessError) -> NodeError {
        NodeError::Credentials(error.to_string())
    }
}

/// Reads the credentials, and makes what a first start needs: the user `admin`, a key that signs access
/// tokens, and an API key in `token_file` when that is missing. A deleted file is how a lost token is
/// replaced: the keys that `admin` had before are revoked then, so that who found it does not get in.
///
/// # Errors
/// [`NodeError`] when records or token file cannot be read or written.
pub fn open(
    records: &Arc<dyn Records>,
    token_file: &Path,
    clock: &Clock,
) -> Result<Keys, NodeError> {
    bootstrap::move_old(&**records)?;
    let store = Arc::new(StoredAccess::open(records.clone(), clock.clone())?);
    let made = bootstrap::first(&store, token_file)?;
    Ok(Keys { made, store })
}

fn random<const N: usize>() -> Result<[u8; N], NodeError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| NodeError::Credentials(format!("no randomness: {error}")))?;
    Ok(bytes)
}

fn write(changes: Vec<AccessChange>) -> AccessWrite {
    AccessWrite {
        changes,
        ..AccessWrite::default()
    }
}

impl Keys {
    /// Returns what a gateway holds its calls against.
    pub fn access(&self) -> Access {
        Access::new(Arc::new(self.shared()))
    }

    fn shared(&self) -> SharedAccess {
        SharedAccess(self.store.clone())
    }

    /// Begins to follow what other processes change, and to take away what is over.
    pub fn follow(&self) {
        keep::follow(Arc::downgrade(&self.store));
    }

    /// Makes a key that lives as long as this process: for its own strategy hosts.
    ///
    /// # Errors
    /// `Credentials` when the system gives no randomness.
    pub fn for_process(&self, user_id: &str) -> Result<String, NodeError> {
        let now = self.shared().now_ns();
        let new = new_key(
            &random::<RANDOM_BYTES>()?,
            user_id,
            Role::Trader,
            Grants::All,
            now,
        );
        let user = User::new(user_id, Role::Trader, Grants::All, now);
        self.store.let_in(user, new.record);
        Ok(new.token)
    }

    /// Makes the secret of a link that logs `admin` in once, within ten minutes.
    ///
    /// # Errors
    /// `Credentials`.
    pub fn login_link(&self) -> Result<String, NodeError> {
        let new = new_link(&random::<40>()?);
        let link = LoginLink {
            link_id: new.id,
            secret_hash: new.secret_hash,
            user_id: ADMIN.to_owned(),
            expires_ns: self.shared().now_ns().saturating_add(LINK_NS),
        };
        self.store
            .write(&write(vec![AccessChange::Link(Swap::insert(link))]))?;
        Ok(new.secret)
    }
}
