//! What the limits over more than one instrument look at.

use super::{Account, OrderEntry, Quantity, SubmitOrder, UnixNanos};
use crate::account::share::in_currency;
use crate::money::Money;
use crate::risk::checks::{PlatformReach, Reach, Wide};
use crate::risk::measure::{Added, Measure, MeasureError};

impl Account {
    /// Measures the account with `before` and with `after` of the order open; `None` where no
    /// limit asks for it. `entry` is the order itself where it is among the working ones; those
    /// that will wait for it do not count either. Exits would otherwise be the worse side, and
    /// hide what their entry adds.
    pub(in crate::account) fn wide(
        &self,
        now: UnixNanos,
        entry: Option<&OrderEntry>,
        request: &SubmitOrder,
        before: Quantity,
        after: Quantity,
    ) -> Option<Wide> {
        let limits = &self.limits.wide;
        let wanted = limits.max_strategy_exposure.is_some()
            || limits.max_account_exposure.is_some()
            || limits.max_concentration.is_some()
            || !limits.strategy_exposure.is_empty()
            || self
                .share
                .as_ref()
                .is_some_and(|share| share.share.is_some());
        if !wanted {
            return None;
        }
        let mut exposures = self.orders.exposures().clone();
        if let Some(entry) = entry {
            exposures.remove(entry);
            for child in self.undecided_children(entry) {
                exposures.remove(child);
            }
        }
        let valuation = self.own_valuation(now)?;
        let measure = Measure {
            exposures: &exposures,
            ..self.measure(&valuation)
        };
        let with = |open: Quantity| {
            measure.with(Added {
                instrument_id: &request.instrument_id,
                strategy_id: &request.strategy_id,
                position_side: request.terms.position_side,
                side: request.side,
                open,
            })
        };
        let (old, new) = (with(before), with(after));
        let both = |of: &dyn Fn(&Measure<'_>) -> Result<Money, MeasureError>| -> Reach {
            Ok((of(&old)?, of(&new)?))
        };
        let platform = self.share.as_ref().and_then(|share| {
            let valuation = in_currency(valuation, share);
            let account = |measure: Measure<'_>| {
                let of_platform = Measure {
                    valuation: &valuation,
                    ..measure
                };
                of_platform.account()
            };
            Some(PlatformReach {
                share: share.share?,
                currency: share.currency.clone(),
                reach: account(old).and_then(|before| Ok((before, account(new)?))),
            })
        });
        let equity = self.equity_by(&valuation);
        Some(Wide {
            strategy: both(&|measure| measure.strategy(&request.strategy_id)),
            account: both(&|measure| measure.account()),
            instrument: both(&|measure| measure.instrument(&request.instrument_id)),
            equity: (!equity.partial).then_some(equity.equity),
            platform,
        })
    }
}
