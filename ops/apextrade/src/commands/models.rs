//! The models of a simulated venue: those of the settings, then those of the flags.

use crate::config::Settings;
use anyhow::{Context, Result};
use apex_domain::matching::{Model, ModelChoices};

/// The models of the market inside and of `venue-sim`.
pub const EXCHANGE: &[Model] = &[Model::Latency, Model::Fee, Model::PriceCollar];

/// The models of a replay.
pub const REPLAY: &[Model] = &[
    Model::Latency,
    Model::Queue,
    Model::Slippage,
    Model::Fee,
    Model::PriceCollar,
];

/// Puts both together. Settings hold for every command, so one of theirs that does not go with
/// this one is left out later; a flag is meant and is refused then.
///
/// Errors: what the settings have that is no model's word.
pub fn choose(settings: &Settings, flags: &[(Model, &String)]) -> Result<ModelChoices> {
    let mut choices = ModelChoices::default();
    for (model, text) in &settings.simulation {
        choices
            .choose_generally(*model, text)
            .context("[simulation] of the settings, or APEX_SIMULATION_* of the environment")?;
    }
    for (model, text) in flags {
        choices.choose(*model, text)?;
    }
    Ok(choices)
}
