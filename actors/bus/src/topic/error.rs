//! What can go wrong at a topic, by what the caller does next.

use std::sync::Arc;
use std::time::Duration;

/// Why values were not published. The first `published` values of a batch were, where the variant
/// has that field; where it has not, none were.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The topic was closed. Give up: the process is shutting down.
    #[error("topic {topic:?} is closed")]
    Closed {
        /// The topic's name.
        topic: Arc<str>,
        /// How many values of the batch were published before.
        published: usize,
    },
    /// A block topic has no room for all of it now (`try_publish` only). Retry later or await.
    #[error("topic {topic:?} is full: subscriber {subscriber:?} is the slowest")]
    Full {
        /// The topic's name.
        topic: Arc<str>,
        /// The subscriber that is furthest behind.
        subscriber: Arc<str>,
    },
    /// A block topic had no room within its patience. Treat the subscriber as broken.
    #[error("topic {topic:?} waited {waited:?} for subscriber {subscriber:?}")]
    Slow {
        /// The topic's name.
        topic: Arc<str>,
        /// The subscriber that is furthest behind.
        subscriber: Arc<str>,
        /// The topic's patience.
        waited: Duration,
        /// How many values of the batch were published before.
        published: usize,
    },
    /// A halt topic has no room. The publisher must stop trading: nothing may be lost here.
    #[error("topic {topic:?} must not lose, and subscriber {subscriber:?} left it full: halt")]
    Halt {
        /// The topic's name.
        topic: Arc<str>,
        /// The subscriber that is furthest behind.
        subscriber: Arc<str>,
    },
    /// A conflated topic saw more keys than its capacity. Declare it larger.
    #[error("topic {topic:?} holds its {keys} keys and takes no further one")]
    TooManyKeys {
        /// The topic's name.
        topic: Arc<str>,
        /// Its capacity.
        keys: u64,
        /// How many values of the batch were published before.
        published: usize,
    },
}

impl PublishError {
    /// Adds what earlier parts of the same batch had published.
    pub(super) fn after(mut self, earlier: usize) -> Self {
        match &mut self {
            PublishError::Closed { published, .. }
            | PublishError::Slow { published, .. }
            | PublishError::TooManyKeys { published, .. } => *published += earlier,
            PublishError::Full { .. } | PublishError::Halt { .. } => {}
        }
        self
    }
}

/// Why a subscription was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// The topic was closed. Give up: the process is shutting down.
    #[error("topic {topic:?} is closed")]
    Closed {
        /// The topic's name.
        topic: Arc<str>,
    },
    /// The topic has all the subscribers it can have. Share a subscription.
    #[error("topic {topic:?} has its {limit} subscribers, {subscriber:?} is one too many")]
    TooManySubscribers {
        /// The topic's name.
        topic: Arc<str>,
        /// Who asked.
        subscriber: Arc<str>,
        /// [`super::MAX_SUBSCRIBERS`].
        limit: usize,
    },
}
