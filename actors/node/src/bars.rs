//! Checks stored bars beside those that the engine makes of their trades, without a running node.

use crate::NodeError;
use crate::stores::{self, ServerSettings};
use apex_domain::InstrumentId;
use apex_storage::compare::{AtOnce, Comparison, compare_bars};
use apex_storage::port::series::TimeRange;
use std::path::Path;

/// Compares the bars of an instrument, or of all that were recorded, on the days of a range. Returns
/// what was found of each, in order of id.
///
/// # Errors
/// `Usage` of an instrument that nothing was recorded of, or of a folder that is not there; `Storage`
/// when the series cannot be read, in a data folder also while another process has it.
pub fn check(
    data_dir: &Path,
    servers: &ServerSettings,
    instrument: Option<&InstrumentId>,
    range: TimeRange,
) -> Result<Vec<(InstrumentId, Comparison)>, NodeError> {
    let series = stores::recorded(data_dir, servers)?;
    let known = series.instruments()?;
    let wanted = match instrument {
        None => known,
        Some(id) if known.contains(id) => vec![id.clone()],
        Some(id) => {
            let detail =
                format!("nothing was recorded of instrument {id}: see `apextrade bars check`");
            return Err(NodeError::Usage(detail));
        }
    };
    let mut found = Vec::with_capacity(wanted.len());
    for id in wanted {
        // At this pace it always goes on.
        let of_one = compare_bars(&*series, &id, range, &AtOnce)?.unwrap_or_default();
        found.push((id, of_one));
    }
    Ok(found)
}
