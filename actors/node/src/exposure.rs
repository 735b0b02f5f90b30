//! The keeper of the limit over all accounts: its record in the data folder, and its start.

use crate::NodeError;
use apex_broker::{ExposureActor, ExposureArgs, LimitStore};
use apex_bus::exposure::ExposureHandle;
use apex_storage::Records;
use ractor::Actor;
use std::sync::Arc;

/// Table of the records store.
const TABLE: &str = "platform";

/// The only entry of it so far.
const KEY: &str = "exposure";

struct RecordStore(Arc<dyn Records>);

impl LimitStore for RecordStore {
    fn save(&self, record: &[u8]) -> Result<(), String> {
        let saved = self.0.put(TABLE, KEY, record);
        saved.map_err(|error| error.to_string())
    }
}

/// Starts the keeper from what the last run made durable, before any account starts.
///
/// Errors: [`NodeError`]; a record that cannot be read is refused, since without it the limit is
/// not known.
pub async fn start(records: Arc<dyn Records>) -> Result<ExposureHandle, NodeError> {
    let args = ExposureArgs {
        record: records.get(TABLE, KEY)?,
        store: Arc::new(RecordStore(records)),
    };
    let (actor, _running) = Actor::spawn(None, ExposureActor, args)
        .await
        .map_err(|error| NodeError::spawn("the keeper of the platform's exposure limit", &error))?;
    Ok(ExposureHandle::new(actor))
}
