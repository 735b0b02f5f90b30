//! Orders as tables: narrow, wide, and one order with everything that it says.

use super::fields;
use crate::output::table;
use apex_proto::v1;

/// A heading, and what stands under it for an order.
type Column = (&'static str, fn(&v1::Order) -> String);

/// What a trader looks at first.
const NARROW: [Column; 13] = [
    ("CLIENT ORDER ID", |order| order.client_order_id.clone()),
    ("INSTRUMENT", |order| order.instrument_id.clone()),
    ("SIDE", side),
    ("TYPE", order_type),
    ("QUANTITY", |order| order.quantity.clone()),
    ("LIMIT", |order| order.limit_price.clone()),
    ("STOP", |order| order.stop_price.clone()),
    ("TIF", time_in_force),
    ("STATUS", status),
    ("FILLED", |order| order.filled_quantity.clone()),
    ("AVERAGE", |order| order.average_price.clone()),
    ("REASON", |order| order.reason_code.clone()),
    ("CREATED", |order| time(order.ts_created_ns)),
];

/// What a wide table has besides.
const BESIDES: [Column; 20] = [
    ("EXPIRES", |order| time(order.ts_expires_ns)),
    ("LEAVES", |order| order.leaves_quantity.clone()),
    ("CANCELED", |order| order.canceled_quantity.clone()),
    ("DISPLAY", |order| order.display_quantity.clone()),
    ("NOTIONAL", |order| order.notional.clone()),
    ("TRAILING", trailing),
    ("ACTIVATION", |order| order.activation_price.clone()),
    ("TRIGGER", trigger),
    ("LIST", |order| order.order_list_id.clone()),
    ("TERMS", terms),
    ("POSITION", position_side),
    ("SELF TRADE", self_trade_prevention),
    ("ACCOUNT", |order| order.account_id.clone()),
    ("STRATEGY", |order| order.strategy_id.clone()),
    ("TAGS", |order| order.tags.clone()),
    ("ORDER ID", |order| order.order_id.clone()),
    ("VENUE ORDER ID", |order| order.venue_order_id.clone()),
    ("UPDATED", |order| time(order.ts_updated_ns)),
    ("SEQUENCE", |order| order.sequence.to_string()),
    ("WHY", |order| order.reason.clone()),
];

fn side(order: &v1::Order) -> String {
    fields::word(&fields::side(order.side), "SIDE_")
}

fn order_type(order: &v1::Order) -> String {
    fields::word(&fields::order_type(order.order_type), "ORDER_TYPE_")
}

fn time_in_force(order: &v1::Order) -> String {
    known(
        &fields::time_in_force(order.time_in_force),
        "TIME_IN_FORCE_",
    )
}

/// An order that is held says so: its status alone looks as if it were on its way.
fn status(order: &v1::Order) -> String {
    let status = fields::word(&fields::status(order.status), "ORDER_STATUS_");
    match fields::waits_for(order.held_for) {
        Some(what) => format!("{status} (held for {what})"),
        None => status,
    }
}

fn trailing(order: &v1::Order) -> String {
    match order.trailing_offset_type() {
        v1::TrailingOffsetType::Bps => format!("{}bps", order.trailing_offset),
        _ => order.trailing_offset.clone(),
    }
}

fn trigger(order: &v1::Order) -> String {
    known(&fields::trigger_type(order.trigger_type), "TRIGGER_TYPE_")
}

fn position_side(order: &v1::Order) -> String {
    known(
        &fields::position_side(order.position_side),
        "POSITION_SIDE_",
    )
}

fn self_trade_prevention(order: &v1::Order) -> String {
    let name = fields::self_trade_prevention(order.self_trade_prevention);
    known(&name, "SELF_TRADE_PREVENTION_")
}

fn terms(order: &v1::Order) -> String {
    let said = [
        (order.post_only, "post-only"),
        (order.reduce_only, "reduce-only"),
        (order.extended_hours, "extended-hours"),
    ];
    let words = said.iter().filter(|(is_said, _)| *is_said);
    words.map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
}

/// Returns an enum's word; nothing where the order has none.
fn known(name: &str, prefix: &str) -> String {
    match fields::word(name, prefix) {
        word if word == "unspecified" => String::new(),
        word => word,
    }
}

/// Zero is no time.
fn time(ts_ns: i64) -> String {
    match ts_ns {
        0 => String::new(),
        ts_ns => fields::time(ts_ns),
    }
}

fn rows(orders: &[v1::Order], columns: &[Column]) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let headings = columns.iter().map(|(heading, _)| *heading).collect();
    let row = |order| columns.iter().map(|(_, cell)| cell(order)).collect();
    (headings, orders.iter().map(row).collect())
}

/// Prints what a trader looks at first.
pub fn print(orders: &[v1::Order]) {
    let (headings, rows) = rows(orders, &NARROW);
    table(&headings, &rows);
}

/// Prints everything, one order a line.
pub fn print_wide(orders: &[v1::Order]) {
    let (headings, rows) = rows(orders, &[NARROW.as_slice(), &BESIDES].concat());
    table(&headings, &rows);
}

/// Prints everything that one order says, a line each.
pub fn print_one(order: &v1::Order) {
    let columns = NARROW.iter().chain(&BESIDES);
    let rows: Vec<Vec<String>> = columns
        .map(|(heading, cell)| {
            let value = match cell(order) {
                empty if empty.is_empty() => "-".to_owned(),
                value => value,
            };
            vec![heading.to_ascii_lowercase(), value]
        })
        .collect();
    table(&["ORDER", "VALUE"], &rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every field has something to say, and nothing that another one says as well.
    fn full() -> v1::Order {
        let text = |text: &str| text.to_owned();
        v1::Order {
            order_id: text("paper-7"),
            client_order_id: text("c-1"),
            venue_order_id: text("V9"),
            account_id: text("paper"),
            strategy_id: text("desk"),
            instrument_id: text("BTC.SIM"),
            side: v1::Side::Sell.into(),
            order_type: v1::OrderType::TrailingStop.into(),
            status: v1::OrderStatus::PendingNew.into(),
            quantity: text("10"),
            filled_quantity: text("3"),
            leaves_quantity: text("5"),
            average_price: text("100.5"),
            limit_price: text("101"),
            stop_price: text("99"),
            reason_code: text("ORDER_RATE"),
            reason: text("too fast"),
            ts_created_ns: 1_000_000_000,
            ts_updated_ns: 2_000_000_000,
            sequence: 42,
            time_in_force: v1::TimeInForce::Gtd.into(),
            post_only: true,
            reduce_only: true,
            canceled_quantity: text("2"),
            tags: text("t"),
            notional: text("1000"),
            trailing_offset: text("25"),
            trailing_offset_type: v1::TrailingOffsetType::Bps.into(),
            activation_price: text("98"),
            trigger_type: v1::TriggerType::Mark.into(),
            expire_at_ns: 3_000_000_000,
            ts_expires_ns: 3_000_000_000,
            display_quantity: text("1"),
            position_side: v1::PositionSide::Long.into(),
            self_trade_prevention: v1::SelfTradePrevention::CancelBoth.into(),
            extended_hours: true,
            order_list_id: text("list-1"),
            held_for: v1::Hold::Emulated.into(),
        }
    }

    fn cells(order: &v1::Order, columns: &[Column]) -> Vec<String> {
        rows(std::slice::from_ref(order), columns).1.remove(0)
    }

    #[test]
    fn a_narrow_table_shows_how_long_an_order_works_and_that_it_is_held() {
        assert_eq!(
            cells(&full(), &NARROW),
            [
                "c-1",
                "BTC.SIM",
                "sell",
                "trailing_stop",
                "10",
                "101",
                "99",
                "gtd",
                "pending_new (held for its price)",
                "3",
                "100.5",
                "ORDER_RATE",
                "1970-01-01T00:00:01.000Z",
            ]
        );
    }

    #[test]
    fn a_wide_table_shows_the_rest() {
        assert_eq!(
            cells(&full(), &BESIDES),
            [
                "1970-01-01T00:00:03.000Z",
                "5",
                "2",
                "1",
                "1000",
                "25bps",
                "98",
                "mark",
                "list-1",
                "post-only reduce-only extended-hours",
                "long",
                "cancel_both",
                "paper",
                "desk",
                "t",
                "paper-7",
                "V9",
                "1970-01-01T00:00:02.000Z",
                "42",
                "too fast",
            ]
        );
    }

    #[test]
    fn what_an_order_does_not_have_is_empty() {
        let order = v1::Order::default();
        for (heading, cell) in BESIDES.iter().filter(|(heading, _)| *heading != "SEQUENCE") {
            assert_eq!(cell(&order), "", "{heading}");
        }
        let mut child = full();
        child.held_for = v1::Hold::Parent.into();
        assert_eq!(status(&child), "pending_new (held for its parent)");
        child.held_for = 0;
        assert_eq!(status(&child), "pending_new");
    }
}
