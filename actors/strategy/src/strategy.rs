//! The trait of all strategies.

use crate::context::Context;
use crate::error::ParameterError;
use crate::subscription::Subscriptions;
use apex_domain::ClientOrderId;
use apex_domain::account::Refusal;
use apex_domain::event::Recorded;
use apex_domain::market::{Bar, BookDelta, BookSnapshot, FeedState, Quote, Trade};
use apex_domain::order::Order;

/// A change of a book or a whole one.
#[derive(Clone, Copy, Debug)]
pub enum BookUpdate<'a> {
    Delta(&'a BookDelta),
    Snapshot(&'a BookSnapshot),
}

/// A trading strategy. The same type runs in a backtest, in a replay, on paper and live.
///
/// A strategy decides from what its handlers are given and what the [`Context`] shows, and from
/// nothing else: no clock, no I/O, no randomness of its own. Then the same data gives the same
/// orders everywhere. A handler returns at once; what has to wait asks for a timer.
///
/// A handler that panics puts its strategy into quarantine: its working orders are canceled and
/// it is not called again, while others go on.
pub trait Strategy: Send {
    /// Declares what is to be delivered. Asked once, before the start.
    fn subscriptions(&self) -> Subscriptions;

    /// Called once before any data. After a restart `ctx` shows position, working orders and the
    /// saved state as they are.
    fn on_start(&mut self, _ctx: &mut Context<'_>) {}

    fn on_bar(&mut self, _ctx: &mut Context<'_>, _bar: &Bar) {}

    fn on_quote(&mut self, _ctx: &mut Context<'_>, _quote: &Quote) {}

    fn on_trade(&mut self, _ctx: &mut Context<'_>, _trade: &Trade) {}

    fn on_book(&mut self, _ctx: &mut Context<'_>, _update: BookUpdate<'_>) {}

    /// Called for each event of an own order, with the order as it stands after it.
    fn on_order(&mut self, _ctx: &mut Context<'_>, _order: &Order, _event: &Recorded) {}

    /// Called when a command could not be taken at all and left no event, such as a cancel of an
    /// order that has ended.
    fn on_refused(
        &mut self,
        _ctx: &mut Context<'_>,
        _client_order_id: &ClientOrderId,
        _refusal: &Refusal,
    ) {
    }

    /// Called when a timer that was asked for is due.
    fn on_timer(&mut self, _ctx: &mut Context<'_>, _tag: &str) {}

    fn on_feed_state(&mut self, _ctx: &mut Context<'_>, _state: &FeedState) {}

    /// Called when the parameters were changed while the strategy runs, with all that are given now;
    /// what is not among them has its default. Only those that the schema calls `live` differ from
    /// before.
    ///
    /// Errors: why they cannot be taken; the strategy is then quarantined, since nobody would know by
    /// which ones it trades.
    fn on_parameters(
        &mut self,
        _ctx: &mut Context<'_>,
        parameters: &[(String, String)],
    ) -> Result<(), ParameterError> {
        let name = parameters.first().map(|(name, _)| name.clone());
        let name = name.unwrap_or_default();
        Err(ParameterError::Fixed { name })
    }

    /// Called once at the end. Orders may still be canceled here; a position is left as it is
    /// unless the strategy closes it.
    fn on_stop(&mut self, _ctx: &mut Context<'_>) {}
}
