//! What the account may not decide, by the state that it was in before.

use apex_domain::account::{AccountInput, Effects};
use apex_domain::event::Event;
use apex_domain::market::Side;
use apex_domain::order::{PositionSide, SubmitOrder};
use apex_domain::risk::TradingState;
use apex_domain::{Account, ClientOrderId, OrderId};

/// What a client's order meets. Orders with which the account closes positions are no client's:
/// they pass where no other does.
#[derive(Clone, Debug)]
pub struct Before {
    is_reconciled: bool,
    state: TradingState,
    asked: Vec<Asked>,
}

#[derive(Clone, Debug)]
struct Asked {
    client_order_id: ClientOrderId,
    side: Side,
    /// Signed position that the order means.
    held: i64,
    /// It closes one side of a hedging account.
    closes_side: bool,
}

impl Before {
    /// Returns what the orders of a command meet; `None` for every other input.
    pub fn of(account: &Account, input: &AccountInput) -> Option<Before> {
        let asked = |request: &SubmitOrder| Asked {
            client_order_id: request.client_order_id.clone(),
            side: request.side,
            held: meant(account, request),
            closes_side: closes_side(request),
        };
        let asked = match input {
            AccountInput::Submit { request, .. } => vec![asked(request)],
            AccountInput::SubmitList { list, .. } => list.orders.iter().map(asked).collect(),
            AccountInput::Amend { .. } => Vec::new(),
            AccountInput::OfSession { input, .. } => return Before::of(account, input),
            _ => return None,
        };
        Some(Before {
            is_reconciled: account.is_reconciled(),
            state: account.trading_state(),
            asked,
        })
    }

    /// Checks what was decided then. Errors: what may not be.
    pub fn allows(&self, effects: &Effects) -> Result<(), String> {
        let events = || effects.events.iter().map(|recorded| &recorded.event);
        let amends = events().any(|event| {
            matches!(
                event,
                Event::OrderPendingAmend {
                    request_id: Some(_),
                    ..
                }
            )
        });
        let taken = events().filter_map(|event| match event {
            Event::OrderInitialized {
                order_id,
                request,
                quantity,
                ..
            } => {
                let mut asked = self.asked.iter();
                let own = asked.find(|one| one.client_order_id == request.client_order_id)?;
                Some((order_id, own, quantity.0))
            }
            _ => None,
        });
        let taken: Vec<(&OrderId, &Asked, i64)> = taken.collect();
        if !self.is_reconciled && (amends || !taken.is_empty()) {
            return Err("an order was taken before the account agreed with its venue".to_owned());
        }
        let leaves = |id: &OrderId| {
            events()
                .any(|event| matches!(event, Event::OrderSubmitted { order_id } if order_id == id))
        };
        for (order_id, asked, quantity) in taken {
            let is_refused = match self.state {
                TradingState::Active => false,
                TradingState::Reducing => asked.held.signum() * asked.side.sign() >= 0,
                TradingState::Halted => true,
            };
            if is_refused && leaves(order_id) {
                let (state, id) = (self.state, &asked.client_order_id);
                return Err(format!("order {id} left while trading was {state:?}"));
            }
            if asked.closes_side && quantity > asked.held.abs() && leaves(order_id) {
                let (held, id) = (asked.held, &asked.client_order_id);
                return Err(format!(
                    "order {id} of {quantity} left to close a side of {held}"
                ));
            }
        }
        Ok(())
    }
}

fn closes_side(request: &SubmitOrder) -> bool {
    matches!(
        (request.terms.position_side, request.side),
        (PositionSide::Long, Side::Sell) | (PositionSide::Short, Side::Buy)
    )
}

/// Returns the position that an order adds to or reduces.
fn meant(account: &Account, request: &SubmitOrder) -> i64 {
    let held = account.portfolio().positions_of(&request.instrument_id);
    let side = request.terms.position_side;
    let own = held.filter(|position| side == PositionSide::Net || position.side == side);
    own.map(|position| position.quantity).sum()
}
