//! Alerts: what the machine of `apex-domain` decides about what this node sees, kept in records, and
//! told to people.
//!
//! An actor has the engine; a task looks at the platform and hands it what it saw, one look after the
//! other; each channel sends one message at a time in a task of its own. No part of trading waits for
//! any of them, and none of them for a channel.
//!
//! Start reading at [`engine`], then [`actor`].

mod actor;
pub mod channel;
mod engine;
pub mod settings;
mod watcher;

pub use actor::Alerts;
pub use settings::{AlertSettings, EmailSettings, MailTls, TelegramSettings, WebhookSettings};

use crate::NodeError;
use crate::metrics::NodeMetrics;
use crate::up::{Base, NodeOptions};
use apex_bus::handle::Platform;
use apex_gateway::{GatewayOptions, Readiness};
use std::sync::Arc;

/// Starts the alerts of a node; `None` in a replay, which raises none: what it shows is long over.
///
/// Errors: [`NodeError`].
pub(crate) async fn begin(
    base: &Base,
    options: &NodeOptions,
    platform: &Platform,
    readiness: &[Arc<dyn Readiness>],
) -> Result<Option<Alerts>, NodeError> {
    if base.audit.is_none() {
        return Ok(None);
    }
    let kept = (platform, base.stores.records.clone());
    let (clock, parts) = (base.clock.clone(), readiness.to_vec());
    // On the heap, so that it does not weigh on whoever serves.
    let starting = Alerts::start(&options.alerts, &options.data_dir, kept, clock, parts);
    Box::pin(starting).await.map(Some)
}

impl Alerts {
    /// Lets front ends and scrapes find them.
    pub(crate) fn show(&self, metrics: &NodeMetrics, gateway: &mut GatewayOptions) {
        metrics.watch_alerts(self.view());
        gateway.alerts = Some(self.desk());
    }
}

/// Returns what an alert is called outside.
pub(crate) fn alert_id(origin: &str, number: u64) -> String {
    format!("{origin}-{number}")
}
