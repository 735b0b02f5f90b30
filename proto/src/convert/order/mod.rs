//! Orders: requests in, orders and executions out.

mod change;
mod list;
mod read;
mod submit;
mod terms;
mod write;

pub use change::{
    AmendDraft, AmendError, OrderRef, read_amend, read_cancel, read_cancel_all, read_order_ref,
    read_resolve,
};
pub use list::{
    CancelOrders, Close, read_cancel_orders, read_close, read_flatten, read_submit_list,
};
pub(crate) use read::{price, quantity};
pub use read::{read_execution, read_order};
pub use submit::{read_submit, unknown_instrument};
pub use write::{execution, order, preview, strategy_submit, strategy_submit_list};

#[cfg(test)]
mod tests;
