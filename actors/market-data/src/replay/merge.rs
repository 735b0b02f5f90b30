//! One instrument out of what several recordings tell about it.

use super::recording::Recording;
use super::state::InstrumentState;
use super::{ReplayError, ReplayOptions};
use apex_domain::InstrumentId;
use apex_domain::book::SequenceRule;
use apex_venues::capture::SymbolInfo;

/// Makes the state of one symbol of a row, as precise as the most precise of its recordings.
pub fn merged(
    recordings: &[Recording],
    files: &[usize],
    symbol: &str,
    rule: SequenceRule,
    clone: u32,
    options: &ReplayOptions,
) -> Result<InstrumentState, ReplayError> {
    let infos: Vec<_> = files
        .iter()
        .flat_map(|file| &recordings[*file].info().symbols)
        .filter(|info| info.symbol == symbol)
        .collect();
    let most = |of: fn(&SymbolInfo) -> u8| infos.iter().map(|i| of(i)).max().unwrap_or(0);
    let mut instrument = infos[0].instrument.clone();
    instrument.price_decimals = most(|info| info.instrument.price_decimals);
    instrument.quantity_decimals = most(|info| info.instrument.quantity_decimals);
    if clone > 0 {
        let id = &instrument.instrument_id;
        let name = format!("{}-C{clone}.{}", id.symbol(), id.venue());
        instrument.instrument_id = InstrumentId::new(&name).map_err(ReplayError::CloneName)?;
        instrument.synthetic = true;
    }
    let span = |of: fn(&SymbolInfo) -> (u64, u64)| {
        let known = || {
            infos
                .iter()
                .map(|info| of(info))
                .filter(|ids| *ids != (0, 0))
        };
        let first = known().map(|ids| ids.0).min().unwrap_or(0);
        let last = known().map(|ids| ids.1).max().unwrap_or(0);
        (last - first).saturating_add(1)
    };
    let wire = (
        most(|info| info.wire_price_decimals),
        most(|info| info.wire_quantity_decimals),
    );
    let has_book = infos.iter().any(|info| info.update_ids != (0, 0));
    let mut state = InstrumentState::new(instrument, rule, wire, has_book, &options.bars)?;
    state.update_id_span = span(|info| info.update_ids);
    state.trade_id_span = span(|info| info.trade_ids);
    Ok(state)
}
