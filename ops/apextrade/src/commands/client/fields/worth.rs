//! What an account needs and whose profit it is.

use apex_proto::v1;
use serde_json::{Value, json};

pub(super) fn margin(margin: &v1::Margin) -> Value {
    json!({
        "collateral": margin.collateral,
        "initial": margin.initial,
        "maintenance": margin.maintenance,
        "reserved": margin.reserved,
        "free": margin.free,
        "ratio": margin.ratio,
        "partial": margin.partial,
        "by_instrument": margin
            .by_instrument
            .iter()
            .map(|(id, part)| (id.clone(), margin_part(part)))
            .collect::<serde_json::Map<_, _>>(),
    })
}

fn margin_part(part: &v1::InstrumentMargin) -> Value {
    json!({
        "initial": part.initial,
        "maintenance": part.maintenance,
        "reserved": part.reserved,
    })
}

pub(super) fn attribution(row: &v1::Attribution) -> Value {
    json!({
        "strategy_id": row.strategy_id,
        "instrument_id": row.instrument_id,
        "currency": row.currency,
        "realized_pnl": row.realized_pnl,
        "unrealized_pnl": row.unrealized_pnl,
        "fees": row.fees,
        "funding": row.funding,
    })
}
