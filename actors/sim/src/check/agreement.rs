//! When the faults are over, both sides have the same orders, fills, positions and cash.

use crate::node::Disk;
use crate::venue::{Ledger, VenueOrder};
use apex_domain::number::Decimal;
use apex_domain::order::{Order, OrderKey, OrderStatus, PositionSide};
use apex_domain::risk::ReasonCode;
use apex_domain::venue::VenueStatus;
use apex_domain::{Account, InstrumentId, OrderId, invariant};
use std::collections::{BTreeMap, BTreeSet};

mod cash;

/// Orders, fills, positions and cash are what the venue says.
pub fn both_sides_agree(account: &Account, ledger: &Ledger, disk: &Disk) -> Result<(), String> {
    invariant::check_account(account).map_err(|violation| violation.to_string())?;
    all_orders_agree(account, ledger, &disk.sent())?;
    positions_agree(account, ledger)?;
    cash::agrees(account, ledger, disk)
}

fn all_orders_agree(
    account: &Account,
    ledger: &Ledger,
    sent: &BTreeSet<OrderId>,
) -> Result<(), String> {
    for (id, theirs) in &ledger.orders {
        let ours = account.order(&OrderKey::ClientOrderId(id.clone()));
        let Some(ours) = ours else {
            return Err(format!("the venue has order {id}, which was never durable"));
        };
        orders_agree(ours, theirs)?;
    }
    for order in account.orders() {
        let id = &order.request.client_order_id;
        let ended_lost = match order.status {
            // While trading is halted a lost order is not sent again.
            OrderStatus::Canceled => matches!(
                order.reason_code,
                Some(ReasonCode::NotAtVenue | ReasonCode::CanceledByRisk)
            ),
            // Nor is one whose time is over.
            OrderStatus::Expired => order.reason_code == Some(ReasonCode::TimeOver),
            _ => false,
        };
        let never_there =
            !sent.contains(&order.order_id) || (ended_lost && order.venue_order_id.is_none());
        if !sent.contains(&order.order_id) && ledger.orders.contains_key(id) {
            return Err(format!("order {id} is at the venue and was never sent"));
        }
        if !never_there && !ledger.orders.contains_key(id) {
            return Err(format!(
                "order {id} is {:?} and not at the venue",
                order.status
            ));
        }
    }
    Ok(())
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
    let by_hand = theirs.by_hand && !theirs.is_working() && ours.status.is_terminal();
    if !status_agrees && !by_hand {
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

/// Each position of a contract, by the side that its orders meant, is the venue's.
fn positions_agree(account: &Account, ledger: &Ledger) -> Result<(), String> {
    let mut theirs = ledger.positions();
    let mut ours: BTreeMap<(InstrumentId, PositionSide), i64> = BTreeMap::new();
    for position in account.positions() {
        if ledger.instruments[&position.instrument_id].settles_profit() {
            let key = (position.instrument_id.clone(), position.side);
            *ours.entry(key).or_default() += position.quantity;
        }
    }
    ours.retain(|_, quantity| *quantity != 0);
    theirs.retain(|_, quantity| *quantity != 0);
    if ours != theirs {
        return Err(format!("positions are {ours:?}, at the venue {theirs:?}"));
    }
    Ok(())
}

/// Returns a mantissa of an instrument's quantity as a number.
fn quantity(ledger: &Ledger, id: &InstrumentId, mantissa: i64) -> Decimal {
    let decimals = ledger.instruments[id].quantity_decimals;
    Decimal::new(mantissa, u32::from(decimals))
}
