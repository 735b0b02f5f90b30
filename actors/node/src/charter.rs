//! What an account is opened with: decided once, and read back from the first events of its journal.

use apex_bus::accounts::{DeskError, NewAccount};
use apex_domain::account::AccountInput;
use apex_domain::event::{AccountMode, Event, PositionMode, Recorded};
use apex_domain::risk::Limits;
use apex_domain::{AccountId, Currency, Instrument, Money, RequestId};
use std::collections::{BTreeMap, BTreeSet};

/// Cash of a new paper account, of each quote currency. What a simulated venue begins with too,
/// or the two would differ from the first comparison on.
pub const PAPER_CASH: i64 = 10_000_000;

/// New orders a second of a new paper account.
const PAPER_ORDER_RATE: u32 = 5_000;

/// Age up to which a quote is a reference for a market order. The feeds here speak many times a
/// second; a minute without a word is an outage.
const REFERENCE_AGE_NS: i64 = 60_000_000_000;

/// Events that a charter is read from, at the most: more than there are currencies.
pub const FIRST_EVENTS: usize = 4_096;

/// What an account is opened with.
#[derive(Clone, Debug)]
pub struct Charter {
    /// The request that made it; `None` for the account that every data folder has.
    pub request_id: Option<RequestId>,
    pub base_currency: Currency,
    /// Each currency once, in the order of its payment.
    pub cash: Vec<(Currency, Money)>,
    pub position_mode: PositionMode,
}

impl Charter {
    /// Returns what an account of these instruments has when nothing else is said; `None` where no
    /// currency is known at all.
    pub fn usual(instruments: &[Instrument]) -> Option<Charter> {
        let mut cash: Vec<(Currency, Money)> = Vec::new();
        for currency in instruments.iter().map(|it| &it.quote_currency) {
            if !cash.iter().any(|(known, _)| known == currency) {
                cash.push((currency.clone(), Money(PAPER_CASH.into())));
            }
        }
        // Without any instrument there is no quote currency; dollars are what a person expects.
        let first = instruments.first().map(|it| it.quote_currency.clone());
        Some(Charter {
            request_id: None,
            base_currency: first.or_else(|| Currency::new("USD").ok())?,
            cash,
            position_mode: PositionMode::Netting,
        })
    }

    /// Returns what a wish for an account comes to.
    ///
    /// Errors: `Invalid` for a currency that nothing here is traded in: what is held of it would
    /// never be worth anything.
    pub fn of_wish(new: &NewAccount, instruments: &[Instrument]) -> Result<Charter, DeskError> {
        let usual = Charter::usual(instruments).ok_or(DeskError::NotHere(
            "no instrument is known here: list one before an account is made",
        ))?;
        let traded: BTreeSet<&Currency> = instruments
            .iter()
            .flat_map(|it| [&it.base_currency, &it.quote_currency])
            .collect();
        let named = new.base_currency.iter().map(|it| ("base_currency", it));
        for (field, currency) in named.chain(new.cash.keys().map(|it| ("cash", it))) {
            if !traded.contains(currency) {
                let known: Vec<String> = traded.iter().map(ToString::to_string).collect();
                return Err(DeskError::Invalid {
                    field,
                    detail: format!(
                        "names {currency}, which no instrument here is traded in: use one of {}",
                        known.join(", ")
                    ),
                });
            }
        }
        let base_currency = new.base_currency.clone();
        let cash = if new.cash.is_empty() {
            usual.cash
        } else {
            new.cash.clone().into_iter().collect()
        };
        Ok(Charter {
            request_id: Some(new.request_id.clone()),
            base_currency: base_currency.unwrap_or(usual.base_currency),
            cash,
            position_mode: new.position_mode,
        })
    }

    /// Reads it from the first events of a journal; `None` when the account was not opened.
    pub fn read<'a>(events: impl IntoIterator<Item = &'a Recorded>) -> Option<Charter> {
        let mut events = events.into_iter().map(|recorded| &recorded.event);
        let Some(Event::AccountOpened { base_currency, .. }) = events.next() else {
            return None;
        };
        let mut charter = Charter {
            request_id: None,
            base_currency: base_currency.clone(),
            cash: Vec::new(),
            position_mode: PositionMode::Netting,
        };
        for event in events {
            match event {
                Event::CashAdjusted {
                    currency, amount, ..
                } => {
                    charter.cash.push((currency.clone(), *amount));
                }
                Event::PositionModeSet { mode, .. } => charter.position_mode = *mode,
                // The last of the first unit.
                Event::LimitsSet { request_id, .. } => {
                    charter.request_id = request_id.clone();
                    break;
                }
                _ => break,
            }
        }
        Some(charter)
    }

    /// Returns true for the charter of the same request.
    pub fn is_as(&self, other: &Charter) -> bool {
        self.request_id == other.request_id
            && self.base_currency == other.base_currency
            && self.position_mode == other.position_mode
            && self.opening_cash() == other.opening_cash()
    }

    /// Returns what the account had before it traded.
    pub fn opening_cash(&self) -> BTreeMap<Currency, Money> {
        self.cash.iter().cloned().collect()
    }

    /// Returns the inputs that open the account, for one unit of its journal: an account that is
    /// open has its cash and its limits, wherever a start was cut off.
    pub fn inputs(&self, account_id: &AccountId, mode: AccountMode) -> Vec<AccountInput> {
        let open = AccountInput::Open {
            account_id: account_id.clone(),
            base_currency: self.base_currency.clone(),
            mode,
        };
        let cash = self
            .cash
            .iter()
            .map(|(currency, amount)| AccountInput::AdjustCash {
                request_id: None,
                currency: currency.clone(),
                amount: *amount,
                reason: "opening balance".to_owned(),
            });
        let limits = AccountInput::SetLimits {
            // By it the account is known for the request's when that is repeated.
            request_id: self.request_id.clone(),
            limits: Box::new(Limits {
                max_orders_per_second: Some(PAPER_ORDER_RATE),
                check_buying_power: true,
                max_reference_age_ns: Some(REFERENCE_AGE_NS),
                ..Limits::default()
            }),
            expected_sequence: None,
        };
        let hedges = self.position_mode == PositionMode::Hedging;
        let mode = hedges.then_some(AccountInput::SetPositionMode {
            request_id: None,
            mode: PositionMode::Hedging,
            by: "system".to_owned(),
        });
        let before = [open].into_iter().chain(cash).chain(mode);
        before.chain([limits]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_domain::account::{Account, Effects};
    use apex_domain::matching::SimInstrument;
    use apex_domain::{Instrument, UnixNanos};

    fn instruments() -> Vec<Instrument> {
        let listed = SimInstrument::defaults().into_iter();
        listed.map(|sim| sim.instrument).collect()
    }

    fn wish(base: Option<&str>, cash: &[(&str, &str)]) -> NewAccount {
        let currency = |text: &str| Currency::new(text).unwrap();
        let cash = cash.iter();
        NewAccount {
            request_id: RequestId::new("r").unwrap(),
            account_id: AccountId::new("second").unwrap(),
            base_currency: base.map(currency),
            cash: cash
                .map(|(unit, amount)| (currency(unit), Money::parse(amount).unwrap()))
                .collect(),
            position_mode: PositionMode::Netting,
        }
    }

    /// Opens an account by its charter and returns what its journal holds.
    fn opened(charter: &Charter) -> Vec<Recorded> {
        let (mut account, mut effects) = (Account::new(), Effects::default());
        let mut events = Vec::new();
        let account_id = AccountId::new("second").unwrap();
        for input in charter.inputs(&account_id, AccountMode::Paper) {
            account.apply(UnixNanos(1), input, &mut effects);
            events.append(&mut effects.events);
        }
        // What comes later is no part of it.
        for amount in ["7", "8"] {
            let input = AccountInput::AdjustCash {
                request_id: None,
                currency: Currency::new("USDT").unwrap(),
                amount: Money::parse(amount).unwrap(),
                reason: "later".to_owned(),
            };
            account.apply(UnixNanos(2), input, &mut effects);
            events.append(&mut effects.events);
        }
        events
    }

    #[test]
    fn what_was_asked_for_is_read_back_from_the_first_unit() {
        let wishes = [
            wish(None, &[]),
            wish(Some("USDT"), &[("USDT", "5")]),
            wish(Some("BTC"), &[("USDT", "5"), ("BTC", "0.5")]),
            NewAccount {
                position_mode: PositionMode::Hedging,
                ..wish(None, &[])
            },
        ];
        for one in &wishes {
            let charter = Charter::of_wish(one, &instruments()).unwrap();
            let read = Charter::read(&opened(&charter)).unwrap();
            assert!(read.is_as(&charter), "{read:?} {charter:?}");
            for other in &wishes {
                let other_charter = Charter::of_wish(other, &instruments()).unwrap();
                assert_eq!(read.is_as(&other_charter), one == other);
            }
        }
        assert!(Charter::read(&[]).is_none());
    }

    #[test]
    fn the_usual_account_has_every_quote_currency_once() {
        let usual = Charter::usual(&instruments()).unwrap();
        let units: Vec<String> = usual
            .cash
            .iter()
            .map(|(unit, _)| unit.to_string())
            .collect();
        assert_eq!(units, ["USDT"]);
        assert_eq!(usual.base_currency.to_string(), "USDT");
        assert_eq!(Charter::usual(&[]).unwrap().cash, []);
    }

    #[test]
    fn a_currency_that_nothing_is_traded_in_is_refused_by_its_field() {
        for (one, expected) in [
            (wish(Some("ZZZ"), &[]), "base_currency"),
            (wish(None, &[("ZZZ", "1")]), "cash"),
        ] {
            let refused = Charter::of_wish(&one, &instruments()).unwrap_err();
            let field = match refused {
                DeskError::Invalid { field, .. } => field,
                other => panic!("{other:?}"),
            };
            assert_eq!(field, expected);
        }
    }
}
