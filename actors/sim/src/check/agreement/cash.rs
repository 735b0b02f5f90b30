//! Cash, to the last digit, by the venue's executions and payments alone.

use super::quantity;
use crate::node::Disk;
use crate::venue::Ledger;
use apex_domain::instrument::InstrumentKind;
use apex_domain::number::Decimal;
use apex_domain::venue::Execution;
use apex_domain::{Account, Currency, Quantity};
use std::collections::BTreeMap;

/// What cash and the cost of open positions must sum to, currency by currency: profit of contracts
/// is cash only once it is realised, so both sides are taken at a mark of zero.
pub fn agrees(account: &Account, ledger: &Ledger, disk: &Disk) -> Result<(), String> {
    let mut cash = disk.adjustments();
    for payment in &ledger.funding {
        *cash.entry(payment.currency.clone()).or_default() += payment.amount.0;
    }
    let (made_up, _) = disk.made_up();
    for execution in ledger.executions().chain(&made_up) {
        book(ledger, execution, &mut cash)?;
    }
    for (id, instrument) in ledger.instruments.iter() {
        let net = account.portfolio().net(id);
        match instrument.kind {
            // The asset itself: what of its fees the position could not hold is in cash.
            InstrumentKind::Spot => {
                let held = quantity(ledger, id, net.quantity);
                *cash.entry(instrument.base_currency.clone()).or_default() -= held;
            }
            InstrumentKind::Linear => {
                *cash.entry(instrument.quote_currency.clone()).or_default() += net.open_cost.0;
            }
            // The base amount of what is open is owed the other way round.
            InstrumentKind::Inverse => {
                *cash.entry(instrument.base_currency.clone()).or_default() -= net.open_cost.0;
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

fn book(
    ledger: &Ledger,
    execution: &Execution,
    cash: &mut BTreeMap<Currency, Decimal>,
) -> Result<(), String> {
    let instrument = &ledger.instruments[&execution.instrument_id];
    let signed = execution.last_quantity.0 * execution.side.sign();
    let notional = instrument.notional(execution.last_price, Quantity(signed));
    let notional = notional.map_err(|error| error.to_string())?.0;
    let profit_currency = instrument.profit_currency().clone();
    match instrument.kind {
        InstrumentKind::Spot => {
            let units = quantity(ledger, &execution.instrument_id, signed);
            *cash.entry(instrument.base_currency.clone()).or_default() += units;
            *cash.entry(profit_currency).or_default() -= notional;
        }
        InstrumentKind::Linear => *cash.entry(profit_currency).or_default() -= notional,
        InstrumentKind::Inverse => *cash.entry(profit_currency).or_default() += notional,
    }
    *cash.entry(execution.fee_currency.clone()).or_default() -= execution.fee.0;
    Ok(())
}
