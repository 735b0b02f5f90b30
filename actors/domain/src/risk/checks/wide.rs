//! Limits over more than one instrument: exposure of strategy, account and platform,
//! concentration.

use super::{Denial, Question, deny};
use crate::id::Currency;
use crate::money::{Money, Rate};
use crate::number::Decimal;
use crate::risk::ReasonCode;
use crate::risk::measure::MeasureError;

/// A worst case before and with the order.
pub type Reach = Result<(Money, Money), MeasureError>;

/// What the wide limits look at; measured only where one of them is set.
#[derive(Clone, Debug)]
pub struct Wide {
    pub strategy: Reach,
    pub account: Reach,
    pub instrument: Reach,
    /// `None` where a part of it is not known.
    pub equity: Option<Money>,
    /// `None` for an account without a share of a platform's limit.
    pub platform: Option<PlatformReach>,
}

impl Wide {
    /// Returns the same without the platform's limit.
    #[must_use]
    pub fn without_platform(self) -> Wide {
        Wide {
            platform: None,
            ..self
        }
    }
}

/// The account as the platform's limit sees it.
#[derive(Clone, Debug)]
pub struct PlatformReach {
    /// What the account may come to, inclusive.
    pub share: Money,
    /// The currency of share and reach.
    pub currency: Currency,
    pub reach: Reach,
}

pub(super) fn strategy_exposure(q: &Question<'_>) -> Result<(), Denial> {
    let limits = &q.limits.wide;
    let own = limits.strategy_exposure.get(q.strategy_id).copied();
    let max = own.into_iter().chain(limits.max_strategy_exposure).min();
    let what = "the strategy's exposure";
    within(q, max, what, |wide| &wide.strategy)
}

pub(super) fn account_exposure(q: &Question<'_>) -> Result<(), Denial> {
    let max = q.limits.wide.max_account_exposure;
    within(q, max, "the account's exposure", |wide| &wide.account)
}

/// The account's share of the limit over all accounts. An order that needs a larger one was kept
/// waiting by the shell while one was asked for, so what fails here has no more to hope for.
pub(super) fn platform_exposure(q: &Question<'_>) -> Result<(), Denial> {
    let Some(platform) = q.wide.as_ref().and_then(|wide| wide.platform.as_ref()) else {
        return Ok(());
    };
    let (share, currency) = (platform.share, &platform.currency);
    match growing(q, &platform.reach)? {
        Some((_, after)) if after > share => Err(deny(
            ReasonCode::ExposureLimit,
            format!(
                "the account's exposure could reach {after} {currency}, its share of the \
                 platform's exposure limit is {share}, and no larger one was to be had: reduce \
                 exposure, in any account, or raise the platform's limit"
            ),
        )),
        _ => Ok(()),
    }
}

pub(super) fn concentration(q: &Question<'_>) -> Result<(), Denial> {
    let (Some(max), Some(wide)) = (q.limits.wide.max_concentration, &q.wide) else {
        return Ok(());
    };
    let Some((_, after)) = growing(q, &wide.instrument)? else {
        return Ok(());
    };
    let Some(equity) = wide.equity else {
        return Err(deny(
            ReasonCode::NoConversionRate,
            "a part of the account's equity is not known",
        ));
    };
    let allowed = equity.0.checked_mul(max.0);
    let allowed = allowed.ok_or(crate::number::NumberError::OutOfRange)?;
    if after.0 <= allowed.max(Decimal::ZERO) {
        return Ok(());
    }
    Err(deny(
        ReasonCode::Concentration,
        format!(
            "{} could reach {after} of an equity of {equity}, a share of {} is allowed",
            q.instrument.instrument_id,
            Rate(max.0)
        ),
    ))
}

fn within(
    q: &Question<'_>,
    max: Option<Money>,
    what: &str,
    of: fn(&Wide) -> &Reach,
) -> Result<(), Denial> {
    let (Some(max), Some(wide)) = (max, &q.wide) else {
        return Ok(());
    };
    match growing(q, of(wide))? {
        Some((_, after)) if after > max => Err(deny(
            ReasonCode::ExposureLimit,
            format!("{what} could reach {after}, {max} is allowed"),
        )),
        _ => Ok(()),
    }
}

/// Returns the two worst cases of an order that adds to them. One that only brings a position
/// nearer to zero passes whatever cannot be measured.
fn growing(q: &Question<'_>, reach: &Reach) -> Result<Option<(Money, Money)>, Denial> {
    match reach {
        _ if q.closing => Ok(None),
        Ok((before, after)) => Ok((after > before).then_some((*before, *after))),
        Err(_) if !q.passes_zero() => Ok(None),
        Err(error) => Err(deny(error.reason_code(), error.to_string())),
    }
}
