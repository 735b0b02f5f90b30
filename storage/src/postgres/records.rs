//! Small keyed values, in a database.

use super::record_changes::Writer;
use super::schema;
use super::server::PgServer;
use crate::StorageError;
use crate::port::records::{
    Change, Entries, PAGE_BYTES, Page, Records, check_changes, check_input, check_table,
};
use tokio_postgres::Row;

/// The records of a database.
#[derive(Clone, Debug)]
pub struct PgRecords {
    server: PgServer,
    writer: Writer,
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
            writer: Writer::new(server),
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
        entries(&rows)
    }

    fn change(&self, changes: &[Change]) -> Result<(), StorageError> {
        check_changes(changes)?;
        if changes.is_empty() {
            return Ok(());
        }
        let (writer, changes) = (self.writer.clone(), changes.to_vec());
        self.server
            .wait(async move { writer.change(&changes).await })
    }

    fn page(&self, table: &str, page: &Page<'_>) -> Result<Entries, StorageError> {
        check_table(table)?;
        let (on, table) = (self.server.clone(), table.to_owned());
        let prefix = page.prefix.as_bytes().to_vec();
        let behind = end_of(&prefix);
        let after = page.after.map(|key| key.as_bytes().to_vec());
        // At most MAX_PAGE and PAGE_BYTES, so the casts keep the values.
        let (limit, bytes) = (page.entries() as i64, PAGE_BYTES as i64);
        let rows = self.server.wait(async move {
            let client = on.shared().await?;
            on.query(
                &client,
                PAGE,
                &[&table, &prefix, &behind, &after, &limit, &bytes],
            )
            .await
        })?;
        entries(&rows)
    }

    fn now_ns(&self) -> Result<i64, StorageError> {
        let on = self.server.clone();
        self.server.wait(async move {
            let client = on.shared().await?;
            // Of this moment, not of the transaction's begin.
            let asked = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8";
            let row = on.query_one(&client, asked, &[]).await?;
            let microseconds: i64 = row.get(0);
            Ok(microseconds.saturating_mul(1_000))
        })
    }
}

/// The sum is over the lengths alone, so that values behind the page's end are never read.
const PAGE: &str = "
SELECT key, value FROM (
    SELECT key, value, sum(octet_length(value)) OVER (ORDER BY key) - octet_length(value) AS before
    FROM (
        SELECT key, value FROM record
        WHERE table_name = $1 AND key >= $2
          AND ($3::bytea IS NULL OR key < $3) AND ($4::bytea IS NULL OR key > $4)
        ORDER BY key LIMIT $5
    ) AS found
) AS summed
WHERE before < $6 ORDER BY key";

/// Returns the first bytes that are behind everything with a prefix; `None` when all is before.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    // The last byte of a text is never 255, so one more is in range.
    *end.last_mut()? += 1;
    Some(end)
}

fn entries(rows: &[Row]) -> Result<Entries, StorageError> {
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
