//! Who may call: the kinds of `apex_domain::access`, and what only a store needs of them.
//!
//! All of them share one table, so that what changes together is one write there.

use super::{Changing, Kept, check_name};
use crate::StorageError;
use apex_domain::access::{ApiKey, LoginLink, Session, SigningKey, Tries, User};
use serde::{Deserialize, Serialize};

/// The table of all that says who may call.
pub const ACCESS_TABLE: &str = "credentials";

/// Failed logins of the names that share a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriesOf {
    /// Which bucket.
    pub bucket: String,
    /// How often.
    pub tries: Tries,
}

macro_rules! kept {
    ($kind:ty, $prefix:literal, $what:literal, $name:ident) => {
        impl Kept for $kind {
            const TABLE: &'static str = ACCESS_TABLE;
            const PREFIX: &'static str = $prefix;
            const VERSION: u16 = 1;

            fn key(&self) -> String {
                self.$name.clone()
            }

            fn check(&self) -> Result<(), StorageError> {
                check_name($what, &self.$name)
            }
        }

        impl Changing for $kind {}
    };
}

kept!(User, "user/", "user", user_id);
kept!(Session, "session/", "session", session_id);
kept!(ApiKey, "key/", "API key", key_id);
kept!(SigningKey, "signing/", "signing key", kid);
kept!(LoginLink, "link/", "login link", link_id);
kept!(TriesOf, "tries/", "bucket of tries", bucket);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryRecords;
    use crate::records::{find, insert, page, replace};
    use apex_domain::access::{Grants, Role};

    #[test]
    fn kinds_share_a_table_and_do_not_meet() {
        let records = MemoryRecords::new();
        let ann = User::new("ann", Role::Trader, Grants::All, 1);
        let known = insert(&records, &ann).expect("it is new");
        let link = LoginLink {
            link_id: "ann".to_owned(),
            secret_hash: [1; 32],
            user_id: "ann".to_owned(),
            expires_ns: 9,
        };
        insert(&records, &link).expect("it is of another kind");
        let demoted = ann.changed(|user| user.role = Role::Viewer);
        replace(&records, &known, &demoted).expect("nobody changed it");
        let stale = replace(&records, &known, &ann);
        assert!(matches!(stale, Err(StorageError::Conflict { .. })));
        let found = find::<User>(&records, "ann").expect("it can be read");
        assert_eq!(found.expect("it is there").value, demoted);
        assert_eq!(page::<User>(&records, None, 10).expect("it can").len(), 1);
    }
}
