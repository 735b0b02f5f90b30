//! What a strategy asks for.

use apex_domain::account::CancelFilter;
use apex_domain::event::CloseScope;
use apex_domain::order::{AmendOrder, SubmitList, SubmitOrder};
use apex_domain::{ClientOrderId, RequestId, UnixNanos};

/// A recorded wish of a strategy, in the order in which it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StrategyCommand {
    Submit(Box<SubmitOrder>),
    /// Orders that belong together.
    SubmitList(Box<SubmitList>),
    Amend(AmendOrder),
    Cancel(ClientOrderId),
    CancelAll(CancelFilter),
    /// Close the strategy's own position. The scope names its first order.
    Close {
        scope: CloseScope,
        request_id: RequestId,
    },
    /// Call `on_timer` with `tag` at `at`, which is later than the time of asking.
    Timer {
        at: UnixNanos,
        tag: String,
    },
    /// Keep these bytes; they come back as `Context::saved_state` after a restart.
    SaveState(Vec<u8>),
    Log(String),
}

impl StrategyCommand {
    /// Returns the orders that would be new, in the order in which they were asked for.
    pub fn new_orders(&self) -> &[SubmitOrder] {
        match self {
            StrategyCommand::Submit(request) => std::slice::from_ref(request),
            StrategyCommand::SubmitList(list) => &list.orders,
            _ => &[],
        }
    }
}
