//! What operators do: the kill switch, reducing, resuming, closing, limits and cash.

use super::Clients;
use crate::instruments;
use apex_domain::Account;
use apex_domain::account::{AccountInput, ForeignCancel, PaperReset};
use apex_domain::event::{CloseScope, PositionMode};
use apex_domain::number::Decimal;
use apex_domain::risk::TradingState;
use apex_domain::{ClientOrderId, Money, StrategyId, VenueOrderId};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

impl Clients {
    pub(super) fn operate(&mut self, account: &Account, rng: &mut ChaCha8Rng) -> AccountInput {
        let active = account.trading_state() == TradingState::Active;
        if self.setting.foreign && rng.random_bool(0.3) {
            return self.cancel_foreign(rng);
        }
        if rng.random_bool(0.05) {
            return self.set_position_mode(account, rng);
        }
        match rng.random_range(0..10) {
            0..5 if !active => self.set_state(TradingState::Active, rng),
            0 | 1 => self.set_state(TradingState::Reducing, rng),
            2 => self.set_state(TradingState::Halted, rng),
            3 => self.halt(rng),
            4 => self.adjust_cash(rng),
            5..=7 if self.closes() => self.close(rng),
            _ => self.set_limits(account, rng),
        }
    }

    pub(super) fn set_state(&mut self, state: TradingState, rng: &mut ChaCha8Rng) -> AccountInput {
        AccountInput::SetTradingState {
            request_id: rng.random_bool(0.5).then(|| self.some_request(rng)),
            state,
            by: "ops".to_owned(),
            reason: "drill".to_owned(),
        }
    }

    /// Asks for the mode of the run, or for the other one while something keeps it from being set.
    fn set_position_mode(&mut self, account: &Account, rng: &mut ChaCha8Rng) -> AccountInput {
        let is_held = account.positions().any(|position| !position.is_flat());
        let mode = match self.setting.hedging != (is_held && rng.random_bool(0.7)) {
            true => PositionMode::Hedging,
            false => PositionMode::Netting,
        };
        AccountInput::SetPositionMode {
            request_id: rng.random_bool(0.5).then(|| self.some_request(rng)),
            mode,
            by: "ops".to_owned(),
        }
    }

    /// Cancels what strangers have at the venue: all of it, or an order that is not there.
    fn cancel_foreign(&mut self, rng: &mut ChaCha8Rng) -> AccountInput {
        let none = || VenueOrderId::new("nobody").expect("venue order id is well formed");
        AccountInput::CancelForeign(ForeignCancel {
            request_id: rng.random_bool(0.5).then(|| self.some_request(rng)),
            venue_order_ids: rng.random_bool(0.2).then(none).into_iter().collect(),
            by: "ops".to_owned(),
            reason: "drill".to_owned(),
        })
    }

    fn halt(&mut self, rng: &mut ChaCha8Rng) -> AccountInput {
        AccountInput::Halt {
            request_id: Some(self.some_request(rng)),
            cancel: rng.random_bool(0.7),
            flatten: self.closes() && rng.random_bool(0.4),
            by: "ops".to_owned(),
            reason: "drill".to_owned(),
        }
    }

    fn close(&mut self, rng: &mut ChaCha8Rng) -> AccountInput {
        let chosen = rng.random_range(0..self.instruments.len());
        let request_id = self.some_request(rng);
        let named = rng.random_bool(0.2);
        let client_order_id = ClientOrderId::new(&format!("close-{request_id}"));
        let client_order_id = client_order_id.expect("client order id is well formed");
        AccountInput::Close {
            scope: CloseScope {
                instrument_id: rng
                    .random_bool(0.7)
                    .then(|| self.instruments[chosen].clone()),
                strategy_id: rng.random_bool(0.3).then(StrategyId::manual),
                client_order_id: named.then_some(client_order_id),
            },
            request_id: Some(request_id),
        }
    }

    fn set_limits(&mut self, account: &Account, rng: &mut ChaCha8Rng) -> AccountInput {
        let expected_sequence = rng.random_bool(0.3).then(|| {
            let stale = u64::from(rng.random_bool(0.3));
            account.limits_sequence() + stale
        });
        if !self.limits.is_empty() && rng.random_bool(0.2) {
            let (request_id, limits) = self.limits[rng.random_range(0..self.limits.len())].clone();
            return AccountInput::SetLimits {
                request_id: Some(request_id),
                limits: Box::new(limits),
                expected_sequence,
            };
        }
        let (request_id, limits) = (self.next_request(), self.setting.limits(rng));
        self.limits.push((request_id.clone(), limits.clone()));
        AccountInput::SetLimits {
            request_id: Some(request_id),
            limits: Box::new(limits),
            expected_sequence,
        }
    }

    /// Pays in or out. Where the venue tells balances it knows nothing of this, so nobody does it.
    fn adjust_cash(&mut self, rng: &mut ChaCha8Rng) -> AccountInput {
        let told = self.setting.snapshots.as_ref();
        let told = told.is_some_and(|snapshots| snapshots.balances);
        let amount = if told || self.setting.is_bounded() {
            Decimal::ZERO
        } else {
            Decimal::new(rng.random_range(-500_000..500_000), 3)
        };
        let request_id = Some(self.some_request(rng));
        // Now and then all of it at once. The amount decides, so that a seed draws as before.
        if !amount.is_zero() && amount.mantissa() % 4 == 0 {
            let opening = self.setting.opening_cash().into_iter();
            let cash = opening.map(|(unit, amount)| (instruments::currency(unit), amount));
            let cash = cash.collect();
            return AccountInput::ResetPaper(PaperReset {
                request_id,
                cash,
                by: "ops".to_owned(),
            });
        }
        AccountInput::AdjustCash {
            request_id,
            currency: instruments::currency("USDT"),
            amount: Money(amount),
            reason: "transfer".to_owned(),
        }
    }
}
