//! The fields of one instrument in a file.

use apex_domain::instrument::{
    AssetClass, FeeSchedule, Instrument, InstrumentKind, InstrumentRules, Lacks, PriceBand,
};
use apex_domain::matching::{MarketParameters, SimInstrument};
use apex_domain::number::{DecimalText, MAX_DECIMALS};
use apex_domain::{Currency, InstrumentId, Money, Price, Quantity, Rate, UnixNanos, calendar};
use toml::{Table, Value};

/// The venue of every simulated instrument.
const VENUE: &str = "SIM";

/// All that an entry may say.
const FIELDS: [&str; 30] = [
    "kind",
    "asset_class",
    "base_currency",
    "quote_currency",
    "price_increment",
    "price_bands",
    "quantity_increment",
    "min_quantity",
    "max_quantity",
    "min_notional",
    "max_notional",
    "multiplier",
    "initial_margin",
    "maintenance_margin",
    "maker_fee",
    "taker_fee",
    "fee_per_unit",
    "minimum_fee",
    "fee_decimals",
    "fee_in_base",
    "funding_interval_ns",
    "funding_rate",
    "ts_expires_ns",
    "calendar",
    "price_collar",
    "lacks",
    "start_price",
    "half_spread_ticks",
    "walk_milliticks",
    "lot",
];

/// A field and what is wrong with it.
type Wrong = (String, String);

fn wrong<T>(field: &str, detail: impl ToString) -> Result<T, Wrong> {
    Err((field.to_owned(), detail.to_string()))
}

/// Fields that are taken out as they are read.
pub(super) struct Entry {
    fields: Table,
}

impl Entry {
    pub(super) fn new(fields: Table) -> Entry {
        Entry { fields }
    }

    /// Errors: the field and what is wrong with it.
    pub(super) fn read(mut self, name: &str) -> Result<SimInstrument, Wrong> {
        if let Some(unknown) = self
            .fields
            .keys()
            .find(|key| !FIELDS.contains(&key.as_str()))
        {
            let detail = format!("is not known; there are {}", FIELDS.join(", "));
            return wrong(unknown, detail);
        }
        let instrument_id = InstrumentId::new(name).or_else(|e| wrong("instrument_id", e))?;
        if instrument_id.venue() != VENUE {
            return wrong(
                "instrument_id",
                "must end with .SIM, as [instruments.\"X.SIM\"]",
            );
        }
        let class = self.choice("asset_class", &CLASSES, Some(AssetClass::Crypto))?;
        let kind = self.choice("kind", &KINDS, None)?;
        let increment = self.required("price_increment")?;
        let band_texts = self.bands()?;
        let of_bands = band_texts
            .iter()
            .map(|(_, step)| step.normalized().decimals);
        let price_decimals = of_bands.fold(increment.normalized().decimals, u8::max);
        let step = self.required("quantity_increment")?;
        let quantity_decimals = step.normalized().decimals;
        for (field, decimals) in [
            ("price_increment", price_decimals),
            ("quantity_increment", quantity_decimals),
        ] {
            if decimals > MAX_DECIMALS {
                return wrong(field, format!("has more than {MAX_DECIMALS} decimals"));
            }
        }
        let price = |field: &str, text: DecimalText| match text.at(price_decimals) {
            Ok(price) => Ok(Price(price)),
            Err(error) => wrong(field, error),
        };
        let mut price_bands = Vec::new();
        for (from, step) in band_texts {
            price_bands.push(PriceBand {
                from: price("price_bands", from)?,
                increment: price("price_bands", step)?,
            });
        }
        let quantity_increment = quantity("quantity_increment", step, quantity_decimals)?;
        let min_quantity = self.quantity("min_quantity", quantity_decimals)?;
        let min_quantity = min_quantity.unwrap_or(quantity_increment);
        let many = |times: i64| Quantity(min_quantity.0.saturating_mul(times));
        let instrument = Instrument {
            kind,
            base_currency: self.currency("base_currency")?,
            quote_currency: self.currency("quote_currency")?,
            price_decimals,
            quantity_decimals,
            price_increment: price("price_increment", increment)?,
            quantity_increment,
            min_quantity,
            max_quantity: self
                .quantity("max_quantity", quantity_decimals)?
                .unwrap_or(many(100_000)),
            min_notional: self.money("min_notional")?.unwrap_or_default(),
            multiplier: self.rate("multiplier")?.unwrap_or(Rate(1.into())),
            initial_margin: self.rate("initial_margin")?.unwrap_or(Rate(1.into())),
            fees: self.fees()?,
            synthetic: true,
            rules: self.rules(class, price_bands)?,
            instrument_id,
        };
        let start_price = self.required("start_price")?;
        let start_price = price("start_price", start_price)?;
        let tick = instrument.price_increment_at(start_price).0.max(1);
        let ticks = start_price.0 / tick;
        let half_spread = self.integer("half_spread_ticks")?;
        let walk = self.integer("walk_milliticks")?;
        Ok(SimInstrument {
            start_price,
            // As those of the default coins.
            half_spread_ticks: half_spread.unwrap_or((ticks / 120_000).max(1)),
            level_ticks: half_spread.unwrap_or((ticks / 150_000).max(1)),
            walk_milliticks: walk.unwrap_or((ticks / 200).max(1)),
            lot: self.quantity("lot", quantity_decimals)?.unwrap_or(many(10)),
            funding_rate: self.rate("funding_rate")?,
            parameters: MarketParameters::default(),
            instrument,
        })
    }

    fn fees(&mut self) -> Result<FeeSchedule, Wrong> {
        let decimals = match self.integer("fee_decimals")? {
            Some(decimals) => match u8::try_from(decimals) {
                Ok(decimals) => Some(decimals),
                Err(_) => return wrong("fee_decimals", "must be from 0 to 14"),
            },
            None => None,
        };
        Ok(FeeSchedule {
            maker: self.rate("maker_fee")?.unwrap_or_default(),
            taker: self.rate("taker_fee")?.unwrap_or_default(),
            decimals,
            per_unit: self.money("fee_per_unit")?.unwrap_or_default(),
            minimum: self.money("minimum_fee")?.unwrap_or_default(),
            in_base: match self.fields.remove("fee_in_base") {
                Some(Value::Boolean(in_base)) => in_base,
                Some(_) => return wrong("fee_in_base", "must be true or false"),
                None => false,
            },
        })
    }

    fn rules(
        &mut self,
        class: AssetClass,
        price_bands: Vec<PriceBand>,
    ) -> Result<InstrumentRules, Wrong> {
        let calendar = self.text("calendar")?.unwrap_or_default();
        if !calendar.is_empty() && !calendar::NAMES.contains(&calendar.as_str()) {
            let detail = format!("is no calendar; there are {}", calendar::NAMES.join(", "));
            return wrong("calendar", detail);
        }
        Ok(InstrumentRules {
            class,
            price_bands,
            max_notional: self.money("max_notional")?,
            maintenance_margin: self.rate("maintenance_margin")?,
            funding_interval_ns: self.integer("funding_interval_ns")?,
            expires_at: self.integer("ts_expires_ns")?.map(UnixNanos),
            calendar,
            price_collar: self.rate("price_collar")?,
            lacks: self.lacks()?,
        })
    }

    fn lacks(&mut self) -> Result<Lacks, Wrong> {
        const FIELD: &str = "lacks";
        let words = match self.fields.remove(FIELD) {
            Some(Value::Array(words)) => words,
            Some(_) => return wrong(FIELD, "must be a list of words, such as [\"stop\"]"),
            None => return Ok(Lacks::default()),
        };
        let words: Option<Vec<&str>> = words.iter().map(Value::as_str).collect();
        let Some(words) = words else {
            return wrong(FIELD, "must be words in quotes");
        };
        super::lacks::read(words).or_else(|detail| wrong(FIELD, detail))
    }

    fn bands(&mut self) -> Result<Vec<(DecimalText, DecimalText)>, Wrong> {
        const FIELD: &str = "price_bands";
        let detail = "must be a list of { from_price = \"1.00\", price_increment = \"0.01\" }";
        let bands = match self.fields.remove(FIELD) {
            Some(Value::Array(bands)) => bands,
            Some(_) => return wrong(FIELD, detail),
            None => return Ok(Vec::new()),
        };
        let mut found = Vec::new();
        for band in bands {
            let number = |key: &str| DecimalText::parse(band.get(key)?.as_str()?.as_bytes()).ok();
            let (Some(from), Some(step)) = (number("from_price"), number("price_increment")) else {
                return wrong(FIELD, detail);
            };
            found.push((from, step));
        }
        Ok(found)
    }

    fn text(&mut self, field: &str) -> Result<Option<String>, Wrong> {
        match self.fields.remove(field) {
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => wrong(
                field,
                "must be text in quotes; decimals too, such as \"0.01\"",
            ),
            None => Ok(None),
        }
    }

    fn integer(&mut self, field: &str) -> Result<Option<i64>, Wrong> {
        match self.fields.remove(field) {
            Some(Value::Integer(number)) => Ok(Some(number)),
            Some(_) => wrong(field, "must be a whole number without quotes"),
            None => Ok(None),
        }
    }

    fn decimal(&mut self, field: &str) -> Result<Option<DecimalText>, Wrong> {
        let Some(text) = self.text(field)? else {
            return Ok(None);
        };
        match DecimalText::parse(text.as_bytes()) {
            Ok(number) => Ok(Some(number)),
            Err(error) => wrong(field, error),
        }
    }

    fn required(&mut self, field: &str) -> Result<DecimalText, Wrong> {
        match self.decimal(field)? {
            Some(number) => Ok(number),
            None => wrong(field, "is missing"),
        }
    }

    fn quantity(&mut self, field: &str, decimals: u8) -> Result<Option<Quantity>, Wrong> {
        match self.decimal(field)? {
            Some(number) => quantity(field, number, decimals).map(Some),
            None => Ok(None),
        }
    }

    fn rate(&mut self, field: &str) -> Result<Option<Rate>, Wrong> {
        match self.decimal(field)?.map(DecimalText::decimal) {
            Some(Ok(number)) => Ok(Some(Rate(number))),
            Some(Err(error)) => wrong(field, error),
            None => Ok(None),
        }
    }

    fn money(&mut self, field: &str) -> Result<Option<Money>, Wrong> {
        Ok(self.rate(field)?.map(|number| Money(number.0)))
    }

    fn currency(&mut self, field: &str) -> Result<Currency, Wrong> {
        match self.text(field)? {
            Some(text) => Currency::new(&text).or_else(|error| wrong(field, error)),
            None => wrong(field, "is missing"),
        }
    }

    fn choice<T: Copy>(
        &mut self,
        field: &str,
        all: &[(&str, T)],
        otherwise: Option<T>,
    ) -> Result<T, Wrong> {
        let text = self.text(field)?;
        let found = match &text {
            Some(text) => all
                .iter()
                .find(|(name, _)| name == text)
                .map(|found| found.1),
            None => otherwise,
        };
        found.map_or_else(
            || {
                let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
                wrong(field, format!("must be one of {}", names.join(", ")))
            },
            Ok,
        )
    }
}

fn quantity(field: &str, text: DecimalText, decimals: u8) -> Result<Quantity, Wrong> {
    match text.at(decimals) {
        Ok(quantity) => Ok(Quantity(quantity)),
        Err(error) => wrong(field, error),
    }
}

const KINDS: [(&str, InstrumentKind); 3] = [
    ("spot", InstrumentKind::Spot),
    ("linear", InstrumentKind::Linear),
    ("inverse", InstrumentKind::Inverse),
];

const CLASSES: [(&str, AssetClass); 6] = [
    ("crypto", AssetClass::Crypto),
    ("equity", AssetClass::Equity),
    ("fx", AssetClass::Fx),
    ("future", AssetClass::Future),
    ("option", AssetClass::Option),
    ("index", AssetClass::Index),
];
