//! Orders: requests in, orders and executions out.

mod change;
mod read;
mod submit;
mod terms;
mod write;

pub use change::{
    AmendDraft, AmendError, OrderRef, read_amend, read_cancel, read_cancel_all, read_order_ref,
};
pub(crate) use read::price;
pub use read::{read_execution, read_order};
pub use submit::read_submit;
pub use write::{execution, order};

#[cfg(test)]
mod tests;
