//! The command lines of alerts.

use super::archive::instant;
use super::{ClientArgs, RequestArgs};
use apex_domain::UnixNanos;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub struct AlertsArgs {
    #[command(subcommand)]
    pub action: AlertsAction,
}

#[derive(Debug, Subcommand)]
pub enum AlertsAction {
    /// List alerts, newest first.
    List(ListAlertsArgs),
    /// Say that you see to an alert.
    Ack(AckAlertArgs),
    /// Send nothing of a rule, or of all, until a time.
    Mute(MuteAlertsArgs),
    /// List the rules, what is muted, and how the channels do.
    Rules(ClientArgs),
    /// Make, change or delete a rule.
    SetRule(Box<SetRuleArgs>),
    /// Send a test message on a channel; exit with 1 where it was not taken.
    Test(TestChannelArgs),
}

#[derive(Debug, Args)]
pub struct ListAlertsArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    /// Only those that are not resolved.
    #[arg(long)]
    pub open: bool,
    /// Only of this rule.
    #[arg(long, value_name = "ID")]
    pub rule: Option<String>,
    /// Only of this account.
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,
    /// At least so bad.
    #[arg(long, value_enum)]
    pub severity: Option<SeverityArg>,
    /// Fired not before this: a date, an instant with its zone, or nanoseconds.
    #[arg(long, value_name = "TS", value_parser = instant)]
    pub from: Option<UnixNanos>,
    /// Fired before this.
    #[arg(long, value_name = "TS", value_parser = instant)]
    pub to: Option<UnixNanos>,
    /// At most this many.
    #[arg(long, default_value_t = 100)]
    pub limit: u32,
}

#[derive(Debug, Args)]
pub struct AckAlertArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(flatten)]
    pub request: RequestArgs,
    #[arg(value_name = "ALERT_ID")]
    pub alert_id: String,
    /// For the record.
    #[arg(long, default_value = "")]
    pub note: String,
}

#[derive(Debug, Args)]
pub struct MuteAlertsArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(flatten)]
    pub request: RequestArgs,
    /// Of this rule; without it of all.
    #[arg(long, value_name = "ID")]
    pub rule: Option<String>,
    /// For so long, such as 90s, 30m, 8h or 2d; 0s ends the mute.
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    pub span: i64,
    /// For the record.
    #[arg(long, default_value = "")]
    pub reason: String,
}

#[derive(Debug, Args)]
pub struct TestChannelArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(flatten)]
    pub request: RequestArgs,
    /// webhook, email or telegram.
    #[arg(long, value_name = "NAME")]
    pub channel: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SeverityArg {
    Info,
    Warning,
    Critical,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PriceSideArg {
    Bid,
    Ask,
    Last,
    Mid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PnlArg {
    Realized,
    Unrealized,
    Day,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("watch").required(true).args([
    "price", "pnl", "drawdown", "stale", "rejects", "component", "disk_free", "disk_share",
    "certificate", "delete",
])))]
pub struct SetRuleArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(flatten)]
    pub request: RequestArgs,
    #[arg(value_name = "RULE_ID")]
    pub rule_id: String,
    /// Delete the rule.
    #[arg(long)]
    pub delete: bool,
    /// The price of this instrument, with --above, --below or --crosses.
    #[arg(long, value_name = "INSTRUMENT")]
    pub price: Option<String>,
    /// Which price.
    #[arg(long, value_enum, default_value = "last")]
    pub side: PriceSideArg,
    /// A profit, with --above or --below.
    #[arg(long, value_enum)]
    pub pnl: Option<PnlArg>,
    /// At this level or above it.
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true, conflicts_with_all = ["below", "crosses"])]
    pub above: Option<String>,
    /// At this level or below it.
    #[arg(
        long,
        value_name = "LEVEL",
        allow_negative_numbers = true,
        conflicts_with = "crosses"
    )]
    pub below: Option<String>,
    /// From one side of this level to the other.
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    pub crosses: Option<String>,
    /// How far it has to go back until the alert is over.
    #[arg(long, value_name = "DISTANCE", default_value = "")]
    pub rearm: String,
    /// Equity that fell by this share of its highest, such as 0.1.
    #[arg(long, value_name = "SHARE")]
    pub drawdown: Option<String>,
    /// Of this account only, for --pnl, --drawdown and --rejects.
    #[arg(long, value_name = "ID", default_value = "")]
    pub account: String,
    /// No market data for so long, such as 30s.
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub stale: Option<i64>,
    /// Of this instrument only, for --stale.
    #[arg(long, value_name = "ID", default_value = "")]
    pub instrument: String,
    /// Of all instruments of this venue together, for --stale.
    #[arg(long, value_name = "VENUE", default_value = "")]
    pub venue: String,
    /// So many denied or rejected orders.
    #[arg(long, value_name = "COUNT")]
    pub rejects: Option<u32>,
    /// Within this time, for --rejects.
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "1m")]
    pub within: i64,
    /// A part of the platform that is not well; "" is each.
    #[arg(long, value_name = "NAME")]
    pub component: Option<String>,
    /// So many bytes or fewer are free on a disk.
    #[arg(long, value_name = "BYTES")]
    pub disk_free: Option<u64>,
    /// This share of a disk or less is free, such as 0.1.
    #[arg(long, value_name = "SHARE")]
    pub disk_share: Option<String>,
    /// Only this disk.
    #[arg(long, value_name = "PATH", default_value = "")]
    pub disk_path: String,
    /// A certificate that ends within so many days.
    #[arg(long, value_name = "DAYS")]
    pub certificate: Option<u32>,
    /// What alerts are called.
    #[arg(long, default_value = "")]
    pub title: String,
    #[arg(long, value_enum, default_value = "warning")]
    pub severity: SeverityArg,
    /// How long it has to last.
    #[arg(long = "for", value_name = "TIME", value_parser = span, default_value = "0s")]
    pub hold: i64,
    /// How long after an alert there is no other one of the same subject.
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "0s")]
    pub cooldown: i64,
    /// Only on this channel; may be repeated.
    #[arg(long = "channel", value_name = "NAME")]
    pub channels: Vec<String>,
    /// Tell the end too.
    #[arg(long)]
    pub notify_resolved: bool,
    /// Keep the rule without watching.
    #[arg(long)]
    pub disabled: bool,
    /// Only where the rule is at this version; without it whatever it is at.
    #[arg(long, value_name = "VERSION")]
    pub expected_version: Option<u64>,
}

/// Reads a time such as `500ms`, `90s`, `30m`, `8h` or `2d` as nanoseconds.
fn span(text: &str) -> Result<i64, String> {
    let wrong = || "must be a number with ms, s, m, h or d behind it, such as 90s".to_owned();
    let end = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(end);
    let ns: i64 = match unit {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return Err(wrong()),
    };
    let number: i64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(ns).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_its_unit() {
        assert_eq!(span("500ms"), Ok(500_000_000));
        assert_eq!(span("2d"), Ok(172_800_000_000_000));
        for wrong in [
            "",
            "5",
            "s",
            "-5s",
            "5w",
            "99999999999999999999s",
            "200000d0",
        ] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
