//! Single orders that cannot be told.

use super::{shutting_down, with_reason};
use apex_bus::order_feed::OrderFeedError;
use apex_domain::InstrumentId;
use tonic::{Code, Status};

/// A feed that has levels only.
pub fn no_single_orders(instrument_id: &InstrumentId) -> Status {
    let message = format!(
        "the feed of \"{instrument_id}\" tells no single orders, only the simulated market inside \
         `apextrade up` does: read the levels by GetBook or Subscribe"
    );
    with_reason(
        Code::FailedPrecondition,
        "NO_SINGLE_ORDERS",
        message,
        &[("instrument_id", instrument_id.as_str())],
    )
}

/// A book whose orders are too many for one message.
pub fn book_too_large(instrument_id: &InstrumentId, orders_max: usize) -> Status {
    let message = format!(
        "the book of \"{instrument_id}\" holds more than {orders_max} orders, which is the most \
         that is streamed: read its best levels by GetOrderBook"
    );
    with_reason(
        Code::FailedPrecondition,
        "BOOK_TOO_LARGE",
        message,
        &[("instrument_id", instrument_id.as_str())],
    )
}

/// A feed that did not tell its orders.
pub fn order_feed(error: OrderFeedError, instrument_id: &InstrumentId) -> Status {
    match error {
        OrderFeedError::NotListed => no_single_orders(instrument_id),
        OrderFeedError::Stopped => shutting_down(),
    }
}
