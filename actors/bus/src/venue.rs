//! The way of a command from an account to its venue.

use apex_domain::venue::VenueCommand;
use thiserror::Error;

/// The command did not go into the session. Whether the session lost it or never had it is told
/// by the link's next state; the order's outcome is asked for then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the venue session takes no command now")]
pub struct NotSent;

/// Takes commands for one account's session with a venue, in order and without waiting.
pub trait VenueSession: Send + Sync {
    /// Puts a command into the session's bounded queue.
    ///
    /// Errors: [`NotSent`] when the queue is full or the session is gone.
    fn send(&self, command: VenueCommand) -> Result<(), NotSent>;
}
