//! Typed topics: one bounded ring per topic, a cursor per subscriber.
//!
//! A publisher writes into the ring, stores the head, looks at the mask of sleeping subscribers
//! and rings the doorbell of each sleeping one, once. A subscriber drains in batches, stores its
//! cursor once per batch, and before it sleeps sets its bit and looks again, so that no wake-up is
//! ever lost and none is sent to a subscriber that is busy anyway.
//!
//! What happens to a subscriber that does not keep up is the topic's [`Policy`], chosen where the
//! topic is declared and never at run time:
//!
//! | policy   | made by             | a full ring                                              |
//! |----------|---------------------|----------------------------------------------------------|
//! | block    | [`Topic::block`]    | the publisher waits, up to a stated patience             |
//! | conflate | [`Topic::conflate`] | the latest per key wins, with the number it overwrote    |
//! | gap      | [`Topic::gap`]      | the oldest are dropped, and the subscriber is told       |
//! | halt     | [`Topic::halt`]     | the publisher gets an error that means: stop trading     |
//!
//! For every subscriber, always: published since it subscribed = received + announced as dropped
//! + pending. [`Topic::stats`] shows exactly these numbers.
//!
//! The topic code is safe Rust: each run of slots has its own `RwLock`, taken once per run and
//! not once per value, which costs about a nanosecond per value in batches.

mod core;
mod desk;
mod error;
mod item;
mod latest;
mod publisher;
mod ring;
mod seat;
mod stats;
mod subscription;

#[cfg(test)]
mod behaviour_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod stress_tests;

pub use error::{PublishError, SubscribeError};
pub use item::{Capacity, Item, Keyed, Policy};
pub use publisher::Topic;
pub use seat::{Doorbell, MAX_SUBSCRIBERS};
pub use stats::{StatsSource, SubscriberStats, TopicStats};
pub use subscription::{AsyncSubscription, Drained, Subscription};
