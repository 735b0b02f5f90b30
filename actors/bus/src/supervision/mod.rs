//! What happens when a shell fails, and in which order shells stop.
//!
//! A panicking ractor actor discards its queue, so for a shell that owns money there is nothing
//! sound to restart into: a broken invariant in an account or journal shell aborts the whole
//! process ([`OnPanic::AbortProcess`]), and recovery is the ordinary start-up path. Other shells
//! (feeds, UI streams) are restarted with growing pauses ([`OnPanic::Restart`]) and resume from a
//! sequence; one that keeps failing is quarantined with a reason that operators see.
//!
//! ractor stops linked children in random order. [`Supervisor`] stops them one after the other,
//! the last of the list first, each drained before the next is asked.

mod backoff;
mod child;
mod state;
mod supervisor;
mod whole;

#[cfg(test)]
mod tests;

pub use backoff::Backoff;
pub use child::{ChildChange, ChildEvent, ChildSpec, ChildState, ChildStatus, OnPanic};
pub use state::SupervisorState;
pub use supervisor::{
    Abort, AbortHook, Own, Supervisor, SupervisorArguments, SupervisorMessage, abort_process,
};
pub use whole::{caught, whole};
