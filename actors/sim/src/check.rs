//! What must hold: between steps, after a crash, and when the faults are over.

use crate::clients::Clients;
use crate::faults::Faults;
use crate::node::Node;
use crate::venue::{Venue, VenueOrder};
use apex_domain::account::AccountInput;
use apex_domain::event::AccountMode;
use apex_domain::instrument::{FeeSchedule, InstrumentKind, InstrumentRules, Lacks};
use apex_domain::number::Decimal;
use apex_domain::order::{Order, OrderKey, OrderStatus, OrderType, TimeInForce};
use apex_domain::risk::{Limits, ReasonCode};
use apex_domain::venue::VenueStatus;
use apex_domain::{
    Account, AccountId, Currency, Instrument, InstrumentId, Money, OrderId, Price, Quantity, Rate,
    invariant,
};
use std::collections::{BTreeMap, BTreeSet};

/// An honest venue never gives a reason to halt, and no order is there twice.
pub fn after_each_step(node: &Node, venue: &Venue, faults: &Faults) -> Result<(), String> {
    if let Some(client_order_id) = &venue.doubled {
        return Err(format!("order {client_order_id} exists twice at the venue"));
    }
    if let Some(reason) = &node.halted_itself {
        return Err(format!("the account halted at an honest venue: {reason}"));
    }
    exposure_holds(venue, faults)
}

/// At no moment could the orders that reached the venue make a position beyond the limit.
fn exposure_holds(venue: &Venue, faults: &Faults) -> Result<(), String> {
    let Some(limit) = faults.position_limit else {
        return Ok(());
    };
    for (id, instrument) in &instruments() {
        let (long, short) = venue.worst_positions(id);
        let worst = Quantity(long.max(-short));
        // Orders are measured at the price of their moment, which is never lower.
        let notional = instrument.notional(LOWEST_PRICE, worst);
        let notional = notional.map_err(|error| error.to_string())?;
        if notional > Money(Decimal::from(limit)) {
            return Err(format!(
                "{id} could reach {notional} at the venue, {limit} is the limit"
            ));
        }
    }
    Ok(())
}

pub fn answered_orders_are_there(account: &Account, clients: &Clients) -> Result<(), String> {
    for asked in clients.answered() {
        let id = &asked.client_order_id;
        let order = account.order(&OrderKey::ClientOrderId(id.clone()));
        match order {
            Some(order) if order.request == *asked => {}
            Some(_) => return Err(format!("answered order {id} has other content now")),
            None => return Err(format!("answered order {id} is gone")),
        }
    }
    Ok(())
}

/// Orders, fills, positions and cash are what the venue says.
pub fn both_sides_agree(
    account: &Account,
    venue: &Venue,
    sent: &BTreeSet<OrderId>,
) -> Result<(), String> {
    invariant::check_account(account).map_err(|violation| violation.to_string())?;
    for (id, theirs) in &venue.orders {
        let ours = account.order(&OrderKey::ClientOrderId(id.clone()));
        let Some(ours) = ours else {
            return Err(format!("the venue has order {id}, which was never durable"));
        };
        orders_agree(ours, theirs)?;
    }
    for order in account.orders() {
        let id = &order.request.client_order_id;
        let never_there = !sent.contains(&order.order_id)
            || (order.status == OrderStatus::Canceled
                && order.venue_order_id.is_none()
                && matches!(
                    order.reason_code,
                    // While trading is halted a lost order is not sent again.
                    Some(ReasonCode::NotAtVenue | ReasonCode::CanceledByRisk)
                ));
        if !sent.contains(&order.order_id) && venue.orders.contains_key(id) {
            return Err(format!("order {id} is at the venue and was never sent"));
        }
        if !never_there && !venue.orders.contains_key(id) {
            return Err(format!(
                "order {id} is {:?} and not at the venue",
                order.status
            ));
        }
    }
    positions_and_cash_agree(account, venue)
}

fn orders_agree(ours: &Order, theirs: &VenueOrder) -> Result<(), String> {
    let id = &ours.request.client_order_id;
    let status_agrees = match theirs.status {
        VenueStatus::Working => {
            matches!(
                ours.status,
                OrderStatus::Accepted | OrderStatus::PartiallyFilled | OrderStatus::Triggered
            )
        }
        VenueStatus::Filled => ours.status == OrderStatus::Filled,
        // A late fill of all that was canceled makes it filled here, and a cancel because its
        // time was over makes it expired.
        VenueStatus::Canceled => {
            matches!(ours.status, OrderStatus::Canceled | OrderStatus::Filled)
                || (ours.status == OrderStatus::Expired
                    && ours.reason_code == Some(ReasonCode::TimeOver))
        }
        VenueStatus::Expired => ours.status == OrderStatus::Expired,
        VenueStatus::Rejected => ours.status == OrderStatus::Rejected,
    };
    if !status_agrees {
        return Err(format!(
            "order {id} is {:?}, at the venue {:?}",
            ours.status, theirs.status
        ));
    }
    if ours.filled_quantity.0 != theirs.filled() {
        let (ours, theirs) = (ours.filled_quantity.0, theirs.filled());
        return Err(format!(
            "order {id} has {ours} filled, at the venue {theirs}"
        ));
    }
    let works = theirs.status == VenueStatus::Working;
    let terms_agree = ours.quantity == theirs.quantity && ours.limit_price == theirs.limit_price;
    if works && !terms_agree {
        return Err(format!(
            "order {id} has other quantity or price at the venue"
        ));
    }
    Ok(())
}

fn positions_and_cash_agree(account: &Account, venue: &Venue) -> Result<(), String> {
    let instruments = instruments();
    let mut quantities: BTreeMap<&InstrumentId, Decimal> = BTreeMap::new();
    // What cash and the marked cost of positions must sum to, currency by currency: profit of
    // contracts is cash only once it is realised, so both sides are taken at a mark of zero.
    let mut cash: BTreeMap<Currency, Decimal> = BTreeMap::new();
    *cash.entry(currency("USDT")).or_default() += opening_cash().0;
    for execution in venue.orders.values().flat_map(|order| &order.executions) {
        let instrument = &instruments[&execution.instrument_id];
        let sign = Decimal::from(execution.side.sign());
        let quantity = instrument.quantity_decimal(execution.last_quantity) * sign;
        let notional = quantity * instrument.price_decimal(execution.last_price);
        *quantities.entry(&execution.instrument_id).or_default() += quantity;
        *cash.entry(instrument.quote_currency.clone()).or_default() -= notional;
        *cash.entry(execution.fee_currency.clone()).or_default() -= execution.fee.0;
    }
    for (id, instrument) in &instruments {
        let held = Decimal::new(
            account.net_position(id),
            u32::from(instrument.quantity_decimals),
        );
        match instrument.kind {
            // The asset itself: what of its fees the position could not hold is in cash.
            InstrumentKind::Spot => {
                let base = &instrument.base_currency;
                let units = quantities.get(id).copied().unwrap_or_default();
                *cash.entry(base.clone()).or_default() += units - held;
            }
            InstrumentKind::Linear | InstrumentKind::Inverse => {
                let net = account.portfolio().net(id);
                *cash.entry(instrument.quote_currency.clone()).or_default() += net.open_cost.0;
                let theirs = quantities.get(id).copied().unwrap_or_default();
                if held != theirs {
                    return Err(format!("position {id} is {held}, at the venue {theirs}"));
                }
            }
        }
    }
    for (unit, theirs) in cash {
        let ours = account.cash().get(&unit).copied().unwrap_or_default().0;
        if ours != theirs {
            return Err(format!("cash is {ours} {unit}, by the venue {theirs}"));
        }
    }
    Ok(())
}

fn currency(text: &str) -> Currency {
    Currency::new(text).expect("currency is well formed")
}

fn opening_cash() -> Money {
    Money(Decimal::from(1_000_000))
}

/// The lowest price that the market or an order of a client has.
pub const LOWEST_PRICE: Price = Price(9_000);

/// One spot instrument, one contract, and one whose venue lacks most kinds of orders.
pub fn instruments() -> BTreeMap<InstrumentId, Instrument> {
    let spot = ("BTCUSDT.SIM", InstrumentKind::Spot);
    let contract = ("BTCUSDT-PERP.SIM", InstrumentKind::Linear);
    let bare = ("BTCUSDT-BARE.SIM", InstrumentKind::Linear);
    let lacks = Lacks {
        order_types: OrderType::ALL
            .into_iter()
            .filter(|order_type| order_type.is_conditional())
            .collect(),
        times_in_force: vec![TimeInForce::Day, TimeInForce::Gtd],
        ..Lacks::default()
    };
    let defined = [spot, contract, bare].map(|(id, kind)| {
        let instrument_id = InstrumentId::new(id).expect("instrument id is well formed");
        let one = Rate(Decimal::ONE);
        let instrument = Instrument {
            instrument_id: instrument_id.clone(),
            kind,
            base_currency: currency("BTC"),
            quote_currency: currency("USDT"),
            price_decimals: 2,
            quantity_decimals: 3,
            price_increment: Price(1),
            quantity_increment: Quantity(1),
            min_quantity: Quantity(1),
            max_quantity: Quantity(1_000_000),
            min_notional: Money::ZERO,
            multiplier: one,
            initial_margin: one,
            fees: FeeSchedule {
                maker: Rate(Decimal::new(2, 4)),
                taker: Rate(Decimal::new(1, 3)),
                decimals: Some(8),
                ..FeeSchedule::default()
            },
            synthetic: true,
            rules: InstrumentRules {
                lacks: if id == bare.0 {
                    lacks.clone()
                } else {
                    Lacks::default()
                },
                ..InstrumentRules::default()
            },
        };
        (instrument_id, instrument)
    });
    BTreeMap::from(defined)
}

/// What an account begins with. Buying power is not checked: orders should reach the venue.
pub fn opening_inputs(mode: AccountMode, position_limit: Option<u32>) -> Vec<AccountInput> {
    let open = AccountInput::Open {
        account_id: AccountId::new("sim").expect("account id is well formed"),
        base_currency: currency("USDT"),
        mode,
    };
    let cash = AccountInput::AdjustCash {
        request_id: None,
        currency: currency("USDT"),
        amount: opening_cash(),
        reason: "opening".to_owned(),
    };
    let limits = AccountInput::SetLimits {
        request_id: None,
        limits: Box::new(Limits {
            max_position_notional: position_limit.map(|limit| Money(Decimal::from(limit))),
            ..Limits::default()
        }),
        expected_sequence: None,
    };
    let define = instruments()
        .into_values()
        .map(|instrument| AccountInput::DefineInstrument(Box::new(instrument)));
    [open, cash, limits].into_iter().chain(define).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_domain::market::Side;

    #[test]
    fn a_fill_that_only_the_venue_has_is_found() {
        let mut account = Account::new();
        let mut effects = apex_domain::account::Effects::default();
        for input in opening_inputs(AccountMode::Paper, None) {
            account.apply(apex_domain::UnixNanos(0), input, &mut effects);
        }
        let venue = Venue::new(instruments(), true);
        let sent = BTreeSet::new();
        assert_eq!(both_sides_agree(&account, &venue, &sent), Ok(()));
        let external = AccountInput::Report {
            venue_sequence: 1,
            report: apex_domain::venue::VenueReport::Filled(apex_domain::venue::Execution {
                exec_id: apex_domain::ExecId::new("x").unwrap(),
                client_order_id: apex_domain::ClientOrderId::new("stranger").unwrap(),
                instrument_id: InstrumentId::new("BTCUSDT-PERP.SIM").unwrap(),
                side: Side::Buy,
                last_quantity: Quantity(1),
                last_price: Price(1),
                fee: Money::ZERO,
                fee_currency: currency("USDT"),
                maker: false,
                ts_event: apex_domain::UnixNanos(0),
            }),
        };
        account.apply(apex_domain::UnixNanos(0), external, &mut effects);
        assert!(both_sides_agree(&account, &venue, &sent).is_err());
    }
}
