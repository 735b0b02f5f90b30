//! The venue session of the process: what it knows about its own sends, and what that proves.

use crate::node::Node;
use apex_domain::time::NANOS_PER_SECOND;
use apex_domain::venue::{VenueCommand, VenueReport};
use apex_domain::{ClientOrderId, UnixNanos};
use std::collections::BTreeMap;

/// The venue drops a command that it sees later than this after its timestamp. Shorter than the
/// account's own patience, as that asks of a session.
pub const RECEIVE_WINDOW_NS: i64 = 3 * NANOS_PER_SECOND;

/// A command with the time it was signed at, as the venue checks it.
#[derive(Clone, Debug)]
pub struct Signed {
    pub command: VenueCommand,
    pub ts: UnixNanos,
}

impl Signed {
    /// Returns true when the venue still takes it at `venue_now`.
    pub fn is_current(&self, venue_now: UnixNanos) -> bool {
        venue_now.since(self.ts) <= RECEIVE_WINDOW_NS
    }
}

/// State of one process's session; all of it dies with the process.
#[derive(Debug, Default)]
pub struct Session {
    /// Which connection is up; messages of others are dropped where the transport has any.
    pub connection: Option<u64>,
    last_sent: BTreeMap<ClientOrderId, UnixNanos>,
}

impl Session {
    pub fn sign(&mut self, command: VenueCommand, now: UnixNanos) -> Signed {
        if let VenueCommand::New(order) = &command {
            self.last_sent.insert(order.client_order_id.clone(), now);
        }
        Signed { command, ts: now }
    }

    /// Says whether "not found" is proof: nothing more is about to leave, and venue time has
    /// passed the window of every send there can have been. What a process before this one sent
    /// was signed before this one started.
    pub fn judge(&self, report: VenueReport, node: &Node) -> VenueReport {
        match report {
            VenueReport::NotFound {
                client_order_id,
                ts_event,
                ..
            } => {
                let sent = self.last_sent.get(&client_order_id).copied();
                let last = sent.unwrap_or(node.started).max(node.started);
                let passed = ts_event.since(last) > RECEIVE_WINDOW_NS;
                VenueReport::NotFound {
                    proof: passed && !node.is_sending(&client_order_id),
                    client_order_id,
                    ts_event,
                }
            }
            other => other,
        }
    }
}
