//! What actors say to each other, one file an actor.

pub mod account;
pub mod exposure;

pub use account::{
    AccountAnswer, AccountCommand, AccountEvent, AccountMessage, AccountQuery, AccountSummary,
    ClosingAnswer, CommandError, JournalHealth, KillSwitchTimes, OrderFilter, PAGE_LIMIT, Page,
    ReconcileState, VenueLink,
};
pub use exposure::{ExposureError, ExposureMessage};
