//! Metrics: one registry a process, written out in the Prometheus text format.

use prometheus::core::Collector;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// The figures of one process. Cheap to clone; names are `apex_<area>_<name>_<unit>[_total]`.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Values published on a topic, by topic.
    pub bus_published: IntCounterVec,
    /// Values that a subscriber was told it missed, by topic and subscriber.
    pub bus_dropped: IntCounterVec,
    /// Journal sequence that is durable, by account.
    pub journal_sequence: IntGaugeVec,
    /// 1 while the journal takes everything, 0 while it is short of space, by account.
    pub journal_ready: IntGaugeVec,
    /// 1 while its server does not answer and its reserve is in use, by account.
    pub journal_away: IntGaugeVec,
    /// Orders that are not terminal, by account.
    pub working_orders: IntGaugeVec,
    /// 1 while the venue's session stands and agrees with the account, by account.
    pub venue_connected: IntGaugeVec,
    /// Differences between account and venue that were seen, by account and kind.
    pub reconcile_differences: IntCounterVec,
    /// 1 while loss limits are set and a part of the equity is not known, by account.
    pub losses_unmeasured: IntGaugeVec,
    pub clock_ahead: IntGaugeVec,
    pub recorder: RecorderMetrics,
    pub hot: HotMetrics,
    pub audit: AuditMetrics,
    pub alerts: AlertMetrics,
    /// From the command of a halt that cancels to its last cancel handed to the venue's session,
    /// by account.
    pub kill_switch: HistogramVec,
}

/// How the audit stands.
#[derive(Clone, Debug)]
pub struct AuditMetrics {
    /// Sequence of the last durable record.
    pub sequence: IntGaugeVec,
    pub waiting: IntGaugeVec,
    pub failing: IntGaugeVec,
    pub lost: IntCounterVec,
    pub early: IntCounterVec,
    /// Sequence that the last checkpoint is of.
    pub checkpoint: IntGaugeVec,
    pub checkpoint_failing: IntGaugeVec,
}

impl AuditMetrics {
    fn new(registry: &Registry) -> AuditMetrics {
        AuditMetrics {
            sequence: gauge(
                registry,
                "apex_audit_durable_sequence",
                "last durable record of the audit",
                &[],
            ),
            waiting: gauge(
                registry,
                "apex_audit_waiting_records",
                "records of the audit that wait to be durable",
                &[],
            ),
            failing: gauge(
                registry,
                "apex_audit_failing",
                "1 while the audit cannot be written: only the kill switch, cancels and closing work",
                &[],
            ),
            lost: counter(
                registry,
                "apex_audit_lost_records_total",
                "records of actions that went on without them",
                &[],
            ),
            early: counter(
                registry,
                "apex_audit_early_answers_total",
                "halts, cancels and closings that were answered before their record was durable",
                &[],
            ),
            checkpoint: gauge(
                registry,
                "apex_audit_checkpoint_sequence",
                "record of the audit that the last checkpoint of this process is of",
                &[],
            ),
            checkpoint_failing: gauge(
                registry,
                "apex_audit_checkpoint_failing",
                "1 while no checkpoint of the audit can be stored",
                &[],
            ),
        }
    }
}

/// What is alarming, and whether people hear of it.
#[derive(Clone, Debug)]
pub struct AlertMetrics {
    /// By severity.
    pub open: IntGaugeVec,
    /// By channel and outcome: sent, failed, dropped, summarized.
    pub notices: IntCounterVec,
    /// By channel.
    pub waiting: IntGaugeVec,
    /// By channel: attempts in a row that failed.
    pub failures: IntGaugeVec,
    /// 1 while alerts cannot be stored.
    pub failing: IntGaugeVec,
    pub left_out: IntCounterVec,
}

impl AlertMetrics {
    fn new(registry: &Registry) -> AlertMetrics {
        AlertMetrics {
            open: gauge(
                registry,
                "apex_alerts_open",
                "alerts that are firing or acknowledged",
                &["severity"],
            ),
            notices: counter(
                registry,
                "apex_alerts_notices_total",
                "notices of alerts, by what became of them",
                &["channel", "outcome"],
            ),
            waiting: gauge(
                registry,
                "apex_alerts_waiting_notices",
                "notices that wait to be sent, those held back included",
                &["channel"],
            ),
            failures: gauge(
                registry,
                "apex_alerts_channel_failures",
                "attempts in a row that a channel did not take",
                &["channel"],
            ),
            failing: gauge(
                registry,
                "apex_alerts_failing",
                "1 while alerts cannot be stored",
                &[],
            ),
            left_out: counter(
                registry,
                "apex_alerts_left_out_total",
                "alerts and subjects that found no room",
                &[],
            ),
        }
    }
}

/// What is recorded of the market.
#[derive(Clone, Debug)]
pub struct RecorderMetrics {
    pub rows: IntCounterVec,
    pub held: IntGaugeVec,
    pub failing: IntGaugeVec,
    /// Stored bars that were compared with the engine's, and those of them that differ.
    pub bars_compared: IntCounterVec,
    pub bars_differ: IntCounterVec,
}

impl RecorderMetrics {
    fn new(registry: &Registry) -> RecorderMetrics {
        RecorderMetrics {
            rows: counter(
                registry,
                "apex_recorder_rows_total",
                "rows of market data that were stored, missed (published faster than recorded), or refused",
                &["outcome"],
            ),
            held: gauge(
                registry,
                "apex_recorder_held_rows",
                "rows of market data that wait to be written",
                &[],
            ),
            failing: gauge(
                registry,
                "apex_recorder_failing",
                "1 while market data cannot be written",
                &[],
            ),
            bars_compared: counter(
                registry,
                "apex_bars_compared_total",
                "stored bars of settled days that were compared with those that the engine makes",
                &[],
            ),
            bars_differ: counter(
                registry,
                "apex_bars_differ_total",
                "stored bars that differ from those that the engine makes of their trades",
                &[],
            ),
        }
    }
}

/// Bounds in seconds of the kill switch's times, round the one that is stated for it.
const KILL_SWITCH_SECONDS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl Metrics {
    pub fn new() -> Metrics {
        let registry = Registry::new();
        let account = &["account_id"];
        Metrics {
            bus_published: counter(
                &registry,
                "apex_bus_published_values_total",
                "values published on a topic",
                &["topic"],
            ),
            bus_dropped: counter(
                &registry,
                "apex_bus_dropped_values_total",
                "values a subscriber was told it missed",
                &["topic", "subscriber"],
            ),
            journal_sequence: gauge(
                &registry,
                "apex_journal_sequence",
                "last journal sequence",
                account,
            ),
            journal_ready: gauge(
                &registry,
                "apex_journal_ready",
                "1 while the journal takes everything",
                account,
            ),
            journal_away: gauge(
                &registry,
                "apex_journal_away",
                "1 while the journal's server does not answer",
                account,
            ),
            working_orders: gauge(
                &registry,
                "apex_account_working_orders",
                "orders that are not terminal",
                account,
            ),
            venue_connected: gauge(
                &registry,
                "apex_venue_connected",
                "1 while the venue's session stands and agrees with the account",
                account,
            ),
            reconcile_differences: counter(
                &registry,
                "apex_account_reconcile_differences_total",
                "differences between account and venue that were seen",
                &["account_id", "kind"],
            ),
            clock_ahead: gauge(
                &registry,
                "apex_account_clock_ahead_seconds",
                "how far the account's time is ahead of the clock",
                account,
            ),
            recorder: RecorderMetrics::new(&registry),
            hot: HotMetrics::new(&registry),
            audit: AuditMetrics::new(&registry),
            alerts: AlertMetrics::new(&registry),
            losses_unmeasured: gauge(
                &registry,
                "apex_account_losses_unmeasured",
                "1 while loss limits see nothing, since a part of the equity is not known",
                account,
            ),
            kill_switch: histogram(
                &registry,
                "apex_account_kill_switch_seconds",
                "from the command of a halt that cancels to its last cancel handed to the venue",
                account,
                &KILL_SWITCH_SECONDS,
            ),
            registry,
        }
    }

    /// Returns everything in the Prometheus text format.
    pub fn render(&self) -> String {
        let mut bytes = Vec::new();
        // Writing text of our own names into memory fails only for a metric without a name.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Figures of the newest values that are written for other processes.
#[derive(Clone, Debug)]
pub struct HotMetrics {
    /// 1 while they do not arrive at the Redis server.
    pub degraded: IntGaugeVec,
    pub held: IntGaugeVec,
    pub set: IntCounterVec,
    pub rewrites: IntCounterVec,
}

impl HotMetrics {
    fn new(registry: &Registry) -> HotMetrics {
        HotMetrics {
            degraded: gauge(
                registry,
                "apex_hot_degraded",
                "1 while hot values do not arrive at the Redis server",
                &[],
            ),
            held: gauge(
                registry,
                "apex_hot_held_values",
                "newest values that are kept on the Redis server",
                &[],
            ),
            set: counter(
                registry,
                "apex_hot_set_values_total",
                "values handed over to be written to the Redis server",
                &[],
            ),
            rewrites: counter(
                registry,
                "apex_hot_rewrites_total",
                "times when all hot values were written again",
                &[],
            ),
        }
    }
}

fn counter(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    // Names and labels are constants of this file, and its test makes them all.
    let counter = IntCounterVec::new(Opts::new(name, help), labels).expect("a valid metric name");
    register(registry, counter)
}

fn gauge(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    // As above.
    let gauge = IntGaugeVec::new(Opts::new(name, help), labels).expect("a valid metric name");
    register(registry, gauge)
}

fn histogram(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    bounds: &[f64],
) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
    // As above.
    let histogram = HistogramVec::new(options, labels).expect("a valid metric name");
    register(registry, histogram)
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    // The registry is new and each name stands once in this file.
    registry
        .register(Box::new(collector.clone()))
        .expect("a metric name used once");
    collector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_with_their_labels() {
        let metrics = Metrics::new();
        metrics
            .journal_sequence
            .with_label_values(&["paper"])
            .set(7);
        assert!(
            metrics
                .render()
                .contains("apex_journal_sequence{account_id=\"paper\"} 7")
        );
    }
}
