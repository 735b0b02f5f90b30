//! The flags that choose models of the simulated venue; see docs/guide/models.md.

use apex_domain::matching::{ChoiceError, Model, ModelChoices};
use clap::Args;

/// Checks the words of a model while the command line is read, so that wrong ones are wrong usage.
fn checked(model: Model, text: &str) -> Result<String, ChoiceError> {
    ModelChoices::default().choose(model, text)?;
    Ok(text.to_owned())
}

/// What every simulated venue has.
#[derive(Clone, Debug, Default, Args)]
pub struct CommonModelArgs {
    /// How long orders and reports are under way: none, 5ms, tail:BASE:MEAN, samples:T,T, or data
    /// (as a recording was seen); one for both ways, or TO_VENUE/BACK.
    #[arg(long, value_name = "TIME", value_parser = |t: &str| checked(Model::Latency, t))]
    pub latency: Option<String>,
    /// Fee of each fill instead of the instruments' own: none, 5bps, MAKER:TAKER such as
    /// -1bps:5bps, or per-share:MONEY[:min:MONEY].
    #[arg(long, value_name = "FEE", allow_hyphen_values = true,
          value_parser = |t: &str| checked(Model::Fee, t))]
    pub fee: Option<String>,
    /// Refuse limit prices further than this share from the last trade, such as 0.1; none for no
    /// collar.
    #[arg(long, value_name = "SHARE", value_parser = |t: &str| checked(Model::PriceCollar, t))]
    pub price_collar: Option<String>,
}

/// What a venue over a recorded book has besides.
#[derive(Clone, Debug, Default, Args)]
pub struct BookModelArgs {
    /// What of a level is ahead of a resting order: back, proportional or front.
    #[arg(long, value_name = "MODEL", value_parser = |t: &str| checked(Model::Queue, t))]
    pub queue: Option<String>,
    /// How much worse orders without a limit fill, such as 5bps or 2ticks.
    #[arg(long, value_name = "SLIPPAGE", value_parser = |t: &str| checked(Model::Slippage, t))]
    pub slippage: Option<String>,
}

/// What a venue over bars has besides.
#[derive(Clone, Debug, Default, Args)]
pub struct BarModelArgs {
    /// Order of the prices within a bar: adaptive, high-first or low-first.
    #[arg(long, value_name = "PATH", value_parser = |t: &str| checked(Model::BarPath, t))]
    pub bar_path: Option<String>,
    /// How much a bar fills: unlimited, or quarters of its volume.
    #[arg(long, value_name = "VOLUME", value_parser = |t: &str| checked(Model::BarVolume, t))]
    pub bar_volume: Option<String>,
}

impl CommonModelArgs {
    pub fn given(&self) -> Vec<(Model, &String)> {
        let flags = [
            (Model::Latency, &self.latency),
            (Model::Fee, &self.fee),
            (Model::PriceCollar, &self.price_collar),
        ];
        stated(flags)
    }
}

impl BookModelArgs {
    pub fn given(&self) -> Vec<(Model, &String)> {
        stated([
            (Model::Queue, &self.queue),
            (Model::Slippage, &self.slippage),
        ])
    }
}

impl BarModelArgs {
    pub fn given(&self) -> Vec<(Model, &String)> {
        stated([
            (Model::BarPath, &self.bar_path),
            (Model::BarVolume, &self.bar_volume),
        ])
    }
}

fn stated<const N: usize>(flags: [(Model, &Option<String>); N]) -> Vec<(Model, &String)> {
    flags
        .into_iter()
        .filter_map(|(model, text)| Some((model, text.as_ref()?)))
        .collect()
}
