//! `apextrade indicators`.

use crate::cli::{ComputeArgs, IndicatorsArgs, IndicatorsCommand};
use crate::commands::up::parameters;
use anyhow::{Result, bail};
use apex_domain::indicator::{self, BarInput, INDICATORS, IndicatorType, Outputs};
use apex_domain::instrument::Instrument;
use apex_venues::csv::{CsvOptions, CsvSource, Loaded};
use serde_json::{Value, json};
use std::io::{BufWriter, Write};
use std::process::ExitCode;

/// Lists the indicators or computes one.
///
/// Errors: an indicator or parameter that there is not, and a file that cannot be read.
pub fn run(args: &IndicatorsArgs) -> Result<ExitCode> {
    match &args.command {
        Some(IndicatorsCommand::Compute(args)) => compute(args)?,
        None => list(args.json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(as_json: bool) -> Result<()> {
    if as_json {
        let all = INDICATORS.iter().map(described);
        let all = all.collect::<Result<Vec<_>>>()?;
        crate::say!("{}", json!({ "indicators": all }));
        return Ok(());
    }
    let mut rows = Vec::new();
    for indicator in INDICATORS {
        let parameters: Vec<String> = indicator
            .parameters
            .iter()
            .map(|parameter| format!("{}={}", parameter.name, parameter.default))
            .collect();
        rows.push(vec![
            indicator.name.to_owned(),
            parameters.join(" "),
            indicator.outputs.join(" "),
            indicator.build(&[])?.warm_up().to_string(),
            indicator.help.to_owned(),
        ]);
    }
    let headings = ["NAME", "PARAMETERS", "OUTPUTS", "WARM-UP", "WHAT IT IS"];
    crate::output::table(&headings, &rows);
    Ok(())
}

fn described(indicator: &IndicatorType) -> Result<Value> {
    let parameters: Vec<Value> = indicator
        .parameters
        .iter()
        .map(|parameter| {
            json!({
                "name": parameter.name,
                "default": parameter.default,
                "min": parameter.min,
                "max": parameter.max,
                "whole": parameter.is_whole,
                "help": parameter.help,
            })
        })
        .collect();
    Ok(json!({
        "name": indicator.name,
        "help": indicator.help,
        "inputs": indicator.inputs.names(),
        "parameters": parameters,
        "outputs": indicator.outputs,
        // With the defaults.
        "warm_up": indicator.build(&[])?.warm_up(),
    }))
}

/// The outputs at one row of the file, if there were any.
struct Row {
    ts_event_ns: i64,
    outputs: Option<Outputs>,
}

fn compute(args: &ComputeArgs) -> Result<()> {
    let kind = indicator::find(&args.name)?;
    let pairs = parameters(&args.params)?;
    // Before a long file is read for nothing.
    let mut object = kind.build(&pairs)?;
    let loaded = CsvSource::open(
        &args.data,
        &CsvOptions {
            instrument: args.instrument.clone(),
        },
    )?;
    let instrument = only_instrument(&loaded)?;
    let mut rows = Vec::with_capacity(loaded.events.len());
    let mut refused = Vec::new();
    for event in &loaded.events {
        let Some(input) = BarInput::from_event(event, instrument) else {
            continue;
        };
        let outputs = object.update(&input).unwrap_or_else(|error| {
            refused.push(format!("row at {} ns: {error}", input.ts.0));
            None
        });
        rows.push(Row {
            ts_event_ns: input.ts.0,
            outputs,
        });
    }
    warn(&loaded, &refused);
    if args.json {
        let used: serde_json::Map<String, Value> = kind
            .parameters(&pairs)?
            .iter()
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        let rows: Vec<Value> = rows.iter().map(|row| json_row(kind, row)).collect();
        crate::say!(
            "{}",
            json!({
                "indicator": kind.name,
                "instrument_id": instrument.instrument_id.to_string(),
                "parameters": used,
                "warm_up": object.warm_up(),
                "rows": rows,
                "refused_rows": refused.len(),
                "bad_rows": loaded.bad_rows.count,
            })
        );
        return Ok(());
    }
    // A reader who has gone, such as `head`, is no error.
    let _ = print_csv(kind, &rows);
    Ok(())
}

/// An indicator over several instruments in turn would mean nothing.
fn only_instrument(loaded: &Loaded) -> Result<&Instrument> {
    match loaded.instruments.as_slice() {
        [] => bail!("the file has no row that can be read"),
        [one] => Ok(one),
        [first, ..] => bail!(
            "the file has {} instruments: choose one with --instrument, such as {}",
            loaded.instruments.len(),
            first.instrument_id
        ),
    }
}

/// On standard error, since standard output is for rows.
fn warn(loaded: &Loaded, refused: &[String]) {
    let bad = &loaded.bad_rows;
    if bad.count > 0 {
        crate::tell!(
            "warning: {} rows could not be read and were left out",
            bad.count
        );
    }
    if let Some(first) = refused.first() {
        crate::tell!(
            "warning: {} rows were refused by the indicator, the first: {first}",
            refused.len()
        );
    }
}

fn json_row(kind: &IndicatorType, row: &Row) -> Value {
    let mut object = serde_json::Map::new();
    object.insert("ts_event_ns".to_owned(), json!(row.ts_event_ns));
    for (place, name) in kind.outputs.iter().enumerate() {
        let value = row.outputs.as_ref().map(|outputs| outputs[place]);
        object.insert((*name).to_owned(), json!(value));
    }
    Value::Object(object)
}

/// A row without outputs has empty cells, so that rows stay those of the file.
fn print_csv(kind: &IndicatorType, rows: &[Row]) -> std::io::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    writeln!(out, "ts_event_ns,{}", kind.outputs.join(","))?;
    for row in rows {
        write!(out, "{}", row.ts_event_ns)?;
        for place in 0..kind.outputs.len() {
            match &row.outputs {
                Some(outputs) => write!(out, ",{}", outputs[place])?,
                None => write!(out, ",")?,
            }
        }
        writeln!(out)?;
    }
    out.flush()
}
