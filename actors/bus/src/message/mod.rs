//! What actors say to each other, one file an actor.

pub mod account;
mod class;
pub mod exposure;

pub use account::{
    AccountAnswer, AccountCommand, AccountEvent, AccountMessage, AccountQuery, AccountSummary,
    ClosingAnswer, CommandError, JournalHealth, KillSwitchTimes, OrderFilter, PAGE_LIMIT, Page,
    ReconcileState, VenueLink,
};
pub use class::Urgency;
pub use exposure::{ExposureError, ExposureMessage};
