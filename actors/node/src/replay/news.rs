//! What the account decides that no step of the replay asked for: what clients order and change.
//!
//! Without it the engine knew of what waits in the account by its own steps only, and a stop that a
//! client placed saw no price.

use apex_bus::message::AccountEvent;
use apex_bus::topic::{AsyncSubscription, Item, SubscribeError, Topic};
use apex_domain::account::Effects;
use apex_domain::event::Recorded;
use apex_strategy::LockStep;
use std::collections::VecDeque;

/// Events that are taken from the topic in one go.
const BATCH: usize = 256;

/// The account's events as they are published, in the order of the journal.
///
/// An answer to a step leaves before the step's own events are published, and behind the events of
/// everything decided before it. So when an answer has come, all that is new to the engine and came
/// before is here; what is here of the step itself, or came behind it, is not told before it.
#[derive(Debug)]
pub struct News {
    events: AsyncSubscription<AccountEvent>,
    batch: Vec<Item<AccountEvent>>,
    /// What was published and is not told yet.
    waiting: VecDeque<Item<AccountEvent>>,
    /// Journal sequence of the newest event that the engine knows of.
    known: u64,
}

impl News {
    /// Listens from now on. The account must not run yet.
    ///
    /// Errors: a topic that has no seat.
    pub fn new(events: &Topic<AccountEvent>) -> Result<News, SubscribeError> {
        Ok(News {
            events: events.subscribe_async("replay")?,
            batch: Vec::new(),
            waiting: VecDeque::new(),
            known: 0,
        })
    }

    /// Tells the engine what has been published and is new to it. No step may be under way.
    pub fn tell(&mut self, step: &mut LockStep) {
        self.tell_before(u64::MAX, step);
    }

    /// Tells the engine what came of a step, with what is new and came before it.
    pub fn answer(&mut self, effects: &Effects, step: &mut LockStep) {
        let sequence = |recorded: &Recorded| recorded.sequence;
        let first = effects.events.first().map_or(u64::MAX, sequence);
        self.tell_before(first, step);
        let last = effects.events.last().map_or(0, sequence);
        self.known = self.known.max(last);
        step.on_effects(effects);
    }

    fn tell_before(&mut self, end: u64, step: &mut LockStep) {
        while self.events.try_next_batch(&mut self.batch, BATCH) > 0 {
            self.waiting.extend(self.batch.drain(..));
        }
        let comes_before = |item: &mut Item<AccountEvent>| match item {
            Item::Value { value, .. } => value.recorded.sequence < end,
            Item::Gap { .. } => true,
        };
        while let Some(item) = self.waiting.pop_front_if(comes_before) {
            match item {
                Item::Value { value, .. } if value.recorded.sequence > self.known => {
                    self.known = value.recorded.sequence;
                    step.hear(&value.recorded);
                }
                Item::Value { .. } => {}
                Item::Gap { missed } => {
                    tracing::warn!(
                        missed,
                        "events of clients were missed: all prices are shown"
                    );
                    step.show_everything();
                }
            }
        }
    }
}
