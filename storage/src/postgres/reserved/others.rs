//! What other data folders may hold, and what was moved out of this one.
//!
//! A folder that is noted, and in which an account's reserve is not there any more, lacks what was in
//! it just as another folder does: it was moved away, as a person does with one that conflicts.

use super::place::has_reserve;
use super::{ReservedJournals, owners};
use crate::StorageError;
use crate::embedded::{folder_id_of, waiting_in_reserve};
use crate::error::ReserveHolder;
use crate::postgres::server::PgServer;
use crate::postgres::{UnnotedOwner, schema};
use std::collections::BTreeMap;
use std::path::Path;

impl ReservedJournals {
    /// Returns what this data folder may lack, by account: an owner has used another one, or a reserve
    /// that was moved out of this one, and has not come to an orderly end with everything on the server.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn elsewhere(&self) -> Result<Vec<ReserveHolder>, StorageError> {
        let server = self.journals.server();
        let (folder_id, database_id) = (&self.keeper.folder_id, &self.database_id);
        elsewhere(server, folder_id, self.dir.root(), database_id)
    }

    /// Returns the accounts whose last owner was of an older build, which did not note its data folder.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn unnoted(&self) -> Result<Vec<UnnotedOwner>, StorageError> {
        let on = self.journals.server().clone();
        self.journals.server().wait(owners::unnoted(on))
    }

    /// Takes accounts over even where another folder may hold a reserve of them. Whoever does that
    /// halts them first of all, and then calls [`ReservedJournals::forget_elsewhere`].
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn without_others(mut self) -> Result<ReservedJournals, StorageError> {
        let (server, id) = (self.journals.server(), &self.keeper.folder_id);
        let on = server.clone();
        let noted = server.wait(async move { owners::noted(&on).await })?;
        for (folder_id, holder) in noted {
            let is_there = || has_reserve(self.dir.root(), &holder.account_id, &self.database_id);
            if folder_id != *id || is_there() {
                continue;
            }
            // From now on the database says it: the account's next reserve is made here at once, and
            // would pass for the one that is gone.
            let (on, id, holder) = (server.clone(), id.clone(), moved_away(holder));
            server.wait(async move { owners::disown(&on, &id, &holder).await })?;
        }
        self.keeper.without_others = true;
        Ok(self)
    }

    /// Forgets the other folders of an account that was taken over without them: what it lacks is
    /// accounted for, durably.
    ///
    /// # Errors
    /// `Unavailable`; the next start on another folder then asks again.
    pub fn forget_elsewhere(&self, account_id: &str) -> Result<(), StorageError> {
        let (on, id) = (self.journals.server().clone(), account_id.to_owned());
        let folder_id = self.keeper.folder_id.clone();
        let forgetting = async move { owners::forget_others(&on, &id, &folder_id).await };
        self.journals.server().wait(forgetting)
    }

    /// Returns the first and last record that wait in the reserve of each account in a data folder:
    /// for the server, or for the next start. Takes no lock and changes nothing.
    ///
    /// # Errors
    /// `Damaged`, `NewerVersion`: a reserve cannot be read; `Io`.
    pub fn waiting(root: &Path) -> Result<BTreeMap<String, (u64, u64)>, StorageError> {
        waiting_in_reserve(root)
    }
}

/// Returns what a start on a data folder would lack, and the accounts whose last owner did not note
/// its folder, for whoever looks before that. Takes no lock and changes nothing.
///
/// # Errors
/// `Setting` when the schema is older than this build needs, `NewerVersion`, `Unavailable`; `Damaged`
/// of the folder's id, `Io`.
pub fn look_for_reserves(
    server: &PgServer,
    root: &Path,
) -> Result<(Vec<ReserveHolder>, Vec<UnnotedOwner>), StorageError> {
    if schema::schema_version(server)? == 0 {
        return Ok((Vec::new(), Vec::new()));
    }
    // One without an id was never used with a database.
    let folder_id = folder_id_of(root)?.unwrap_or_default();
    let on = server.clone();
    let database_id = server.wait(async move {
        let client = on.shared().await?;
        owners::database_id(&on, &client).await
    })?;
    let holders = elsewhere(server, &folder_id, root, &database_id)?;
    Ok((holders, server.wait(owners::unnoted(server.clone()))?))
}

fn elsewhere(
    server: &PgServer,
    folder_id: &str,
    root: &Path,
    database_id: &str,
) -> Result<Vec<ReserveHolder>, StorageError> {
    let on = server.clone();
    let noted = server.wait(async move { owners::noted(&on).await })?;
    let lacking = noted.into_iter().filter_map(|(id, holder)| {
        if id != folder_id {
            return Some(holder);
        }
        (!has_reserve(root, &holder.account_id, database_id)).then(|| moved_away(holder))
    });
    Ok(lacking.collect())
}

/// Says where a reserve was that was moved out of its folder.
fn moved_away(holder: ReserveHolder) -> ReserveHolder {
    let folder = format!(
        "{}/reserve/{}, moved away",
        holder.folder, holder.account_id
    );
    ReserveHolder { folder, ..holder }
}
