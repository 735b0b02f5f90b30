//! Which models of a simulated venue its user chose, as words: the one place where they are read.
//!
//! A choice that was not made is the default, so that a run without any is what it always was.

mod words;

#[cfg(test)]
mod tests;

use super::{BarPath, BarVolume, Latencies, LatencyModel, QueueModel, Slippage};
use crate::instrument::{FeeSchedule, Instrument};
use crate::money::Rate;
use std::collections::BTreeSet;
use std::fmt;
use thiserror::Error;

/// What can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Model {
    Latency,
    Queue,
    BarPath,
    BarVolume,
    Slippage,
    Fee,
    PriceCollar,
}

impl Model {
    pub const ALL: [Model; 7] = [
        Model::Latency,
        Model::Queue,
        Model::BarPath,
        Model::BarVolume,
        Model::Slippage,
        Model::Fee,
        Model::PriceCollar,
    ];

    /// Returns its name, which is that of the flag without the dashes.
    pub fn name(self) -> &'static str {
        match self {
            Model::Latency => "latency",
            Model::Queue => "queue",
            Model::BarPath => "bar-path",
            Model::BarVolume => "bar-volume",
            Model::Slippage => "slippage",
            Model::Fee => "fee",
            Model::PriceCollar => "price-collar",
        }
    }

    /// Returns what it may be, for people.
    pub fn allowed(self) -> &'static str {
        match self {
            Model::Latency => {
                "none, a time such as 5ms (units ns, us, ms, s, m, h, d, up to 7d), \
                 tail:BASE:MEAN, samples:TIME,TIME,..., or data, which is what a recording says of \
                 its own; one for both ways, or TO_VENUE/BACK"
            }
            Model::Queue => "back, proportional or front",
            Model::BarPath => "adaptive, high-first or low-first",
            Model::BarVolume => "unlimited or quarters",
            Model::Slippage => {
                "none, a number of increments such as 2ticks, or 5bps up to 10000bps"
            }
            Model::Fee => {
                "none, 5bps, MAKER:TAKER such as -1bps:5bps up to 10000bps, per-share:MONEY or \
                 per-share:MONEY:min:MONEY"
            }
            Model::PriceCollar => "none, or a share from 0 to 1 such as 0.1",
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a choice cannot be made. The caller mends it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChoiceError {
    #[error("{model} \"{value}\" is not allowed, expected {}", model.allowed())]
    Value { model: Model, value: String },
    /// A model that would change nothing there.
    #[error("{model} does not go with {place}, leave it out: {place} has {takes}")]
    Place {
        model: Model,
        place: &'static str,
        takes: String,
    },
    /// Only a recording has times of its own.
    #[error(
        "latency \"data\" does not go with {place}, which has no recording to take it from: name a \
         time, tail or samples"
    )]
    NoRecording { place: &'static str },
}

/// The latency of each way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencyChoice {
    pub to_venue: LatencyModel,
    pub to_account: LatencyModel,
}

/// The models that were chosen; `None` is the default of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelChoices {
    pub latency: Option<LatencyChoice>,
    pub queue: Option<QueueModel>,
    pub bar_path: Option<BarPath>,
    pub bar_volume: Option<BarVolume>,
    pub slippage: Option<Slippage>,
    /// Decimals are not part of it: those of each instrument stay.
    pub fee: Option<FeeSchedule>,
    /// `Some(None)` takes the collar of the definitions away.
    pub price_collar: Option<Option<Rate>>,
    /// Those that are for every run and not for this one: where they do not go they are left out.
    general: BTreeSet<Model>,
}

impl ModelChoices {
    /// Chooses a model by its words; the later choice holds.
    ///
    /// Errors: `Value`, with what is allowed.
    pub fn choose(&mut self, model: Model, text: &str) -> Result<(), ChoiceError> {
        let wrong = || ChoiceError::Value {
            model,
            value: text.chars().take(64).collect(),
        };
        match model {
            Model::Latency => self.latency = Some(words::latency(text).ok_or_else(wrong)?),
            Model::Queue => self.queue = Some(words::queue(text).ok_or_else(wrong)?),
            Model::BarPath => self.bar_path = Some(words::bar_path(text).ok_or_else(wrong)?),
            Model::BarVolume => self.bar_volume = Some(words::bar_volume(text).ok_or_else(wrong)?),
            Model::Slippage => self.slippage = Some(words::slippage(text).ok_or_else(wrong)?),
            Model::Fee => self.fee = Some(words::fee(text).ok_or_else(wrong)?),
            Model::PriceCollar => self.price_collar = Some(words::collar(text).ok_or_else(wrong)?),
        }
        self.general.remove(&model);
        Ok(())
    }

    /// As [`ModelChoices::choose`], for every run, such as from a settings file: where the model
    /// does not go it is left out instead of refused.
    ///
    /// Errors: `Value`.
    pub fn choose_generally(&mut self, model: Model, text: &str) -> Result<(), ChoiceError> {
        self.choose(model, text)?;
        self.general.insert(model);
        Ok(())
    }

    /// Checks that all choices go with `place`, which has the models of `takes`, and leaves general
    /// ones out that do not.
    ///
    /// Errors: `Place`, `NoRecording`.
    pub fn fit(mut self, place: &'static str, takes: &[Model]) -> Result<Self, ChoiceError> {
        // Slippage is for prices that are given, so it is there where a recording is.
        let no_recording = self.is_recorded() && !takes.contains(&Model::Slippage);
        for (model, _) in self.chosen() {
            let lacks = model == Model::Latency && no_recording;
            if takes.contains(&model) && !lacks {
                continue;
            }
            if !self.general.remove(&model) {
                if lacks {
                    return Err(ChoiceError::NoRecording { place });
                }
                let takes: Vec<&str> = takes.iter().map(|model| model.name()).collect();
                return Err(ChoiceError::Place {
                    model,
                    place,
                    takes: takes.join(", "),
                });
            }
            self.forget(model);
        }
        Ok(self)
    }

    fn forget(&mut self, model: Model) {
        match model {
            Model::Latency => self.latency = None,
            Model::Queue => self.queue = None,
            Model::BarPath => self.bar_path = None,
            Model::BarVolume => self.bar_volume = None,
            Model::Slippage => self.slippage = None,
            Model::Fee => self.fee = None,
            Model::PriceCollar => self.price_collar = None,
        }
    }

    /// Returns each choice in the shortest words that make it; the same choice gives the same
    /// words, however it was written.
    pub fn chosen(&self) -> Vec<(Model, String)> {
        let texts = [
            self.latency.as_ref().map(words::latency_text),
            self.queue.map(|queue| words::queue_text(queue).to_owned()),
            self.bar_path
                .map(|path| words::bar_path_text(path).to_owned()),
            self.bar_volume
                .map(|volume| words::bar_volume_text(volume).to_owned()),
            self.slippage.map(words::slippage_text),
            self.fee.map(|fee| words::fee_text(&fee)),
            self.price_collar.map(words::collar_text),
        ];
        let pairs = Model::ALL.into_iter().zip(texts);
        pairs
            .filter_map(|(model, text)| Some((model, text?)))
            .collect()
    }

    /// Returns what was chosen, for a report.
    pub fn statements(&self) -> Vec<String> {
        let say = |(model, text)| match model {
            Model::Latency => format!(
                "latency {text}: an order meets the market of its arrival, a report is told when \
                 it is back, and what is under way at the end of the data does not arrive"
            ),
            Model::Queue => format!("queue {text}: of what is ahead of a resting order"),
            Model::BarPath => format!("bar-path {text}: the order of the prices within a bar"),
            Model::BarVolume => format!("bar-volume {text}: what a bar fills"),
            Model::Slippage => {
                format!("slippage {text}: orders without a limit fill that much worse")
            }
            Model::Fee => format!("fee {text} of each fill, instead of the instruments' own"),
            Model::PriceCollar => {
                format!("price-collar {text}: limit prices further from the last trade are refused")
            }
        };
        self.chosen().into_iter().map(say).collect()
    }

    /// Puts the chosen fee and collar into a definition, before account and venue are given it.
    pub fn define(&self, instrument: &mut Instrument) {
        if let Some(fee) = self.fee {
            instrument.fees = FeeSchedule {
                decimals: instrument.fees.decimals,
                ..fee
            };
        }
        if let Some(collar) = self.price_collar {
            instrument.rules.price_collar = collar;
        }
    }

    /// Returns the latencies; `None` where there is none, so that nothing stands in between.
    pub fn latencies(&self, seed: u64) -> Option<Latencies> {
        let LatencyChoice {
            to_venue,
            to_account,
        } = self.latency.clone()?;
        let none = LatencyModel::Fixed(0);
        if to_venue == none && to_account == none {
            return None;
        }
        Some(Latencies {
            to_venue,
            to_account,
            seed,
        })
    }

    /// Returns whether a run draws lots from its seed.
    pub fn is_random(&self) -> bool {
        self.has_way(|way| matches!(way, LatencyModel::Tail { .. } | LatencyModel::Samples(_)))
    }

    fn is_recorded(&self) -> bool {
        self.has_way(|way| *way == LatencyModel::Recorded)
    }

    fn has_way(&self, is_such: impl Fn(&LatencyModel) -> bool) -> bool {
        let latency = self.latency.as_ref();
        latency.is_some_and(|it| is_such(&it.to_venue) || is_such(&it.to_account))
    }
}
