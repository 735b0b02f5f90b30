//! What an instrument definition must hold before anything is counted by it.

use super::{Instrument, InstrumentKind};
use crate::id::InstrumentId;
use crate::number::{Decimal, MAX_DECIMALS};
use crate::order::OrderType;
use thiserror::Error;

/// The longest name of a trading calendar: a market identifier code has four letters, and names
/// of our own stay within this.
const MAX_CALENDAR_BYTES: usize = 32;

/// Why an instrument definition is refused. The definition has to be mended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InstrumentError {
    #[error("{field} of {instrument_id} must be above zero")]
    NotPositive {
        instrument_id: InstrumentId,
        field: &'static str,
    },
    #[error("{field} of {instrument_id} must not be negative")]
    Negative {
        instrument_id: InstrumentId,
        field: &'static str,
    },
    #[error("{field} of {instrument_id} is above the supported {MAX_DECIMALS}")]
    Decimals {
        instrument_id: InstrumentId,
        field: &'static str,
    },
    #[error("min_quantity of {instrument_id} is above max_quantity")]
    Bounds { instrument_id: InstrumentId },
    /// The value is possible by itself, but not beside another one.
    #[error("{field} of {instrument_id} {detail}")]
    Contradiction {
        instrument_id: InstrumentId,
        field: &'static str,
        detail: &'static str,
    },
}

impl InstrumentError {
    /// Returns the field that has to be mended.
    pub fn field(&self) -> &'static str {
        match self {
            InstrumentError::NotPositive { field, .. }
            | InstrumentError::Negative { field, .. }
            | InstrumentError::Decimals { field, .. }
            | InstrumentError::Contradiction { field, .. } => field,
            InstrumentError::Bounds { .. } => "min_quantity",
        }
    }
}

impl Instrument {
    /// Checks what every other method relies on.
    ///
    /// Errors: [`InstrumentError`], naming the field.
    pub fn validate(&self) -> Result<(), InstrumentError> {
        self.positive()?;
        self.decimals()?;
        if self.min_quantity > self.max_quantity {
            return Err(InstrumentError::Bounds {
                instrument_id: self.instrument_id.clone(),
            });
        }
        self.not_negative()?;
        self.bands()?;
        self.bounds_and_margins()?;
        self.fee_schedule()?;
        self.contract_terms()?;
        self.offer()
    }

    fn contradicts<T>(
        &self,
        field: &'static str,
        detail: &'static str,
    ) -> Result<T, InstrumentError> {
        Err(InstrumentError::Contradiction {
            instrument_id: self.instrument_id.clone(),
            field,
            detail,
        })
    }

    fn positive(&self) -> Result<(), InstrumentError> {
        let above_zero = |value: Decimal| value > Decimal::ZERO;
        let rules = &self.rules;
        for (field, holds) in [
            ("price_increment", self.price_increment.0 > 0),
            ("quantity_increment", self.quantity_increment.0 > 0),
            ("min_quantity", self.min_quantity.0 > 0),
            ("max_quantity", self.max_quantity.0 > 0),
            ("multiplier", above_zero(self.multiplier.0)),
            (
                "price_bands",
                rules.price_bands.iter().all(|band| band.increment.0 > 0),
            ),
            (
                "max_notional",
                rules.max_notional.is_none_or(|max| above_zero(max.0)),
            ),
            (
                "funding_interval_ns",
                rules.funding_interval_ns.is_none_or(|ns| ns > 0),
            ),
            (
                "price_collar",
                rules.price_collar.is_none_or(|share| above_zero(share.0)),
            ),
        ] {
            if !holds {
                return Err(InstrumentError::NotPositive {
                    instrument_id: self.instrument_id.clone(),
                    field,
                });
            }
        }
        Ok(())
    }

    fn decimals(&self) -> Result<(), InstrumentError> {
        for (field, value) in [
            ("price_decimals", self.price_decimals),
            ("quantity_decimals", self.quantity_decimals),
            ("fees.decimals", self.fees.decimals.unwrap_or_default()),
        ] {
            if value > MAX_DECIMALS {
                return Err(InstrumentError::Decimals {
                    instrument_id: self.instrument_id.clone(),
                    field,
                });
            }
        }
        Ok(())
    }

    fn not_negative(&self) -> Result<(), InstrumentError> {
        let maintenance = self.rules.maintenance_margin.unwrap_or_default();
        for (field, value) in [
            ("min_notional", self.min_notional.0),
            ("initial_margin", self.initial_margin.0),
            ("maintenance_margin", maintenance.0),
            ("fees.per_unit", self.fees.per_unit.0),
            ("fees.minimum", self.fees.minimum.0),
        ] {
            if value < Decimal::ZERO {
                return Err(InstrumentError::Negative {
                    instrument_id: self.instrument_id.clone(),
                    field,
                });
            }
        }
        Ok(())
    }

    fn bands(&self) -> Result<(), InstrumentError> {
        const FIELD: &str = "price_bands";
        let mut before = self.price_increment;
        let mut last = None;
        for band in &self.rules.price_bands {
            if last.is_some_and(|last| band.from <= last) {
                return self.contradicts(FIELD, "are not in rising order");
            }
            if band.from.0 % band.increment.0 != 0 || band.from.0 % before.0 != 0 {
                return self.contradicts(FIELD, "begin off their own increment or the one before");
            }
            (last, before) = (Some(band.from), band.increment);
        }
        Ok(())
    }

    fn bounds_and_margins(&self) -> Result<(), InstrumentError> {
        let max = self.rules.max_notional;
        if max.is_some_and(|max| max < self.min_notional) {
            return self.contradicts("max_notional", "is below min_notional");
        }
        let maintenance = self.rules.maintenance_margin;
        if maintenance.is_some_and(|share| share > self.initial_margin) {
            return self.contradicts("maintenance_margin", "is above initial_margin");
        }
        Ok(())
    }

    fn fee_schedule(&self) -> Result<(), InstrumentError> {
        for (field, share) in [
            ("fees.maker", self.fees.maker),
            ("fees.taker", self.fees.taker),
        ] {
            if share.0.abs() >= Decimal::ONE {
                return self.contradicts(field, "is not a share of the notional below 1");
            }
        }
        if !self.fees.in_base {
            return Ok(());
        }
        if self.kind != InstrumentKind::Spot || self.base_currency == self.quote_currency {
            return self.contradicts("fees.in_base", "needs a spot instrument of two currencies");
        }
        if !self.fees.per_unit.is_zero() || !self.fees.minimum.is_zero() {
            return self.contradicts("fees.in_base", "cannot go with per_unit or minimum");
        }
        Ok(())
    }

    fn contract_terms(&self) -> Result<(), InstrumentError> {
        if self.kind == InstrumentKind::Inverse && self.base_currency == self.quote_currency {
            return self.contradicts("quote_currency", "is also the base of an inverse contract");
        }
        if self.kind != InstrumentKind::Spot {
            return match (self.rules.funding_interval_ns, self.rules.expires_at) {
                (Some(_), Some(_)) => self.contradicts("expires_at", "is set beside funding"),
                _ => Ok(()),
            };
        }
        if self.rules.funding_interval_ns.is_some() {
            return self.contradicts("funding_interval_ns", "is set for a spot instrument");
        }
        if self.rules.expires_at.is_some() {
            return self.contradicts("expires_at", "is set for a spot instrument");
        }
        Ok(())
    }

    fn offer(&self) -> Result<(), InstrumentError> {
        let calendar = &self.rules.calendar;
        if calendar.len() > MAX_CALENDAR_BYTES || !calendar.bytes().all(|b| b.is_ascii_graphic()) {
            return self.contradicts("calendar", "is no name of up to 32 printable characters");
        }
        let lacks = &self.rules.lacks.order_types;
        if [OrderType::Market, OrderType::Limit]
            .iter()
            .all(|kind| lacks.contains(kind))
        {
            // What the account emulates becomes one of the two.
            return self.contradicts("lacks", "names both market and limit orders");
        }
        Ok(())
    }
}
