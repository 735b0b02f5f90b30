//! Which rules can be taken: each field that is wrong, by its name in the .proto files.

use super::rule::{FeedScope, MAX_HOLD_NS, PriceWhen, Rule, Watch};
use crate::money::Rate;
use rust_decimal::Decimal;

/// A field of a rule that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    pub field: &'static str,
    pub description: String,
}

/// Channels that one rule may name.
const MAX_CHANNELS: usize = 16;

/// The longest title, in bytes.
const MAX_TITLE: usize = 200;

/// Rejections are counted one by one, and so many are held.
const MAX_COUNT: u32 = 10_000;

#[derive(Default)]
struct Wrong(Vec<RuleError>);

impl Wrong {
    fn unless(&mut self, holds: bool, field: &'static str, description: &str) {
        if !holds {
            self.0.push(RuleError {
                field,
                description: description.to_owned(),
            });
        }
    }

    fn span(&mut self, field: &'static str, ns: i64, least: i64) {
        let fits = (least..=MAX_HOLD_NS).contains(&ns);
        let description = format!("must be from {least} to {MAX_HOLD_NS} (7 days)");
        self.unless(fits, field, &description);
    }

    fn rearm(&mut self, field: &'static str, rearm: Rate) {
        self.unless(rearm >= Rate::ZERO, field, "must not be negative");
    }
}

impl Rule {
    /// Returns every field that cannot be taken.
    pub fn wrong_fields(&self) -> Vec<RuleError> {
        let mut wrong = Wrong::default();
        wrong.unless(
            is_name(&self.rule_id),
            "rule_id",
            "must be 1 to 64 letters, digits, '.', '_' and '-'",
        );
        let title = &self.title;
        let fits = title.len() <= MAX_TITLE && !title.chars().any(char::is_control);
        wrong.unless(fits, "title", "must be at most 200 bytes on one line");
        wrong.span("hold_ns", self.hold_ns, 0);
        wrong.span("cooldown_ns", self.cooldown_ns, 0);
        let channels = &self.channels;
        let fits = channels.len() <= MAX_CHANNELS && channels.iter().all(|name| is_name(name));
        wrong.unless(
            fits,
            "channels",
            "must be at most 16 names of channels, of letters, digits, '.', '_' and '-'",
        );
        check(&self.watch, &mut wrong);
        wrong.0
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=64).contains(&text.len()) && text.chars().all(allowed)
}

fn check(watch: &Watch, wrong: &mut Wrong) {
    match watch {
        Watch::Price {
            when, level, rearm, ..
        } => {
            // Spreads and some futures trade below zero; nothing crosses what it never was beside.
            wrong.unless(
                *when == PriceWhen::Crosses || !level.is_zero(),
                "price.level",
                "must not be 0",
            );
            wrong.rearm("price.rearm", *rearm);
        }
        Watch::Pnl { rearm, .. } => wrong.rearm("pnl.rearm", *rearm),
        Watch::Drawdown { share, rearm, .. } => {
            let fits = *share > Rate::ZERO && share.0 <= Decimal::ONE;
            wrong.unless(fits, "drawdown.share", "must be above 0 and at most 1");
            wrong.rearm("drawdown.rearm", *rearm);
            // Otherwise no equity ends it.
            let ends = *rearm < *share || *rearm == Rate::ZERO;
            wrong.unless(ends, "drawdown.rearm", "must be below share");
        }
        Watch::Stale { scope, after_ns } => {
            if let FeedScope::Venue(venue) = scope {
                wrong.unless(is_name(venue), "stale.venue", "is no name of a venue");
            }
            wrong.span("stale.after_ns", *after_ns, 1);
        }
        Watch::Rejects {
            count, window_ns, ..
        } => {
            let fits = (1..=MAX_COUNT).contains(count);
            wrong.unless(fits, "rejects.count", "must be from 1 to 10000");
            wrong.span("rejects.window_ns", *window_ns, 1);
        }
        Watch::Component { name } => {
            let fits = name.len() <= 128 && !name.chars().any(char::is_control);
            wrong.unless(
                fits,
                "component.name",
                "must be at most 128 bytes on one line",
            );
        }
        Watch::Disk {
            path,
            free_bytes,
            free_share,
        } => {
            let fits = path.len() <= 256 && !path.chars().any(char::is_control);
            wrong.unless(fits, "disk.path", "must be at most 256 bytes on one line");
            let given = free_bytes.is_some() || free_share.is_some();
            wrong.unless(given, "disk", "needs free_bytes or free_share");
            let is_share = |share: Rate| share > Rate::ZERO && share.0 < Decimal::ONE;
            let fits = free_share.is_none_or(is_share);
            wrong.unless(fits, "disk.free_share", "must be above 0 and below 1");
        }
        Watch::Certificate { days } => {
            let fits = (1..=3_650).contains(days);
            wrong.unless(fits, "certificate.days", "must be from 1 to 3650");
        }
    }
}
