//! Instrument definitions.

use super::{enums, text};
use crate::field::{FieldErrors, Fields};
use crate::v1;
use apex_domain::instrument::{FeeSchedule, InstrumentRules};
use apex_domain::market::FeedStatus;
use apex_domain::number::{DecimalText, NumberError};
use apex_domain::{Currency, Instrument, InstrumentId, Price, Quantity, Rate};

/// Writes a definition with the state of its feed.
pub fn instrument(instrument: &Instrument, feed: FeedStatus) -> v1::Instrument {
    v1::Instrument {
        instrument_id: instrument.instrument_id.to_string(),
        symbol: instrument.instrument_id.symbol().to_owned(),
        venue: instrument.instrument_id.venue().to_owned(),
        kind: enums::instrument_kind(instrument.kind).into(),
        base_currency: instrument.base_currency.to_string(),
        quote_currency: instrument.quote_currency.to_string(),
        price_increment: instrument.format_price(instrument.price_increment),
        quantity_increment: instrument.format_quantity(instrument.quantity_increment),
        min_quantity: instrument.format_quantity(instrument.min_quantity),
        max_quantity: instrument.format_quantity(instrument.max_quantity),
        min_notional: instrument.min_notional.to_string(),
        multiplier: instrument.multiplier.to_string(),
        initial_margin: instrument.initial_margin.to_string(),
        maker_fee: instrument.fees.maker.to_string(),
        taker_fee: instrument.fees.taker.to_string(),
        price_decimals: u32::from(instrument.price_decimals),
        quantity_decimals: u32::from(instrument.quantity_decimals),
        synthetic: instrument.synthetic,
        feed_status: enums::feed_status(feed).into(),
    }
}

/// Reads a definition that [`instrument`] wrote. To how many decimals the venue rounds a fee is
/// not on the wire: fees are counted by the account alone.
///
/// Errors: every field that cannot be read, or a definition that cannot be.
pub fn read_instrument(wire: &v1::Instrument) -> Result<Instrument, FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let instrument_id = f.take("instrument_id", InstrumentId::new(&wire.instrument_id));
    let kind = enums::read_instrument_kind(f, wire.kind);
    let base_currency = f.take("base_currency", Currency::new(&wire.base_currency));
    let quote_currency = f.take("quote_currency", Currency::new(&wire.quote_currency));
    let price_decimals = f.take("price_decimals", u8::try_from(wire.price_decimals));
    let quantity_decimals = f.take("quantity_decimals", u8::try_from(wire.quantity_decimals));
    let mut mantissa = |field: &str, text: &str, decimals: Option<u8>| -> Option<i64> {
        let read = |decimals| -> Result<i64, NumberError> {
            DecimalText::parse(text.as_bytes())?.at(decimals)
        };
        f.take(field, read(decimals?))
    };
    let price_increment = mantissa("price_increment", &wire.price_increment, price_decimals);
    let quantity_increment = mantissa(
        "quantity_increment",
        &wire.quantity_increment,
        quantity_decimals,
    );
    let min_quantity = mantissa("min_quantity", &wire.min_quantity, quantity_decimals);
    let max_quantity = mantissa("max_quantity", &wire.max_quantity, quantity_decimals);
    let min_notional = text::money(f, "min_notional", &wire.min_notional);
    let multiplier = f.take("multiplier", Rate::parse(&wire.multiplier));
    let initial_margin = f.take("initial_margin", Rate::parse(&wire.initial_margin));
    let maker = f.take("maker_fee", Rate::parse(&wire.maker_fee));
    let taker = f.take("taker_fee", Rate::parse(&wire.taker_fee));
    let value = (|| {
        Some(Instrument {
            instrument_id: instrument_id?,
            kind: kind?,
            base_currency: base_currency?,
            quote_currency: quote_currency?,
            price_decimals: price_decimals?,
            quantity_decimals: quantity_decimals?,
            price_increment: Price(price_increment?),
            quantity_increment: Quantity(quantity_increment?),
            min_quantity: Quantity(min_quantity?),
            max_quantity: Quantity(max_quantity?),
            min_notional: min_notional?,
            multiplier: multiplier?,
            initial_margin: initial_margin?,
            fees: FeeSchedule {
                maker: maker?,
                taker: taker?,
                decimals: None,
                ..FeeSchedule::default()
            },
            synthetic: wire.synthetic,
            rules: InstrumentRules::default(),
        })
    })();
    let read = fields.finish(value)?;
    match read.validate() {
        Ok(()) => Ok(read),
        Err(error) => Err(FieldErrors::one("instrument", error)),
    }
}
