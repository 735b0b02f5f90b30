//! Instrument definitions from the data itself.

use super::CsvError;
use super::header::{CsvKind, Layout};
use super::row::{Fields, Row, RowError};
use crate::currency::currencies;
use apex_domain::instrument::{FeeSchedule, InstrumentKind, InstrumentRules};
use apex_domain::market::Level;
use apex_domain::number::Decimal;
use apex_domain::{Instrument, InstrumentId, Money, Price, Quantity, Rate, UnixNanos};
use std::collections::BTreeMap;

/// What the data without a symbol is called.
pub const UNNAMED: &str = "DATA.SIM";

/// The largest quantity of one order on an inferred instrument, as a mantissa: no real limit, and
/// far enough under `i64::MAX` that sums of a few orders cannot overflow.
const MAX_QUANTITY: i64 = 100_000_000_000_000_000;

/// The most decimals of sizes that went through binary floats: what venues state at most, and far
/// above the noise. Without a cap one `0.00999999999999801` would set the increment for all.
const NOISY_SIZE_DECIMALS: u8 = 8;

/// The most instruments of one file, each of which stays in memory: some 20 MB of them, and several
/// times the listed shares of the world's largest exchange. A column of garbage as symbols ends here.
pub const MAX_INSTRUMENTS: usize = 65_536;

/// What was learned about one instrument, and its running state while events are made.
#[derive(Debug)]
pub struct Shape {
    pub instrument_id: InstrumentId,
    pub price_decimals: u8,
    pub quantity_decimals: u8,
    /// Some size carried the noise of binary floats, so no size is exact.
    pub noisy_sizes: bool,
    pub rows: u64,
    pub last_ts: UnixNanos,
    /// The newest bid and ask of a tick file.
    pub sides: [Option<Level>; 2],
}

/// The instruments of a file by the symbol that its rows carry.
#[derive(Debug)]
pub struct Shapes {
    by_symbol: BTreeMap<Vec<u8>, Slot>,
    shapes: Vec<Shape>,
    /// The place of each instrument among them: several symbols may mean the same one.
    by_id: BTreeMap<InstrumentId, usize>,
    wanted: Option<InstrumentId>,
    /// There are more instruments than may be.
    is_full: bool,
    /// The symbol of the last row and its slot: rows of a symbol mostly follow each other.
    last: (Vec<u8>, Slot),
}

/// What a symbol means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Shape(usize),
    /// Another instrument than the wanted one.
    Other,
    /// No instrument id can be made of it.
    Invalid,
}

/// The first walk over the rows: which instruments there are and how precise they are.
#[derive(Debug)]
pub struct Selection {
    shapes: Shapes,
}

impl Selection {
    /// Errors: `Instrument` when the wanted id cannot be read.
    pub fn new(layout: &Layout, wanted: Option<&str>) -> Result<Selection, CsvError> {
        let wanted = wanted
            .map(|text| {
                InstrumentId::in_command(text).map_err(|source| CsvError::Instrument {
                    text: text.chars().take(80).collect(),
                    source,
                })
            })
            .transpose()?;
        let mut shapes = Shapes {
            by_symbol: BTreeMap::new(),
            shapes: Vec::new(),
            by_id: BTreeMap::new(),
            wanted,
            is_full: false,
            last: (Vec::new(), Slot::Invalid),
        };
        if layout.symbol.is_none() {
            let name = shapes
                .wanted
                .as_ref()
                .map_or(UNNAMED, InstrumentId::as_str)
                .to_owned();
            let slot = shapes.slot_for(name.as_bytes());
            shapes.last = (name.into_bytes(), slot);
        }
        Ok(Selection { shapes })
    }

    /// Looks at a row. One that cannot be read teaches nothing; it is reported by the second walk.
    pub fn learn(&mut self, layout: &Layout, line: &[u8]) {
        let Ok(fields) = Fields::cut(line, layout) else {
            return;
        };
        let Ok(Some(shape)) = self.shapes.of(layout, &fields) else {
            return;
        };
        let Ok(row) = fields.row(layout) else { return };
        shape.widen(&row);
    }

    /// Returns true when the file has more instruments than [`MAX_INSTRUMENTS`].
    pub fn is_full(&self) -> bool {
        self.shapes.is_full
    }

    pub fn into_shapes(mut self) -> Shapes {
        for shape in &mut self.shapes.shapes {
            if shape.noisy_sizes {
                shape.quantity_decimals = shape.quantity_decimals.min(NOISY_SIZE_DECIMALS);
            }
        }
        self.shapes
    }
}

impl Shape {
    fn widen(&mut self, row: &Row) {
        self.rows += 1;
        self.noisy_sizes |= row.denoised;
        for value in row.prices.iter().flatten() {
            if value.decimals > self.price_decimals {
                self.price_decimals = self.price_decimals.max(value.significant_decimals());
            }
        }
        for value in row.quantities.iter().flatten() {
            if value.decimals > self.quantity_decimals {
                self.quantity_decimals = self.quantity_decimals.max(value.significant_decimals());
            }
        }
    }

    fn instrument(&self) -> Instrument {
        let (base_currency, quote_currency) = currencies(self.instrument_id.symbol());
        Instrument {
            instrument_id: self.instrument_id.clone(),
            kind: InstrumentKind::Linear,
            base_currency,
            quote_currency,
            price_decimals: self.price_decimals,
            quantity_decimals: self.quantity_decimals,
            price_increment: Price(1),
            quantity_increment: Quantity(1),
            min_quantity: Quantity(1),
            max_quantity: Quantity(MAX_QUANTITY),
            min_notional: Money::ZERO,
            multiplier: Rate(Decimal::ONE),
            initial_margin: Rate(Decimal::ONE),
            fees: FeeSchedule::default(),
            synthetic: false,
            rules: InstrumentRules::default(),
        }
    }
}

impl Shapes {
    /// Returns the shape that a row belongs to, or `None` when it is not selected.
    ///
    /// Errors: `Symbol` when no instrument id can be made of the row's symbol.
    pub fn of(&mut self, layout: &Layout, fields: &Fields) -> Result<Option<&mut Shape>, RowError> {
        if let Some(column) = layout.symbol {
            let symbol = fields.get(column);
            if symbol != self.last.0.as_slice() {
                let slot = self.slot_for(symbol);
                self.last.0.clear();
                self.last.0.extend_from_slice(symbol);
                self.last.1 = slot;
            }
            if self.last.1 == Slot::Invalid {
                return Err(RowError::Symbol { column: column + 1 });
            }
        }
        Ok(match self.last.1 {
            Slot::Shape(index) => Some(&mut self.shapes[index]),
            Slot::Other | Slot::Invalid => None,
        })
    }

    fn slot_for(&mut self, symbol: &[u8]) -> Slot {
        if let Some(slot) = self.by_symbol.get(symbol) {
            return *slot;
        }
        let id = std::str::from_utf8(symbol)
            .ok()
            .and_then(|text| InstrumentId::in_command(text).ok());
        let slot = match id {
            None => Slot::Invalid,
            Some(id) if self.wanted.as_ref().is_some_and(|wanted| *wanted != id) => Slot::Other,
            Some(id) if self.by_id.contains_key(&id) => Slot::Shape(self.by_id[&id]),
            Some(_) if self.shapes.len() == MAX_INSTRUMENTS => {
                self.is_full = true;
                Slot::Invalid
            }
            Some(instrument_id) => {
                self.by_id.insert(instrument_id.clone(), self.shapes.len());
                self.shapes.push(Shape {
                    instrument_id,
                    price_decimals: 0,
                    quantity_decimals: 0,
                    noisy_sizes: false,
                    rows: 0,
                    last_ts: UnixNanos::MIN,
                    sides: [None, None],
                });
                Slot::Shape(self.shapes.len() - 1)
            }
        };
        // An unreadable symbol is not kept: garbage must not grow the table. Nor may those that nobody
        // wants, the first of which are for a message, or many symbols of one instrument.
        if slot != Slot::Invalid && self.by_symbol.len() < 2 * MAX_INSTRUMENTS {
            self.by_symbol.insert(symbol.to_vec(), slot);
        }
        slot
    }

    pub fn rows(&self) -> u64 {
        self.shapes.iter().map(|shape| shape.rows).sum()
    }

    pub fn wanted(&self) -> InstrumentId {
        self.wanted.clone().unwrap_or_else(unnamed)
    }

    /// Returns true when the file names instruments, but not the wanted one.
    pub fn misses_the_wanted(&self) -> bool {
        self.shapes.is_empty() && !self.by_symbol.is_empty()
    }

    /// Returns the first symbols of the file, for a message.
    pub fn known(&self) -> String {
        let symbols: Vec<_> = self
            .by_symbol
            .keys()
            .take(20)
            .map(|symbol| String::from_utf8_lossy(symbol).into_owned())
            .collect();
        symbols.join(" ")
    }

    pub fn instruments(&self) -> Vec<Instrument> {
        let mut instruments: Vec<_> = self
            .shapes
            .iter()
            .filter(|shape| shape.rows > 0)
            .map(Shape::instrument)
            .collect();
        instruments.sort_by(|a, b| a.instrument_id.cmp(&b.instrument_id));
        instruments
    }
}

fn unnamed() -> InstrumentId {
    InstrumentId::new(UNNAMED).expect("the constant is SYMBOL.VENUE")
}

/// Says what was taken for granted.
pub fn assumptions(layout: &Layout, shapes: &Shapes) -> Vec<String> {
    let mut said = vec![
        "instrument definitions are inferred from the data: increments by its decimals, linear, \
         multiplier 1, no fees"
            .to_owned(),
    ];
    if layout.symbol.is_none() {
        said.push(match &shapes.wanted {
            Some(id) => format!("the file names no instrument, all rows are taken as {id}"),
            None => format!("the file names no instrument, its rows are called {UNNAMED}"),
        });
    }
    match layout.kind {
        CsvKind::QuoteBars => {
            said.push("a quote bar is the quote of its closing bid and ask".to_owned())
        }
        CsvKind::Ticks => said.push("a quote row with 0,0 leaves that side as it was".to_owned()),
        _ => {}
    }
    if layout.quantities.is_empty() {
        said.push("the file states no sizes".to_owned());
    }
    said
}
