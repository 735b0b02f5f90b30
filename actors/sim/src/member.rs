//! One account: its process, its session, its clients.

use crate::clients::Clients;
use crate::node::Node;
use crate::session::Session;
use apex_domain::UnixNanos;

#[derive(Debug)]
pub struct Member {
    pub node: Node,
    pub is_up: bool,
    pub session: Session,
    pub connections: u64,
    /// The process was told that its venue gives snapshots.
    pub is_gated: bool,
    /// No report of a numbered stream arrives before the one before it.
    pub stream_at: UnixNanos,
    /// How much of the venue's log was handed to the network.
    pub emitted: usize,
    /// How many of the venue's payments of funding were.
    pub funded: usize,
    pub clients: Clients,
    /// Event of the closing that began when the faults ended.
    pub last_close: Option<u64>,
}

impl Member {
    pub fn new(now: UnixNanos, clients: Clients) -> Member {
        Member {
            node: Node::new(now),
            is_up: true,
            session: Session::default(),
            connections: 0,
            is_gated: false,
            stream_at: now,
            emitted: 0,
            funded: 0,
            clients,
            last_close: None,
        }
    }
}
