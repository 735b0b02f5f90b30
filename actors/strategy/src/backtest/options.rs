//! What a caller may choose about a backtest.

use super::BacktestError;
use apex_domain::event::PositionMode;
use apex_domain::happening::Happening;
use apex_domain::market::MarketEvent;
use apex_domain::matching::{Model, ModelChoices};
use apex_domain::number::Decimal;
use apex_domain::{Money, Rate};
use std::str::FromStr;

/// How orders are filled; see [`apex_domain::matching`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// At the open of the next bar.
    NextOpen,
    /// At the close of the deciding bar.
    BarClose,
    /// At the deciding quote: buys at the ask, sells at the bid.
    Touch,
    /// Against the recorded book.
    Book,
}

impl Fill {
    /// Returns the model that fits data which begins with `event`.
    pub fn fitting(event: &MarketEvent) -> Fill {
        match event {
            MarketEvent::Bar(_) => Fill::NextOpen,
            MarketEvent::Quote(_) | MarketEvent::Trade(_) => Fill::Touch,
            MarketEvent::Book(_) | MarketEvent::Snapshot(_) | MarketEvent::FeedState(_) => {
                Fill::Book
            }
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Fill::NextOpen => "next-open",
            Fill::BarClose => "bar-close",
            Fill::Touch => "touch",
            Fill::Book => "book",
        }
    }
}

impl FromStr for Fill {
    type Err = BacktestError;

    fn from_str(text: &str) -> Result<Fill, BacktestError> {
        [Fill::NextOpen, Fill::BarClose, Fill::Touch, Fill::Book]
            .into_iter()
            .find(|fill| fill.as_str() == text)
            .ok_or_else(|| BacktestError::Option {
                option: "fill",
                value: text.chars().take(64).collect(),
                expected: "expected next-open, bar-close, touch or book",
            })
    }
}

/// What has to cover an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Margin {
    /// Nothing: cash may go negative and shorts are allowed.
    #[default]
    None,
    /// The account's own checks of buying power.
    Account,
}

impl FromStr for Margin {
    type Err = BacktestError;

    fn from_str(text: &str) -> Result<Margin, BacktestError> {
        match text {
            "none" => Ok(Margin::None),
            "account" => Ok(Margin::Account),
            _ => Err(BacktestError::Option {
                option: "margin",
                value: text.chars().take(64).collect(),
                expected: "expected none or account",
            }),
        }
    }
}

/// A backtest in words. The default charges nothing and checks nothing, and the report says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BacktestOptions {
    /// The strategy's name in the [`registry`](crate::registry).
    pub strategy: String,
    /// Its parameters as `(name, value)`.
    pub parameters: Vec<(String, String)>,
    /// In the quote currency of the data; zero makes the equity the profit.
    pub start_cash: Money,
    pub margin: Margin,
    /// Whether orders name a side of a position; [`Context::target`](crate::Context::target) does
    /// not, so its orders are denied where they must.
    pub position_mode: PositionMode,
    /// Fee on each fill's notional in basis points, maker and taker alike, instead of the
    /// instruments' own fees; negative is a rebate.
    pub fee_bps: Option<Decimal>,
    /// By default what fits the data.
    pub fill: Option<Fill>,
    /// By how many basis points market orders fill worse; not negative.
    pub slippage_bps: Decimal,
    /// The venue's models beside the fill; its fee and slippage instead of the two above.
    pub models: ModelChoices,
    /// Of the models that draw lots.
    pub seed: u64,
    /// Funding of the data's instruments; `None` where no file states it.
    pub funding: Option<Vec<Happening>>,
    /// Splits and dividends; `None` where no file states them.
    pub corporate_actions: Option<Vec<Happening>>,
}

impl BacktestOptions {
    /// Returns the chosen models that go with a fill.
    ///
    /// Errors: `Model` when one was chosen that does not, `Option` when one was chosen twice.
    pub(super) fn models_of(&self, fill: Fill) -> Result<ModelChoices, BacktestError> {
        const BARS: &[Model] = &[
            Model::Latency,
            Model::BarPath,
            Model::BarVolume,
            Model::Slippage,
            Model::Fee,
            Model::PriceCollar,
        ];
        const BOOK: &[Model] = &[
            Model::Latency,
            Model::Queue,
            Model::Slippage,
            Model::Fee,
            Model::PriceCollar,
        ];
        let (place, takes) = match fill {
            Fill::NextOpen => ("fill next-open", BARS),
            Fill::BarClose => ("fill bar-close", BARS),
            Fill::Touch => ("fill touch", BARS),
            Fill::Book => ("fill book", BOOK),
        };
        let models = self.models.clone().fit(place, takes);
        let models = models.map_err(BacktestError::Model)?;
        if let (Some(bps), Some(_)) = (self.fee_bps, models.fee) {
            return Err(twice("fee-bps", bps));
        }
        if !self.slippage_bps.is_zero() && models.slippage.is_some() {
            return Err(twice("slippage-bps", self.slippage_bps));
        }
        Ok(models)
    }

    /// Returns the slippage as a share of the price.
    ///
    /// Errors: `Option` when it is negative or above the whole price.
    pub(super) fn slippage(&self) -> Result<Rate, BacktestError> {
        let bps = self.slippage_bps;
        if bps < Decimal::ZERO || bps > Decimal::from(10_000) {
            return Err(BacktestError::Option {
                option: "slippage-bps",
                value: bps.to_string(),
                expected: "expected 0 to 10000",
            });
        }
        Ok(share(bps))
    }

    /// Returns the fee as a share of the notional.
    ///
    /// Errors: `Option` beyond the whole notional.
    pub(super) fn fee(&self) -> Result<Option<Rate>, BacktestError> {
        match self.fee_bps {
            Some(bps) if bps.abs() > Decimal::from(10_000) => Err(BacktestError::Option {
                option: "fee-bps",
                value: bps.to_string(),
                expected: "expected -10000 to 10000",
            }),
            bps => Ok(bps.map(share)),
        }
    }
}

fn twice(option: &'static str, value: Decimal) -> BacktestError {
    BacktestError::Option {
        option,
        value: value.to_string(),
        expected: "which another model already says: leave one of them out",
    }
}

fn share(bps: Decimal) -> Rate {
    // Exact: dividing by a power of ten only moves the point, and the bounds keep it in range.
    Rate((bps / Decimal::from(10_000)).normalize())
}
