//! Which order is meant, and what shall become of it.

use super::submit::{cut_price, cut_quantity};
use crate::convert::{enums, text};
use crate::field::{FieldErrors, Fields};
use crate::v1;
use apex_domain::account::{CancelFilter, ResolveOrder};
use apex_domain::number::DecimalText;
use apex_domain::order::{AmendOrder, Misfit, OrderKey};
use apex_domain::{
    AccountId, ClientOrderId, Instrument, InstrumentId, OrderId, RequestId, StrategyId,
};

/// Which order a request names, and the account where the request says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRef {
    pub account_id: Option<AccountId>,
    pub key: OrderKey,
}

/// Reads `order_id`, or `account_id` with `client_order_id`.
///
/// Errors: when neither or both are there, or one is no id.
pub fn read_order_ref(
    account_id: &str,
    order_id: &str,
    client_order_id: &str,
) -> Result<OrderRef, FieldErrors> {
    let mut fields = Fields::new();
    let order = order_ref(&mut fields, account_id, order_id, client_order_id);
    fields.finish(order)
}

fn order_ref(f: &mut Fields, account: &str, order: &str, client_order: &str) -> Option<OrderRef> {
    let account_id = text::optional(f, "account_id", account, AccountId::new);
    let key = match (order.is_empty(), client_order.is_empty()) {
        (false, true) => f
            .take("order_id", OrderId::new(order))
            .map(OrderKey::OrderId),
        (true, false) => {
            if account.is_empty() {
                f.refuse("account_id", "is required with client_order_id");
            }
            let id = f.take("client_order_id", ClientOrderId::new(client_order));
            id.map(OrderKey::ClientOrderId)
        }
        (true, true) => {
            f.refuse("order_id", "is required, or account_id and client_order_id");
            None
        }
        (false, false) => {
            f.refuse("client_order_id", "must be empty when order_id is given");
            None
        }
    };
    Some(OrderRef {
        account_id: account_id?,
        key: key?,
    })
}

/// An amend whose numbers wait for the instrument of the order that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmendDraft {
    pub order: OrderRef,
    request_id: RequestId,
    quantity: Option<DecimalText>,
    limit_price: Option<DecimalText>,
    stop_price: Option<DecimalText>,
    expected_sequence: Option<u64>,
}

/// Why an amend does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AmendError {
    Fields(FieldErrors),
    /// Off an increment by its decimals: a refusal by rule.
    Misfit(Misfit),
}

/// Reads an amend as far as it can be read without its order.
///
/// Errors: every field that cannot be read.
pub fn read_amend(request: &v1::AmendOrderRequest) -> Result<AmendDraft, FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let order = order_ref(
        f,
        &request.account_id,
        &request.order_id,
        &request.client_order_id,
    );
    let request_id = text::request_id(f, &request.request_id);
    let texts = [&request.quantity, &request.limit_price, &request.stop_price];
    if texts.into_iter().all(String::is_empty) {
        f.refuse("quantity", "is required, or limit_price or stop_price");
    }
    let mut number = |field: &str, text: &str| {
        if text.is_empty() {
            Some(None)
        } else {
            text::positive(f, field, text).map(Some)
        }
    };
    let quantity = number("quantity", &request.quantity);
    let limit_price = number("limit_price", &request.limit_price);
    let stop_price = number("stop_price", &request.stop_price);
    let value = (|| {
        Some(AmendDraft {
            order: order?,
            request_id: request_id?,
            quantity: quantity?,
            limit_price: limit_price?,
            stop_price: stop_price?,
            expected_sequence: (request.expected_sequence != 0)
                .then_some(request.expected_sequence),
        })
    })();
    fields.finish(value)
}

impl AmendDraft {
    /// Returns the amend with its numbers at the decimals of the order's instrument.
    ///
    /// Errors: a number out of range, or one that no mantissa of the instrument can hold.
    pub fn at(&self, instrument: &Instrument) -> Result<AmendOrder, AmendError> {
        let mut fields = Fields::new();
        let f = &mut fields;
        let mut price =
            |field, number: Option<DecimalText>, misfit: fn(String) -> Misfit| match number {
                Some(number) => cut_price(f, field, number, instrument, misfit).map(Some),
                None => Some(None),
            };
        let limit = price("limit_price", self.limit_price, Misfit::Price);
        let stop = price("stop_price", self.stop_price, Misfit::StopPrice);
        let quantity = match self.quantity {
            Some(number) => cut_quantity(&mut fields, number, instrument).map(Some),
            None => Some(None),
        };
        let numbers = (|| Some((limit?, stop?, quantity?)))();
        let (limit, stop, quantity) = fields.finish(numbers).map_err(AmendError::Fields)?;
        let (limit_price, limit_misfit) = limit.unzip();
        let (stop_price, stop_misfit) = stop.unzip();
        let (quantity, quantity_misfit) = quantity.unzip();
        let misfit = limit_misfit.flatten().or(stop_misfit.flatten());
        if let Some(misfit) = misfit.or(quantity_misfit.flatten()) {
            return Err(AmendError::Misfit(misfit));
        }
        Ok(AmendOrder {
            key: self.order.key.clone(),
            request_id: self.request_id.clone(),
            quantity,
            limit_price,
            stop_price,
            expected_sequence: self.expected_sequence,
        })
    }
}

/// Reads a cancel.
///
/// Errors: every field that cannot be read.
pub fn read_cancel(
    request: &v1::CancelOrderRequest,
) -> Result<(OrderRef, Option<RequestId>), FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let order = order_ref(
        f,
        &request.account_id,
        &request.order_id,
        &request.client_order_id,
    );
    let request_id = text::optional(f, "request_id", &request.request_id, RequestId::new);
    let value = (|| Some((order?, request_id?)))();
    fields.finish(value)
}

/// Reads that an order is not at the venue; who says so is not in it.
///
/// Errors: every field that cannot be read.
pub fn read_resolve(
    request: &v1::ResolveOrderRequest,
) -> Result<(OrderRef, ResolveOrder), FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let order = order_ref(
        f,
        &request.account_id,
        &request.order_id,
        &request.client_order_id,
    );
    let request_id = text::request_id(f, &request.request_id);
    if request.reason.is_empty() {
        f.refuse("reason", "is required: say how it is known");
    }
    let reason = text::free(f, "reason", &request.reason);
    let value = (|| {
        let order = order?;
        let resolve = ResolveOrder {
            request_id: Some(request_id?),
            key: order.key.clone(),
            by: String::new(),
            reason: reason?,
        };
        Some((order, resolve))
    })();
    fields.finish(value)
}

/// Reads which working orders are to be canceled.
///
/// Errors: every field that cannot be read.
pub fn read_cancel_all(
    request: &v1::CancelAllOrdersRequest,
) -> Result<(AccountId, CancelFilter, Option<RequestId>), FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let account_id = text::account_id(f, &request.account_id);
    let instrument_id = text::optional(
        f,
        "instrument_id",
        &request.instrument_id,
        InstrumentId::in_command,
    );
    let strategy_id = text::optional(f, "strategy_id", &request.strategy_id, StrategyId::new);
    let side = enums::read_side_filter(f, "side", request.side);
    let request_id = text::optional(f, "request_id", &request.request_id, RequestId::new);
    let value = (|| {
        let filter = CancelFilter {
            instrument_id: instrument_id?,
            strategy_id: strategy_id?,
            side: side?,
        };
        Some((account_id?, filter, request_id?))
    })();
    fields.finish(value)
}
