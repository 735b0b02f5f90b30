//! Instrument definitions.

use super::{enums, text};
use crate::field::{FieldErrors, Fields};
use crate::v1;
use apex_domain::instrument::{FeeSchedule, InstrumentRules, Lacks, PriceBand};
use apex_domain::market::FeedStatus;
use apex_domain::number::{DecimalText, NumberError};
use apex_domain::{Currency, Instrument, InstrumentId, Money, Price, Quantity, Rate, UnixNanos};

/// Writes a definition with the state of its feed.
pub fn instrument(instrument: &Instrument, feed: FeedStatus) -> v1::Instrument {
    let rules = &instrument.rules;
    let bands = rules.price_bands.iter().map(|band| v1::PriceBand {
        from_price: instrument.format_price(band.from),
        price_increment: instrument.format_price(band.increment),
    });
    let rate = |rate: Option<Rate>| rate.map(|rate| rate.to_string()).unwrap_or_default();
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
        asset_class: enums::asset_class(rules.class).into(),
        price_bands: bands.collect(),
        max_notional: rules
            .max_notional
            .map(|notional| notional.to_string())
            .unwrap_or_default(),
        maintenance_margin: rate(rules.maintenance_margin),
        funding_interval_ns: rules.funding_interval_ns.unwrap_or_default(),
        ts_expires_ns: rules.expires_at.map_or(0, |at| at.0),
        calendar: rules.calendar.clone(),
        price_collar: rate(rules.price_collar),
        fee_per_unit: instrument.fees.per_unit.to_string(),
        minimum_fee: instrument.fees.minimum.to_string(),
        fee_in_base: instrument.fees.in_base,
        fee_decimals: instrument.fees.decimals.map(u32::from),
        lacks: Some(lacks(&rules.lacks)),
    }
}

fn lacks(lacks: &Lacks) -> v1::InstrumentLacks {
    let order_types = lacks.order_types.iter();
    let times_in_force = lacks.times_in_force.iter();
    v1::InstrumentLacks {
        order_types: order_types
            .map(|kind| enums::order_type(*kind).into())
            .collect(),
        times_in_force: times_in_force
            .map(|time| enums::time_in_force(*time).into())
            .collect(),
        iceberg: lacks.iceberg,
        post_only: lacks.post_only,
        reduce_only: lacks.reduce_only,
        linked_orders: lacks.linked_orders,
    }
}

/// Reads a definition that [`instrument`] wrote.
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
    let fees = read_fees(f, wire, maker, taker);
    let rules = read_rules(f, wire, price_decimals);
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
            fees: fees?,
            synthetic: wire.synthetic,
            rules: rules?,
        })
    })();
    let read = fields.finish(value)?;
    match read.validate() {
        Ok(()) => Ok(read),
        Err(error) => Err(FieldErrors::one("instrument", error)),
    }
}

fn read_fees(
    f: &mut Fields,
    wire: &v1::Instrument,
    maker: Option<Rate>,
    taker: Option<Rate>,
) -> Option<FeeSchedule> {
    // Who wrote it before there were such fees left them empty.
    let mut money = |field: &str, text: &str| match text {
        "" => Some(Money::ZERO),
        text => text::money(f, field, text),
    };
    let per_unit = money("fee_per_unit", &wire.fee_per_unit);
    let minimum = money("minimum_fee", &wire.minimum_fee);
    let decimals = match wire.fee_decimals {
        Some(decimals) => f.take("fee_decimals", u8::try_from(decimals)).map(Some),
        None => Some(None),
    };
    Some(FeeSchedule {
        maker: maker?,
        taker: taker?,
        decimals: decimals?,
        per_unit: per_unit?,
        minimum: minimum?,
        in_base: wire.fee_in_base,
    })
}

fn read_rules(
    f: &mut Fields,
    wire: &v1::Instrument,
    price_decimals: Option<u8>,
) -> Option<InstrumentRules> {
    let class = enums::read_asset_class(f, wire.asset_class);
    let price_bands = read_bands(f, &wire.price_bands, price_decimals);
    let max_notional = match wire.max_notional.as_str() {
        "" => Some(None),
        text => text::money(f, "max_notional", text).map(Some),
    };
    let mut rate = |field: &str, text: &str| match text {
        "" => Some(None),
        text => f.take(field, Rate::parse(text)).map(Some),
    };
    let maintenance_margin = rate("maintenance_margin", &wire.maintenance_margin);
    let price_collar = rate("price_collar", &wire.price_collar);
    let calendar = text::free(f, "calendar", &wire.calendar);
    let lacks = read_lacks(f, wire.lacks.as_ref());
    Some(InstrumentRules {
        class: class?,
        price_bands: price_bands?,
        max_notional: max_notional?,
        maintenance_margin: maintenance_margin?,
        funding_interval_ns: (wire.funding_interval_ns != 0).then_some(wire.funding_interval_ns),
        expires_at: (wire.ts_expires_ns != 0).then_some(UnixNanos(wire.ts_expires_ns)),
        calendar: calendar?,
        price_collar: price_collar?,
        lacks: lacks?,
    })
}

fn read_bands(
    f: &mut Fields,
    wire: &[v1::PriceBand],
    price_decimals: Option<u8>,
) -> Option<Vec<PriceBand>> {
    let mut bands: Vec<PriceBand> = Vec::with_capacity(wire.len());
    for band in wire {
        let mut price = |field: &str, text: &str| {
            let read = DecimalText::parse(text.as_bytes());
            let read = read.and_then(|number| number.at(price_decimals.unwrap_or(0)));
            f.take(field, read).map(Price)
        };
        let from = price("price_bands.from_price", &band.from_price);
        let increment = price("price_bands.price_increment", &band.price_increment);
        let (from, increment) = (from?, increment?);
        if increment.0 <= 0 {
            f.refuse("price_bands.price_increment", "must be above zero");
            return None;
        }
        if bands.last().is_some_and(|last| last.from >= from) {
            f.refuse("price_bands.from_price", "must rise from band to band");
            return None;
        }
        bands.push(PriceBand { from, increment });
    }
    Some(bands)
}

fn read_lacks(f: &mut Fields, wire: Option<&v1::InstrumentLacks>) -> Option<Lacks> {
    let Some(wire) = wire else {
        return Some(Lacks::default());
    };
    let order_types = wire.order_types.iter();
    let order_types: Option<Vec<_>> = order_types
        .map(|value| enums::find_order_type(*value))
        .collect();
    let times_in_force = wire.times_in_force.iter();
    let times_in_force: Option<Vec<_>> = times_in_force
        .map(|value| enums::find_time_in_force(*value))
        .collect();
    if order_types.is_none() || times_in_force.is_none() {
        f.refuse("lacks", "has a value that is not known");
    }
    Some(Lacks {
        order_types: order_types?,
        times_in_force: times_in_force?,
        iceberg: wire.iceberg,
        post_only: wire.post_only,
        reduce_only: wire.reduce_only,
        linked_orders: wire.linked_orders,
    })
}
