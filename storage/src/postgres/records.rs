//! Small keyed values, in a database.

use super::schema;
use super::server::PgServer;
use crate::StorageError;
use crate::port::records::{Entries, Records, check_input, check_table};

/// The records of a database.
#[derive(Clone, Debug)]
pub struct PgRecords {
    server: PgServer,
}

impl PgRecords {
    /// Prepares a database whose schema is up to date.
    ///
    /// # Errors
    /// `Setting` when the schema is older than this build needs, `NewerVersion`, `Unavailable`.
    pub fn new(server: &PgServer) -> Result<PgRecords, StorageError> {
        let on = server.clone();
        server.wait(async move {
            let client = on.shared().await?;
            schema::check(&on, &client).await
        })?;
        Ok(PgRecords {
            server: server.clone(),
        })
    }
}

impl Records for PgRecords {
    fn get(&self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        check_input(table, key, &[])?;
        let (on, table, key) = (self.server.clone(), table.to_owned(), key.to_owned());
        self.server.wait(async move {
            let client = on.shared().await?;
            let asked = "SELECT value FROM record WHERE table_name = $1 AND key = $2";
            let row = on
                .query_opt(&client, asked, &[&table, &key.as_bytes()])
                .await?;
            Ok(row.map(|row| row.get(0)))
        })
    }

    fn put(&self, table: &str, key: &str, value: &[u8]) -> Result<(), StorageError> {
        check_input(table, key, value)?;
        let (on, table, key) = (self.server.clone(), table.to_owned(), key.to_owned());
        let value = value.to_vec();
        self.server.wait(async move {
            let client = on.shared().await?;
            let store = "INSERT INTO record (table_name, key, value) VALUES ($1, $2, $3) \
                         ON CONFLICT (table_name, key) DO UPDATE SET value = excluded.value";
            on.execute(&client, store, &[&table, &key.as_bytes(), &value])
                .await?;
            Ok(())
        })
    }

    fn delete(&self, table: &str, key: &str) -> Result<bool, StorageError> {
        check_input(table, key, &[])?;
        let (on, table, key) = (self.server.clone(), table.to_owned(), key.to_owned());
        self.server.wait(async move {
            let client = on.shared().await?;
            let remove = "DELETE FROM record WHERE table_name = $1 AND key = $2";
            let removed = on
                .execute(&client, remove, &[&table, &key.as_bytes()])
                .await?;
            Ok(removed > 0)
        })
    }

    fn list(&self, table: &str) -> Result<Entries, StorageError> {
        check_table(table)?;
        let (on, table) = (self.server.clone(), table.to_owned());
        let rows = self.server.wait(async move {
            let client = on.shared().await?;
            let asked = "SELECT key, value FROM record WHERE table_name = $1 ORDER BY key";
            on.query(&client, asked, &[&table]).await
        })?;
        rows.iter()
            .map(|row| {
                let key = String::from_utf8(row.get(0)).map_err(|_| StorageError::Damaged {
                    position: crate::error::Position {
                        segment: "record".to_owned(),
                        offset: 0,
                        sequence: 0,
                    },
                    reason: crate::error::Damage::Malformed("key"),
                })?;
                Ok((key, row.get(1)))
            })
            .collect()
    }
}
