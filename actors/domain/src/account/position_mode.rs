//! Whether the account keeps positions net or hedged.
//!
//! The mode decides which new orders are taken, and nothing else: an execution is booked to the
//! side of its order, and to the net position where it has none, whatever the mode says.

use super::machine::{Account, Step};
use super::requests::Subject;
use super::types::Refusal;
use crate::event::{Event, PositionMode, Recorded};
use crate::id::RequestId;
use crate::order::PositionSide;
use crate::order::store::OrderIndex;

impl Account {
    /// Returns how the account keeps positions: what was set last, else what the orders of an
    /// older journal show, else [`PositionMode::Netting`].
    pub fn position_mode(&self) -> PositionMode {
        self.position_mode.unwrap_or_default()
    }

    pub(super) fn set_position_mode(
        &mut self,
        step: &mut Step<'_>,
        request_id: Option<RequestId>,
        mode: PositionMode,
        by: String,
    ) {
        let subject = Subject::PositionMode(mode);
        if self.answer_again(step, request_id.as_ref(), &subject) {
            return;
        }
        let changes = mode != self.position_mode();
        let positions = self.positions().filter(|it| !it.is_flat()).count();
        let orders = self.orders.working().len();
        if changes && positions + orders > 0 {
            return step.refuse(Refusal::PositionModeInUse { positions, orders });
        }
        // As for the trading state: one that changes nothing is remembered by its id.
        if changes || request_id.is_some() {
            self.record(
                step,
                Event::PositionModeSet {
                    request_id,
                    mode,
                    by,
                },
            );
        }
        self.done(step);
    }

    pub(super) fn take_position_mode(&mut self, recorded: &Recorded) {
        let Event::PositionModeSet {
            request_id, mode, ..
        } = &recorded.event
        else {
            return;
        };
        self.position_mode = Some(*mode);
        let subject = Subject::PositionMode(*mode);
        let (sequence, ts) = (recorded.sequence, recorded.ts);
        self.requests
            .remember(request_id.as_ref(), subject, sequence, ts);
    }

    /// Folds an order that was taken with a side while no mode was set: a journal from before
    /// there were modes, of an account that hedges. Nothing decides so since then.
    pub(super) fn infer_position_mode(&mut self, event: &Event, index: OrderIndex) {
        let was_taken = matches!(
            event,
            Event::OrderSubmitted { .. } | Event::OrderHeld { .. } | Event::OrderHeldUntil { .. }
        );
        let terms = &self.orders.get(index).order.request.terms;
        if was_taken && self.position_mode.is_none() && terms.position_side != PositionSide::Net {
            self.position_mode = Some(PositionMode::Hedging);
        }
    }
}
