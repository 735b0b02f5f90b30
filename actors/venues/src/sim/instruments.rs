//! Instruments of the simulated exchange that a file defines.
//!
//! The file is TOML: a table `[instruments."SYMBOL.SIM"]` for each instrument, with the field
//! names of the API. An entry with the id of a default instrument replaces it, another is added.

mod entry;
mod lacks;
#[cfg(test)]
mod tests;

use apex_domain::matching::{SimError, SimExchange, SimInstrument, SimOptions};
use entry::Entry;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The table that holds the entries.
const INSTRUMENTS: &str = "instruments";

/// Why a file defines no instruments. The file has to be mended; nothing was taken from it.
#[derive(Debug, Error)]
pub enum InstrumentsFileError {
    #[error("instruments file \"{}\" cannot be read: check the path and the rights", file.display())]
    Read {
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("instruments file \"{}\" is no TOML", file.display())]
    Syntax {
        file: PathBuf,
        #[source]
        source: toml::de::Error,
    },
    #[error("instruments file \"{}\" {detail}", file.display())]
    Shape { file: PathBuf, detail: String },
    /// One field of one entry.
    #[error("instruments file \"{}\", entry \"{entry}\", field {field}: {detail}", file.display())]
    Field {
        file: PathBuf,
        entry: String,
        field: String,
        detail: String,
    },
}

/// Returns the default instruments with those of a file over them.
///
/// Errors: [`InstrumentsFileError`].
pub fn load_instruments(file: &Path) -> Result<Vec<SimInstrument>, InstrumentsFileError> {
    let text = std::fs::read_to_string(file).map_err(|source| InstrumentsFileError::Read {
        file: file.to_owned(),
        source,
    })?;
    let mut instruments = SimInstrument::defaults();
    for defined in parse(file, &text)? {
        let id = &defined.instrument.instrument_id;
        let known = instruments
            .iter_mut()
            .find(|listed| listed.instrument.instrument_id == *id);
        match known {
            // In its place, so that all others have the market that they had.
            Some(listed) => *listed = defined,
            None => instruments.push(defined),
        }
    }
    Ok(instruments)
}

/// Reads the entries of a text, in order of their ids; the file is for errors only.
fn parse(file: &Path, text: &str) -> Result<Vec<SimInstrument>, InstrumentsFileError> {
    let mut root: toml::Table = text
        .parse()
        .map_err(|source| InstrumentsFileError::Syntax {
            file: file.to_owned(),
            source,
        })?;
    let shape = |detail: String| InstrumentsFileError::Shape {
        file: file.to_owned(),
        detail,
    };
    let entries = match root.remove(INSTRUMENTS) {
        Some(toml::Value::Table(entries)) if !entries.is_empty() => entries,
        _ => {
            let detail = "defines nothing: write a table [instruments.\"SYMBOL.SIM\"] for each";
            return Err(shape(detail.to_owned()));
        }
    };
    if let Some(other) = root.keys().next() {
        let detail = format!("has the unknown key {other:?}: there is only [instruments]");
        return Err(shape(detail));
    }
    let read = |(name, value): (String, toml::Value)| {
        let (field, detail) = match read_entry(&name, value) {
            Ok(defined) => return Ok(defined),
            Err(wrong) => wrong,
        };
        Err(InstrumentsFileError::Field {
            file: file.to_owned(),
            entry: name,
            field,
            detail,
        })
    };
    entries.into_iter().map(read).collect()
}

/// Errors: the field and what is wrong with it.
fn read_entry(name: &str, value: toml::Value) -> Result<SimInstrument, (String, String)> {
    let toml::Value::Table(fields) = value else {
        return Err(("instrument_id".to_owned(), "must be a table".to_owned()));
    };
    let defined = Entry::new(fields).read(name)?;
    // All else that the exchange asks for, by the exchange itself.
    let options = SimOptions {
        instruments: vec![defined.clone()],
        ..SimOptions::new(1)
    };
    match SimExchange::new(options) {
        Ok(_) => {}
        Err(SimError::Instrument(error)) => {
            let detail = format!("{error}; see docs/guide/instruments.md");
            return Err((error.field().to_owned(), detail));
        }
        Err(error) => return Err(("instrument_id".to_owned(), error.to_string())),
    }
    let instrument = &defined.instrument;
    let lowest = apex_domain::Price(defined.start_price.0 / 2);
    if instrument.smallest_orderable(lowest) != Ok(instrument.min_quantity) {
        let detail = "is worth less than min_notional at half the start_price: raise it";
        return Err(("min_quantity".to_owned(), detail.to_owned()));
    }
    Ok(defined)
}
