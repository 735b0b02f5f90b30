//! Alerts and their rules: read here, written in [`write`].

#[cfg(test)]
mod tests;
mod write;

pub use write::{alert, alert_id, read_alert_id, rule};

use super::text;
use crate::field::{FieldErrors, Fields};
use crate::v1;
use apex_domain::alert::{
    AlertState, Direction, FeedScope, PnlMeasure, PriceSide, PriceWhen, Rule, Severity, Watch,
};
use apex_domain::number::NumberError;
use apex_domain::{AccountId, InstrumentId, Rate, UnixNanos};

/// Reads a rule that is to be stored; its version is not read.
///
/// Errors: every field that cannot be read, and every one that no rule can have, under `rule.`.
pub fn read_rule(rule: &v1::AlertRule, now: UnixNanos, by: &str) -> Result<Rule, FieldErrors> {
    let mut inner = Fields::new();
    let f = &mut inner;
    let severity = read_severity(f, "severity", rule.severity);
    let watch = read_watch(f, rule.watch.as_ref());
    let read = severity.zip(watch).map(|(severity, watch)| Rule {
        rule_id: rule.rule_id.clone(),
        version: 0,
        title: rule.title.clone(),
        enabled: rule.enabled,
        severity: severity.unwrap_or(Severity::Warning),
        watch,
        hold_ns: rule.hold_ns,
        cooldown_ns: rule.cooldown_ns,
        channels: rule.channels.clone(),
        notify_resolved: rule.notify_resolved,
        updated: now,
        updated_by: by.to_owned(),
    });
    for wrong in read.iter().flat_map(Rule::wrong_fields) {
        f.refuse(wrong.field, wrong.description);
    }
    let mut fields = Fields::new();
    fields.within("rule", inner);
    fields.finish(read)
}

/// Reads a severity; the inner `None` is none.
pub fn read_severity(f: &mut Fields, field: &str, value: i32) -> Option<Option<Severity>> {
    Some(match v1::AlertSeverity::try_from(value) {
        Ok(v1::AlertSeverity::Unspecified) => None,
        Ok(v1::AlertSeverity::Info) => Some(Severity::Info),
        Ok(v1::AlertSeverity::Warning) => Some(Severity::Warning),
        Ok(v1::AlertSeverity::Critical) => Some(Severity::Critical),
        Err(_) => {
            f.refuse(field, format!("{value} is no known value"));
            return None;
        }
    })
}

/// Reads a state; the inner `None` is each.
pub fn read_state(f: &mut Fields, field: &str, value: i32) -> Option<Option<AlertState>> {
    Some(match v1::AlertState::try_from(value) {
        Ok(v1::AlertState::Unspecified) => None,
        Ok(v1::AlertState::Firing) => Some(AlertState::Firing),
        Ok(v1::AlertState::Acknowledged) => Some(AlertState::Acknowledged),
        Ok(v1::AlertState::Resolved) => Some(AlertState::Resolved),
        Err(_) => {
            f.refuse(field, format!("{value} is no known value"));
            return None;
        }
    })
}

type Wire = v1::alert_rule::Watch;

fn read_watch(f: &mut Fields, watch: Option<&Wire>) -> Option<Watch> {
    let Some(watch) = watch else {
        f.refuse("watch", "is required: one of price, pnl, drawdown, stale, rejects, component, disk, certificate");
        return None;
    };
    match watch {
        Wire::Price(price) => read_price(f, price),
        Wire::Pnl(pnl) => read_pnl(f, pnl),
        Wire::Drawdown(it) => {
            let account_id = account(f, "drawdown.account_id", &it.account_id);
            let share = rate(f, "drawdown.share", &it.share);
            let rearm = rate_or_zero(f, "drawdown.rearm", &it.rearm);
            Some(Watch::Drawdown {
                account_id: account_id?,
                share: share?,
                rearm: rearm?,
            })
        }
        Wire::Stale(it) => {
            let scope = match (it.instrument_id.as_str(), it.venue.as_str()) {
                ("", "") => FeedScope::All,
                ("", venue) => FeedScope::Venue(venue.to_owned()),
                (id, "") => FeedScope::Instrument(
                    f.take("stale.instrument_id", InstrumentId::in_command(id))?,
                ),
                _ => {
                    f.refuse("stale.venue", "excludes instrument_id: name one of the two");
                    return None;
                }
            };
            let after_ns = it.after_ns;
            Some(Watch::Stale { scope, after_ns })
        }
        Wire::Rejects(it) => Some(Watch::Rejects {
            account_id: account(f, "rejects.account_id", &it.account_id)?,
            count: it.count,
            window_ns: it.window_ns,
        }),
        Wire::Component(it) => Some(Watch::Component {
            name: it.name.clone(),
        }),
        Wire::Disk(it) => {
            let free_share = match it.free_share.as_str() {
                "" => None,
                share => Some(rate(f, "disk.free_share", share)?),
            };
            Some(Watch::Disk {
                path: it.path.clone(),
                free_bytes: it.free_bytes,
                free_share,
            })
        }
        Wire::Certificate(it) => Some(Watch::Certificate { days: it.days }),
    }
}

fn read_price(f: &mut Fields, it: &v1::AlertOnPrice) -> Option<Watch> {
    let id = InstrumentId::in_command(&it.instrument_id);
    let instrument_id = f.take("price.instrument_id", id);
    let side = match v1::AlertPriceSide::try_from(it.side) {
        Ok(v1::AlertPriceSide::Bid) => Some(PriceSide::Bid),
        Ok(v1::AlertPriceSide::Ask) => Some(PriceSide::Ask),
        Ok(v1::AlertPriceSide::Last) => Some(PriceSide::Last),
        Ok(v1::AlertPriceSide::Mid) => Some(PriceSide::Mid),
        Ok(v1::AlertPriceSide::Unspecified) | Err(_) => {
            super::enums::unknown(f, "price.side", it.side);
            None
        }
    };
    let when = match v1::AlertCondition::try_from(it.condition) {
        Ok(v1::AlertCondition::Above) => Some(PriceWhen::Above),
        Ok(v1::AlertCondition::Below) => Some(PriceWhen::Below),
        Ok(v1::AlertCondition::Crosses) => Some(PriceWhen::Crosses),
        Ok(v1::AlertCondition::Unspecified) | Err(_) => {
            super::enums::unknown(f, "price.condition", it.condition);
            None
        }
    };
    let level = rate(f, "price.level", &it.level);
    let rearm = rate_or_zero(f, "price.rearm", &it.rearm);
    Some(Watch::Price {
        instrument_id: instrument_id?,
        side: side?,
        when: when?,
        level: level?,
        rearm: rearm?,
    })
}

fn read_pnl(f: &mut Fields, it: &v1::AlertOnPnl) -> Option<Watch> {
    let account_id = account(f, "pnl.account_id", &it.account_id);
    let measure = match v1::AlertPnlMeasure::try_from(it.measure) {
        Ok(v1::AlertPnlMeasure::Realized) => Some(PnlMeasure::Realized),
        Ok(v1::AlertPnlMeasure::Unrealized) => Some(PnlMeasure::Unrealized),
        Ok(v1::AlertPnlMeasure::Day) => Some(PnlMeasure::Day),
        Ok(v1::AlertPnlMeasure::Unspecified) | Err(_) => {
            super::enums::unknown(f, "pnl.measure", it.measure);
            None
        }
    };
    let direction = match v1::AlertCondition::try_from(it.condition) {
        Ok(v1::AlertCondition::Above) => Some(Direction::Above),
        Ok(v1::AlertCondition::Below) => Some(Direction::Below),
        Ok(v1::AlertCondition::Crosses) => {
            f.refuse("pnl.condition", "is for prices only: give above or below");
            None
        }
        Ok(v1::AlertCondition::Unspecified) | Err(_) => {
            super::enums::unknown(f, "pnl.condition", it.condition);
            None
        }
    };
    let level = rate(f, "pnl.level", &it.level);
    let rearm = rate_or_zero(f, "pnl.rearm", &it.rearm);
    Some(Watch::Pnl {
        account_id: account_id?,
        measure: measure?,
        direction: direction?,
        level: level?,
        rearm: rearm?,
    })
}

/// The outer `None` is an error, the inner one each account.
fn account(f: &mut Fields, field: &str, id: &str) -> Option<Option<AccountId>> {
    match id {
        "" => Some(None),
        id => f.take(field, AccountId::new(id)).map(Some),
    }
}

fn rate(f: &mut Fields, field: &str, text: &str) -> Option<Rate> {
    let parsed: Result<Rate, NumberError> = Rate::parse(text);
    f.take(field, parsed)
}

fn rate_or_zero(f: &mut Fields, field: &str, text: &str) -> Option<Rate> {
    match text {
        "" => Some(Rate::ZERO),
        text => rate(f, field, text),
    }
}

/// Reads a note, reason or other words of at most 256 bytes.
pub fn words(f: &mut Fields, field: &str, words: &str) -> Option<String> {
    text::free(f, field, words)
}
