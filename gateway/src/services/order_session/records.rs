//! Which records the commands under way are of, and which of those are durable.

use crate::audit::{self, Message, SHORT_WAIT};
use apex_bus::audit::Ticket;
use apex_proto::v1;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::collections::{BTreeMap, VecDeque};

/// The records whose commands are not all answered. Bounded by the window of commands.
#[derive(Default)]
pub(super) struct Records {
    newest: u64,
    /// Each with its commands that have no answer. Dropped with the last one, which writes what
    /// came of it.
    open: BTreeMap<u64, (Option<Message>, usize)>,
    /// Those that may not be durable yet, in order.
    tickets: VecDeque<(u64, BoxFuture<'static, bool>)>,
    /// The audit's writer ended before one was durable.
    lost: bool,
}

impl Records {
    /// So many commands from here on are of this record.
    pub fn open(&mut self, commands: usize, record: Option<(Message, Ticket)>) {
        self.newest += 1;
        let message = record.map(|(message, ticket)| {
            let durable = ticket.durable().boxed();
            self.tickets.push_back((self.newest, durable));
            message
        });
        self.open.insert(self.newest, (message, commands));
    }

    /// Returns the number of the record that a command handed over now is of.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    pub fn answered(&mut self, record: u64, answer: &v1::OrderSessionAnswer) {
        let Some((message, left)) = self.open.get_mut(&record) else {
            return;
        };
        *left -= 1;
        if let Some(message) = message {
            message.answered(answer);
        }
        if *left == 0 {
            self.open.remove(&record);
        }
    }

    /// Returns whether every record up to this one is durable, once that is known. What only takes
    /// exposure away does not wait long.
    pub async fn durable(&mut self, record: u64, waits: bool) -> bool {
        let patience = if waits { audit::PATIENCE } else { SHORT_WAIT };
        let up_to = |(number, _): &&mut (u64, BoxFuture<'static, bool>)| *number <= record;
        while let Some((_, ticket)) = self.tickets.front_mut().filter(up_to) {
            match tokio::time::timeout(patience, ticket).await {
                Ok(is_durable) => {
                    self.lost |= !is_durable;
                    self.tickets.pop_front();
                }
                // It may be later, for the answers behind these.
                Err(_) => return false,
            }
        }
        !self.lost
    }
}
