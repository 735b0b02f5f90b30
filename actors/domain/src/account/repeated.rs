//! A command over several orders that comes again under the request id that it had.

use super::commands::request_id_taken;
use super::machine::{Account, Step};
use super::requests::{Answered, Subject, Touched};
use super::types::Reply;
use crate::event::Command;
use crate::id::RequestId;
use crate::order::store::OrderIndex;
use crate::risk::{ReasonCode, TradingState};

impl Account {
    /// As for the account's own commands: the same request again is answered with the orders that
    /// it touched the first time, as they stand now. It changes nothing but for what a crash in
    /// the middle of it left over, see [`Account::cancel_the_rest`].
    pub(super) fn answer_command_again(
        &mut self,
        step: &mut Step<'_>,
        request_id: Option<&RequestId>,
        command: &Command,
        reason_code: ReasonCode,
    ) -> bool {
        let Some(answered) = self.requests.get(request_id) else {
            return false;
        };
        let (sequence, touched) = match &answered.subject {
            Subject::Command(known, touched) if **known == *command => {
                (answered.sequence, touched.clone())
            }
            _ => {
                step.refuse(request_id_taken(request_id));
                return true;
            }
        };
        self.cancel_the_rest(step, command, &touched, reason_code);
        match command {
            Command::Close(_) => step.effects.reply = Some(Reply::Done { sequence }),
            Command::CancelOrders(keys) => self.reply_outcomes_of(step, keys.clone(), &touched),
            _ => {
                let indexes: Vec<_> = working(&touched).collect();
                self.reply_orders(step, &indexes);
            }
        }
        true
    }

    /// Cancels what the command meant and never came to. Its cancels may be more than one write to
    /// the journal holds, and a crash between two writes keeps the command without the rest of
    /// them. Whoever sent it has no answer, and asks again. A cancel that the venue refused is
    /// none of those: that the command came to.
    fn cancel_the_rest(
        &mut self,
        step: &mut Step<'_>,
        command: &Command,
        touched: &[Touched],
        reason_code: ReasonCode,
    ) {
        for index in self.left_over(command, touched) {
            self.cancel_working(step, index, None, reason_code);
        }
    }

    fn left_over(&self, command: &Command, touched: &[Touched]) -> Vec<OrderIndex> {
        // Somebody has ended the halt since, and with it what it wanted.
        let is_over =
            matches!(command, Command::Halt { .. }) && self.trading_state != TradingState::Halted;
        if is_over {
            return Vec::new();
        }
        let never_canceled = |index: &OrderIndex| {
            let entry = self.orders.get(*index);
            let was_canceled = entry.cancel.is_some() || entry.refused_cancel.is_some();
            entry.is_working() && entry.held.is_none() && !was_canceled
        };
        working(touched).filter(never_canceled).collect()
    }

    /// Returns whether a command with this id was taken and has nothing left to decide: asking
    /// again only tells how things stand.
    pub fn has_carried_out(&self, request_id: Option<&RequestId>) -> bool {
        match self.requests.get(request_id) {
            None => false,
            Some(Answered {
                subject: Subject::Command(command, touched),
                ..
            }) => self.left_over(command, touched).is_empty(),
            Some(_) => true,
        }
    }
}

fn working(touched: &[Touched]) -> impl Iterator<Item = OrderIndex> {
    touched.iter().filter_map(|found| match found {
        Touched::Working(index) => Some(*index),
        Touched::Ended(_) | Touched::Missing => None,
    })
}
