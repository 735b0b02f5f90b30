//! What a report says in words: what is odd, and what was taken for granted.

use super::super::options::{Fill, Margin};
use super::Session;
use crate::mark::Mark;
use apex_domain::event::PositionMode;
use apex_domain::matching::BarVolume;
use apex_domain::number::Decimal;
use apex_domain::{InstrumentId, Price};
use std::collections::BTreeMap;

/// Refusals and quarantines that are repeated in the report; a person reads some lines, not
/// thousands.
const NOTES_IN_REPORT: usize = 20;

impl Session {
    pub(super) fn warnings(&mut self, equity: Decimal) -> Vec<String> {
        let mut warnings = Vec::new();
        for (reason, count) in &self.refused {
            warnings.push(format!(
                "{count} orders were refused or ended unfilled: {reason}"
            ));
        }
        let notes = self.step.take_notes();
        let count = notes.lines().count();
        warnings.extend(
            notes
                .lines()
                .take(NOTES_IN_REPORT)
                .map(|note| format!("{}: {}", note.strategy_id, note.text)),
        );
        if count > NOTES_IN_REPORT {
            let more = (count - NOTES_IN_REPORT) as u64 + notes.dropped();
            warnings.push(format!("{more} more notes of the strategy are left out"));
        }
        if self.fill == Fill::Touch && self.quotes == 0 {
            warnings.push("fill touch without quotes: filled at the last close or print".into());
        }
        if matches!(self.fill, Fill::NextOpen | Fill::BarClose) && self.bars == 0 {
            let fill = self.fill.as_str();
            warnings.push(format!(
                "fill {fill} without bars: filled at quotes or prints"
            ));
        }
        // The curve and the account count in different ways; they have to agree.
        let marks: BTreeMap<InstrumentId, Price> = self
            .instruments
            .keys()
            .filter_map(|id| {
                let position = self.curve.position(id);
                let price = self
                    .step
                    .mark(id)
                    .and_then(|mark: &Mark| mark.closing_price(position));
                Some((id.clone(), price?))
            })
            .collect();
        let account = self.account.equity(&marks).equity.0;
        // A closing fill releases its share of the cost rounded to 16 decimals.
        if (account - equity).abs() > Decimal::new(1, 9) {
            warnings.push(format!(
                "the account counts an equity of {account}, the cash flows give {equity}"
            ));
        }
        warnings
    }

    /// What was taken for granted about funding, splits and dividends.
    fn said_of_happenings(&self) -> Vec<String> {
        let done = &self.happenings;
        let funding = match &self.options.funding {
            None => "no funding".to_owned(),
            Some(_) => format!(
                "funding by a file: {} payments of position x mark x rate, rounded to 8 decimals, \
                 for the position before the first row at or after their time; the mark is the \
                 last price where the file states none",
                done.payments
            ),
        };
        let actions = match &self.options.corporate_actions {
            None => "no corporate actions".to_owned(),
            Some(_) => format!(
                "corporate actions by a file: {} splits and {} dividends, before the first row at \
                 or after their time; a split cancels working orders, and a dividend is cash at \
                 once, for short units paid; what the strategy computed from earlier prices is \
                 not adjusted",
                done.splits, done.dividends_paid
            ),
        };
        vec![actions, funding]
    }

    pub(super) fn assumptions(&self) -> Vec<String> {
        let options = &self.options;
        let mut said = Vec::new();
        let has_fees = self
            .instruments
            .values()
            .any(|instrument| !instrument.fees.maker.is_zero() || !instrument.fees.taker.is_zero());
        let models = &self.models;
        said.extend(models.statements());
        if models.fee.is_none() {
            said.push(match options.fee_bps {
                Some(bps) => format!(
                    "fee of {} basis points of each fill's notional",
                    bps.normalize()
                ),
                None if has_fees => "fees by the instruments' schedules".to_owned(),
                None => "no fee".to_owned(),
            });
        }
        if models.slippage.is_none() {
            said.push(if options.slippage_bps.is_zero() {
                "no slippage".to_owned()
            } else {
                format!(
                    "market orders fill {} basis points worse, rounded up to the price increment",
                    options.slippage_bps.normalize()
                )
            });
        }
        said.push("no risk limit".to_owned());
        said.push(match options.margin {
            Margin::None => "margin none: cash may go negative and shorts are allowed".to_owned(),
            Margin::Account => {
                "margin account: orders must be covered by the account's buying power".to_owned()
            }
        });
        if options.position_mode == PositionMode::Hedging {
            said.push("position mode hedging: orders of contracts name LONG or SHORT".to_owned());
        }
        if self.step.wants_account() {
            said.push(
                "the strategy sees its account as of the last market event: what its orders \
                 changed since counts from the next one on"
                    .to_owned(),
            );
        }
        said.extend(self.said_of_happenings());
        said.push(self.how_it_fills());
        if self.held {
            said.push(
                "orders that the venue lacks are held by the account until their price comes: a \
                 bar shows its open, the extreme nearer to it, the other one and its close; then \
                 they fill as market or limit orders do, and where a bar reaches a resting order \
                 too that one has filled first"
                    .to_owned(),
            );
        }
        if self.timed {
            said.push(
                "orders for the opening and the close that the venue lacks are held by the account \
                 and leave as IOC at the opening, or 5 s before the close: they fill as other \
                 IOC orders do, not at the price of an auction"
                    .to_owned(),
            );
        }
        said.push(
            "an open position stays open and is marked at the last close, or for quotes at the \
             bid when long and at the ask when short"
                .to_owned(),
        );
        said.push("realized_pnl is before fees".to_owned());
        let seed = options.seed;
        said.push(if models.is_random() {
            format!("seed {seed}: what is random in this run is drawn from it")
        } else {
            format!("seed {seed}: nothing in this run is random")
        });
        said
    }

    fn how_it_fills(&self) -> String {
        let text = match self.fill {
            Fill::NextOpen => {
                "fill next-open: market orders fill whole at the next bar's open (on quotes at the \
                 next quote)"
            }
            Fill::BarClose => {
                "fill bar-close: market orders fill whole at the close of the deciding bar"
            }
            Fill::Touch => {
                "fill touch: market orders fill whole at the deciding quote, a buy at the ask, a \
                 sell at the bid, whatever its size"
            }
            Fill::Book => "fill book: orders trade with the recorded book",
        };
        let text = match self.models.bar_volume {
            // What the volume leaves of an order fills later.
            Some(BarVolume::Quarters) => text.replace(" fill whole", " fill"),
            _ => text.to_owned(),
        };
        match self.models.latency {
            Some(_) => text,
            None => format!("{text}, with no latency"),
        }
    }
}
