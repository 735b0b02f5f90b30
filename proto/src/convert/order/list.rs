//! Commands over several orders or positions.

use super::submit::read_order_of;
use crate::convert::{enums, text};
use crate::field::{FieldErrors, Fields};
use crate::v1;
use apex_domain::event::CloseScope;
use apex_domain::id::OrderListId;
use apex_domain::order::{Contingency, OrderKey, ReleaseRule, SubmitList, SubmitOrder};
use apex_domain::{
    AccountId, ClientOrderId, Instrument, InstrumentId, OrderId, RequestId, StrategyId,
};

/// Orders of one list: its parent and its children, or its peers.
const LIST: std::ops::RangeInclusive<usize> = 2..=16;

/// Orders of one batch, or cancels of one call.
const BATCH: std::ops::RangeInclusive<usize> = 1..=100;

/// The id of a batch, which has none: it is kept nowhere.
const NO_LIST: &str = "-";

/// Reads a list or batch of new orders. `find` gives the definitions of their instruments.
///
/// Errors: every field that cannot be read or does not go with the others, those of an order with
/// its place, such as `orders[1].limit_price`.
pub fn read_submit_list(
    request: &v1::SubmitOrderListRequest,
    find: impl Fn(&InstrumentId) -> Option<Instrument>,
) -> Result<(AccountId, SubmitList), FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let account_id = text::account_id(f, &request.account_id);
    let contingency = enums::read_contingency(f, request.contingency);
    let list_id = read_list_id(f, contingency, &request.order_list_id);
    let release = read_release(f, contingency, request.release);
    if contingency == Some(Contingency::None) && request.cascade.is_some() {
        f.refuse("cascade", "is not for a batch: its orders have no rest");
    }
    let orders = read_orders(f, request, contingency, find);
    let value = (|| {
        let list = SubmitList {
            list_id: list_id?,
            contingency: contingency?,
            release: release?,
            cascade: request.cascade.unwrap_or(true),
            orders: orders?,
        };
        Some((account_id?, list))
    })();
    fields.finish(value)
}

fn read_list_id(
    f: &mut Fields,
    contingency: Option<Contingency>,
    text: &str,
) -> Option<OrderListId> {
    if contingency != Some(Contingency::None) {
        return text::required(f, "order_list_id", text, OrderListId::new);
    }
    if !text.is_empty() {
        f.refuse("order_list_id", "is not for a batch: it is kept nowhere");
        return None;
    }
    f.take("order_list_id", OrderListId::new(NO_LIST))
}

fn read_release(
    f: &mut Fields,
    contingency: Option<Contingency>,
    value: i32,
) -> Option<ReleaseRule> {
    let has_parent = matches!(
        contingency,
        None | Some(Contingency::Oto | Contingency::Bracket)
    );
    if value != 0 && !has_parent {
        f.refuse("release", "is for OTO and BRACKET only");
        return None;
    }
    enums::read_release_rule(f, value)
}

fn read_orders(
    f: &mut Fields,
    request: &v1::SubmitOrderListRequest,
    contingency: Option<Contingency>,
    find: impl Fn(&InstrumentId) -> Option<Instrument>,
) -> Option<Vec<SubmitOrder>> {
    let bounds = match contingency {
        Some(Contingency::None) | None => BATCH,
        Some(_) => LIST,
    };
    if !number_is_within(f, request.orders.len(), &bounds) {
        return None;
    }
    let mut orders = Vec::with_capacity(request.orders.len());
    for (place, order) in request.orders.iter().enumerate() {
        let mut inner = Fields::new();
        if !order.account_id.is_empty() && order.account_id != request.account_id {
            inner.refuse("account_id", "must be empty, or the account of the list");
        }
        orders.push(read_order_of(&mut inner, order, &find));
        f.within(&format!("orders[{place}]"), inner);
    }
    orders.into_iter().collect()
}

/// Too many are not even looked at.
fn number_is_within(
    f: &mut Fields,
    number: usize,
    bounds: &std::ops::RangeInclusive<usize>,
) -> bool {
    let within = bounds.contains(&number);
    if !within {
        let (least, most) = (bounds.start(), bounds.end());
        f.refuse(
            "orders",
            format!("has {number}, must have {least} to {most}"),
        );
    }
    within
}

/// Several cancels in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelOrders {
    pub account_id: AccountId,
    pub keys: Vec<OrderKey>,
    pub request_id: Option<RequestId>,
}

/// Reads which orders are to be canceled.
///
/// Errors: every field that cannot be read.
pub fn read_cancel_orders(request: &v1::CancelOrdersRequest) -> Result<CancelOrders, FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let account_id = text::account_id(f, &request.account_id);
    let request_id = text::optional(f, "request_id", &request.request_id, RequestId::new);
    let mut keys = None;
    if number_is_within(f, request.orders.len(), &BATCH) {
        let places = request.orders.iter().enumerate();
        let read: Vec<_> = places
            .map(|(place, key)| {
                let mut inner = Fields::new();
                let key = read_key(&mut inner, key);
                f.within(&format!("orders[{place}]"), inner);
                key
            })
            .collect();
        keys = read.into_iter().collect::<Option<Vec<OrderKey>>>();
    }
    let value = (|| {
        Some(CancelOrders {
            account_id: account_id?,
            keys: keys?,
            request_id: request_id?,
        })
    })();
    fields.finish(value)
}

fn read_key(f: &mut Fields, key: &v1::OrderKey) -> Option<OrderKey> {
    match (key.order_id.as_str(), key.client_order_id.as_str()) {
        ("", "") => {
            f.refuse("order_id", "is required, or client_order_id");
            None
        }
        (order, "") => f
            .take("order_id", OrderId::new(order))
            .map(OrderKey::OrderId),
        ("", client) => f
            .take("client_order_id", ClientOrderId::new(client))
            .map(OrderKey::ClientOrderId),
        _ => {
            f.refuse("client_order_id", "must be empty when order_id is given");
            None
        }
    }
}

/// A closing as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    pub account_id: AccountId,
    pub scope: CloseScope,
    pub request_id: RequestId,
}

/// Reads which position is to be closed.
///
/// Errors: every field that cannot be read.
pub fn read_close(request: &v1::ClosePositionRequest) -> Result<Close, FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let account_id = text::account_id(f, &request.account_id);
    let instrument_id = text::required(
        f,
        "instrument_id",
        &request.instrument_id,
        InstrumentId::in_command,
    );
    // What was found at the venue can be closed too, so every id is one.
    let strategy_id = text::optional(f, "strategy_id", &request.strategy_id, StrategyId::new);
    let client_order_id = text::optional(
        f,
        "client_order_id",
        &request.client_order_id,
        ClientOrderId::new,
    );
    let request_id = text::request_id(f, &request.request_id);
    let value = (|| {
        Some(Close {
            account_id: account_id?,
            scope: CloseScope {
                instrument_id: Some(instrument_id?),
                strategy_id: strategy_id?,
                client_order_id: client_order_id?,
            },
            request_id: request_id?,
        })
    })();
    fields.finish(value)
}

/// Reads which account is to be closed to the last position.
///
/// Errors: every field that cannot be read.
pub fn read_flatten(request: &v1::FlattenAccountRequest) -> Result<Close, FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let account_id = text::account_id(f, &request.account_id);
    let request_id = text::request_id(f, &request.request_id);
    let value = account_id.zip(request_id);
    let value = value.map(|(account_id, request_id)| Close {
        account_id,
        scope: CloseScope::default(),
        request_id,
    });
    fields.finish(value)
}
