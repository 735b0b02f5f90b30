//! The venue: the truth about orders, fills, positions and money, which every account must come
//! to agree with. Each account has a ledger of its own; ids of trades are the venue's, and both
//! sides of a trade have the same one.

mod ledger;
mod market;
mod money;
mod orders;
mod snapshot;
mod strangers;

pub use ledger::{Ledger, VenueOrder};

use crate::instruments::Instruments;
use crate::setting::Setting;
use apex_domain::UnixNanos;
use apex_domain::venue::{VenueCommand, VenueReport};
use market::Fill;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// Trades of the venue so far: the next one gets the next id.
#[derive(Debug, Default)]
struct Trades(u64);

/// How the market treats an account at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Mood {
    /// A canceled order may trade once more, an execution may be taken back, or be told again
    /// with another content.
    pub second_thoughts: bool,
    /// Somebody trades by the venue's own page, and moves positions and cash.
    pub foreign: bool,
    /// Reports of the log that the account has durably heard of.
    pub heard: u64,
}

/// One venue.
#[derive(Debug)]
pub struct Venue {
    pub ledgers: Vec<Ledger>,
    trades: Trades,
}

impl Venue {
    pub fn new(setting: &Setting, instruments: &Arc<Instruments>, unique_ids: bool) -> Venue {
        let ledgers = (0..setting.accounts)
            .map(|account| Ledger::new(account, setting, Arc::clone(instruments), unique_ids));
        Venue {
            ledgers: ledgers.collect(),
            trades: Trades::default(),
        }
    }

    /// Takes an account's command. Reports go to its log; the answer to a query comes back.
    pub fn take(
        &mut self,
        account: usize,
        now: UnixNanos,
        command: VenueCommand,
        refused_cancels: f64,
        rng: &mut ChaCha8Rng,
    ) -> Option<VenueReport> {
        let refused = rng.random_bool(refused_cancels);
        self.ledgers[account].take(now, command, refused, &mut self.trades, rng)
    }

    /// The market moves for one account, or the accounts trade with each other.
    pub fn act(&mut self, account: usize, now: UnixNanos, mood: Mood, rng: &mut ChaCha8Rng) {
        if self.ledgers.len() > 1 && rng.random_bool(0.3) {
            return self.cross(now, rng);
        }
        self.ledgers[account].act(now, mood, &mut self.trades, rng);
    }

    /// Two accounts trade with each other: both fills have one id, and neither account may hear of
    /// the other's.
    fn cross(&mut self, now: UnixNanos, rng: &mut ChaCha8Rng) {
        let [first, second, ..] = self.ledgers.as_mut_slice() else {
            return;
        };
        let Some((ours, theirs)) = first.meeting(second, rng) else {
            return;
        };
        let quantity = first.leaves_of(&ours).min(second.leaves_of(&theirs));
        let price = first.price_of(&ours, rng);
        self.trades.0 += 1;
        for (ledger, id) in [(first, ours), (second, theirs)] {
            let fill = Fill {
                trade: self.trades.0,
                quantity,
                price,
            };
            ledger.fill(now, &id, fill);
        }
    }
}
