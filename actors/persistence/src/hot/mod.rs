//! The hot cache: the newest quote and book top of each instrument and the positions of each
//! account, written where other processes can read them. `docs/guide/redis.md` is what they read by.
//!
//! A [`HotKeeper`] holds the newest of each and nothing older, so it is as large as the node's
//! instruments and accounts are many. It never waits: the port takes what is set and writes it when
//! it can. A shell tells it what is new, and beats once a second. From the beats it learns that the
//! server was emptied, began anew or was away, and then sets everything again; and by them values
//! are set again before they expire, so that they live as long as their node and little longer.

#[cfg(test)]
mod tests;
mod value;

use apex_domain::market::{BookSnapshot, Quote};
use apex_domain::portfolio::Position;
use apex_domain::{AccountId, Instrument, UnixNanos};
use apex_storage::{Hot, HotHealth, StorageError};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What keys begin with, with the version of their layout: a change that a reader would notice gets
/// another number.
pub const NAMESPACE: &str = "apex:1:";

/// As [`NAMESPACE`], of a replay, whose accounts and instruments have the ids of others.
pub const REPLAY_NAMESPACE: &str = "apex-replay:1:";

/// How often [`HotKeeper::beat`] is to be called.
pub const BEAT: Duration = Duration::from_secs(1);

/// For how long a value holds: what a node that was killed leaves is gone so soon.
pub const VALID: Duration = Duration::from_secs(15);

/// Beats after which an unchanged value is set again: a third of [`VALID`], so that a pause of
/// either side has to last 10 s before a living node's value is missed.
const RENEWED_AFTER: u64 = 5;

/// Levels a side of a book that are written.
pub const LEVELS: usize = 5;

/// Figures of a keeper since its process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HotFigures {
    /// Values that are held, newest only.
    pub held: u64,
    /// Values that were handed to the port. Of several of one key that waited, it writes the newest.
    pub set: u64,
    /// Times when everything was set again, since the server was away, emptied or begun anew.
    pub rewrites: u64,
}

struct Held {
    value: Vec<u8>,
    set_at_beat: u64,
}

/// See the module.
pub struct HotKeeper {
    hot: Arc<dyn Hot>,
    namespace: &'static str,
    /// Of this run of this process.
    node: String,
    held: BTreeMap<String, Held>,
    beat: u64,
    /// Why the server could not be asked at the last beat.
    away: Option<String>,
    /// Values did not arrive at the last beat.
    was_degraded: bool,
    figures: HotFigures,
}

impl fmt::Debug for HotKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HotKeeper")
            .field("node", &self.node)
            .field("figures", &self.figures)
            .finish_non_exhaustive()
    }
}

impl HotKeeper {
    /// A keeper that holds nothing yet. `node` names this run of this process among all that write
    /// to the server.
    pub fn new(hot: Arc<dyn Hot>, namespace: &'static str, node: String) -> HotKeeper {
        HotKeeper {
            hot,
            namespace,
            node,
            held: BTreeMap::new(),
            beat: 0,
            away: None,
            was_degraded: false,
            figures: HotFigures::default(),
        }
    }

    pub fn figures(&self) -> HotFigures {
        HotFigures {
            held: self.held.len() as u64,
            ..self.figures
        }
    }

    /// Returns why values do not arrive now; `None` while they do.
    pub fn degraded(&self) -> Option<String> {
        match self.hot.health() {
            HotHealth::Degraded(reason) => Some(reason),
            HotHealth::Ready => self.away.clone(),
        }
    }

    /// Takes an instrument's newest quote.
    pub fn quote(&mut self, instrument: &Instrument, quote: &Quote) {
        let key = format!("{}quote:{}", self.namespace, instrument.instrument_id);
        self.set(key, value::quote(instrument, quote, &self.node));
    }

    /// Takes an instrument's newest book, of which the best [`LEVELS`] are written.
    pub fn book(&mut self, instrument: &Instrument, book: &BookSnapshot) {
        let key = format!("{}book:{}", self.namespace, instrument.instrument_id);
        self.set(key, value::book(instrument, book, &self.node));
    }

    /// Takes an account's positions at a sequence of its journal, each with its instrument; the flat
    /// ones are left out.
    pub fn positions(
        &mut self,
        account_id: &AccountId,
        sequence: u64,
        positions: &[(Position, Instrument)],
    ) {
        let key = format!("{}positions:{account_id}", self.namespace);
        let value = value::positions(account_id, sequence, positions, &self.node);
        self.set(key, value);
    }

    /// Returns the key to look up for the next [`HotKeeper::beat`].
    pub fn beat_key(&self) -> String {
        format!("{}node:{}", self.namespace, self.node)
    }

    /// Says that the node lives, with its time, after its key was looked up. Values that were lost
    /// are set again, and those that would expire.
    pub fn beat(&mut self, now: UnixNanos, found: Result<Option<Vec<u8>>, StorageError>) {
        let seen = match &found {
            Ok(value) => value.as_deref().and_then(value::beat),
            Err(_) => None,
        };
        self.away = found.err().map(|error| error.to_string());
        let is_degraded = self.degraded().is_some();
        // While it is degraded everything waits with the port, and is looked at once behind it.
        if !is_degraded && (self.was_degraded || self.is_lost(seen)) {
            self.rewrite();
        }
        self.was_degraded = is_degraded;
        self.renew();
        self.beat += 1;
        // Behind the values, so that a server that has it has those too.
        let beat = value::node(&self.node, self.beat, now);
        self.hot.set(&self.beat_key(), &beat, VALID);
    }

    /// Returns true when the server was emptied, or has an older copy: it has an earlier beat of this
    /// node than the last, with one in hand for a slow wire. A server that is emptied just before
    /// a beat arrives has that one alone; there values come back when they are renewed.
    fn is_lost(&self, seen: Option<u64>) -> bool {
        self.beat > 0 && seen < Some(self.beat - 1)
    }

    fn set(&mut self, key: String, value: Vec<u8>) {
        self.hot.set(&key, &value, VALID);
        self.figures.set += 1;
        let held = Held {
            value,
            set_at_beat: self.beat,
        };
        self.held.insert(key, held);
    }

    fn rewrite(&mut self) {
        self.figures.rewrites += 1;
        tracing::info!(
            values = self.held.len(),
            "the Redis server was away or emptied: all hot values are written again"
        );
        self.set_again(0);
    }

    fn renew(&mut self) {
        self.set_again(RENEWED_AFTER);
    }

    /// Sets what was last set so many beats ago or earlier.
    fn set_again(&mut self, age: u64) {
        for (key, held) in &mut self.held {
            if self.beat - held.set_at_beat >= age {
                self.hot.set(key, &held.value, VALID);
                held.set_at_beat = self.beat;
                self.figures.set += 1;
            }
        }
    }
}
