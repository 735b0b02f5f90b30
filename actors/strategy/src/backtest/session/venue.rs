//! The venue of a backtest, of the models that were chosen.

use super::super::BacktestError;
use super::super::options::{BacktestOptions, Fill};
use apex_domain::instrument::Instrument;
use apex_domain::matching::{
    BarFill, BarFillOptions, BookFill, BookFillOptions, Delayed, FillModel, InSessions,
    ModelChoices, Slippage,
};
use apex_domain::venue::VenueModel;

/// Makes the venue over these instruments, which have the chosen fee and collar already.
///
/// Errors: `Option`.
pub(super) fn of(
    fill: Fill,
    options: &BacktestOptions,
    models: &ModelChoices,
    instruments: &[Instrument],
) -> Result<Box<dyn VenueModel + Send>, BacktestError> {
    let share = options.slippage()?;
    let fill = match fill {
        Fill::NextOpen => FillModel::NextOpen,
        Fill::BarClose => FillModel::BarClose,
        Fill::Touch => FillModel::Touch,
        Fill::Book => {
            if !share.is_zero() {
                return Err(BacktestError::Option {
                    option: "slippage-bps",
                    value: options.slippage_bps.to_string(),
                    expected: "the book model has its own slippage, leave it out; what comes on \
                               top of sweeping the book is the slippage model, such as 5bps",
                });
            }
            let rules = BookFillOptions {
                queue: models.queue.unwrap_or_default(),
                slippage: models.slippage.unwrap_or_default(),
                ..BookFillOptions::default()
            };
            let mut venue = BookFill::with_options("backtest", 1, rules)
                // A constant text within the alphabet of ids.
                .expect("a constant id");
            for instrument in instruments {
                venue.define(instrument.clone());
            }
            let venue = InSessions::new(venue, instruments);
            return Ok(at_distance(venue, options, models));
        }
    };
    let rules = BarFillOptions {
        slippage: models.slippage.unwrap_or(Slippage::Share(share)),
        path: models.bar_path.unwrap_or_default(),
        volume: models.bar_volume.unwrap_or_default(),
        ..BarFillOptions::new(fill)
    };
    let venue = BarFill::new(rules, instruments.iter().cloned());
    let venue = InSessions::new(venue, instruments);
    Ok(at_distance(venue, options, models))
}

/// Without a latency nothing stands in between.
fn at_distance(
    venue: impl VenueModel + Send + 'static,
    options: &BacktestOptions,
    models: &ModelChoices,
) -> Box<dyn VenueModel + Send> {
    match models.latencies(options.seed) {
        Some(latencies) => Box::new(Delayed::new(venue, latencies)),
        None => Box::new(venue),
    }
}
