//! Instrument definitions.

use super::enums;
use crate::v1;
use apex_domain::Instrument;
use apex_domain::market::FeedStatus;

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
