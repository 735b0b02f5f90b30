//! Commands of strategies on their way to the account.

use super::{LockStep, Origin};
use crate::command::StrategyCommand;
use crate::mark::Mark;
use apex_domain::account::AccountInput;
use apex_domain::order::{AmendOrder, OrderKey, SubmitList, SubmitOrder};
use apex_domain::risk::ReasonCode;
use apex_domain::{ClientOrderId, InstrumentId};
use std::collections::BTreeMap;

impl LockStep {
    pub(super) fn carry_out(&mut self, index: usize, command: StrategyCommand) {
        match command {
            StrategyCommand::Submit(request) => self.submit(index, request),
            StrategyCommand::SubmitList(list) => self.submit_list(index, list),
            StrategyCommand::Amend(request) => self.amend(index, request),
            StrategyCommand::Cancel(client_order_id) => {
                let input = AccountInput::Cancel {
                    key: OrderKey::ClientOrderId(client_order_id.clone()),
                    request_id: None,
                    reason_code: ReasonCode::CanceledByUser,
                };
                self.ask(index, input, vec![client_order_id]);
            }
            StrategyCommand::CancelAll(filter) => {
                let input = AccountInput::CancelAll {
                    filter,
                    reason_code: ReasonCode::CanceledByUser,
                    request_id: None,
                };
                self.inputs.push_back((input, None));
            }
            StrategyCommand::Close { scope, request_id } => {
                if let Some(id) = &scope.instrument_id {
                    self.begin_showing(id);
                }
                let about = scope.client_order_id.iter().cloned().collect();
                let request_id = Some(request_id);
                self.ask(index, AccountInput::Close { scope, request_id }, about);
            }
            StrategyCommand::Timer { at, tag } => self.arm(index, at, tag),
            // The ledger holds it already; a host writes it down from the same command.
            StrategyCommand::SaveState(_) => {}
            StrategyCommand::Log(text) => {
                let strategy_id = self.runners[index].strategy_id().clone();
                self.notes.log(self.clock, strategy_id, text);
            }
        }
    }

    fn submit(&mut self, index: usize, request: Box<SubmitOrder>) {
        if request.order_type.is_conditional() {
            self.begin_showing(&request.instrument_id);
        }
        let about = vec![request.client_order_id.clone()];
        let market = self.market_ref(&request.instrument_id);
        self.ask(index, AccountInput::Submit { request, market }, about);
    }

    fn submit_list(&mut self, index: usize, list: Box<SubmitList>) {
        let mut markets = BTreeMap::new();
        for order in &list.orders {
            let id = &order.instrument_id;
            self.begin_showing(id);
            markets.insert(id.clone(), self.market_ref(id));
        }
        let ids = list.orders.iter();
        let about = ids.map(|order| order.client_order_id.clone()).collect();
        self.ask(index, AccountInput::SubmitList { list, markets }, about);
    }

    fn amend(&mut self, index: usize, request: AmendOrder) {
        // The context that strategies are given makes no other key.
        let OrderKey::ClientOrderId(client_order_id) = request.key.clone() else {
            return;
        };
        let market = self.runners[index]
            .ledger()
            .order(&client_order_id)
            .map(|order| self.market_ref(&order.request.instrument_id))
            .unwrap_or_default();
        let input = AccountInput::Amend { request, market };
        self.ask(index, input, vec![client_order_id]);
    }

    fn ask(&mut self, strategy: usize, input: AccountInput, client_order_ids: Vec<ClientOrderId>) {
        let origin = Origin {
            strategy,
            client_order_ids,
        };
        self.inputs.push_back((input, Some(origin)));
    }

    /// Shows the account the market as it stands, the first time that it matters: an order that
    /// is held is looked at from then on, and not by a price of long ago.
    fn begin_showing(&mut self, id: &InstrumentId) {
        let view = self.marks.get(id).and_then(Mark::view);
        if self.interest.show(id)
            && let Some(view) = view
        {
            self.show_account(id.clone(), view);
        }
    }
}
