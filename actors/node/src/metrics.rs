//! The figures of a node: of its topics at each scrape, of its accounts every few seconds.

use crate::hot::HotWatch;
use crate::recorder::RecorderWatch;
use apex_bus::alerts::AlertsView;
use apex_bus::audit::Audit;
use apex_bus::handle::Platform;
use apex_bus::message::JournalHealth;
use apex_bus::topic::TopicStats;
use apex_domain::alert::Severity;
use apex_ops::metrics::Metrics;
use apex_persistence::audit::AuditWriter;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

/// How often accounts are asked for their figures: several times in a usual scrape interval.
const REFRESH: Duration = Duration::from_secs(5);

/// Figures of a node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct NodeMetrics {
    platform: Platform,
    metrics: Metrics,
    recorder: Arc<OnceLock<RecorderWatch>>,
    hot: Option<HotWatch>,
    audit: Arc<OnceLock<AuditWriter>>,
    alerts: Arc<OnceLock<watch::Receiver<Arc<AlertsView>>>>,
}

impl NodeMetrics {
    /// Begins to collect, as long as the runtime lives; `hot` of a node that writes hot values.
    pub fn new(platform: Platform, hot: Option<HotWatch>) -> NodeMetrics {
        let metrics = NodeMetrics {
            platform,
            metrics: Metrics::new(),
            recorder: Arc::default(),
            hot,
            audit: Arc::default(),
            alerts: Arc::default(),
        };
        let own = metrics.clone();
        tokio::spawn(async move {
            let mut interval = tokio::time::interval(REFRESH);
            loop {
                interval.tick().await;
                own.refresh_accounts().await;
            }
        });
        metrics
    }

    /// Returns what writes the figures as text.
    pub fn text(&self) -> Arc<dyn Fn() -> String + Send + Sync> {
        let own = self.clone();
        Arc::new(move || {
            own.refresh_topics();
            own.refresh_recorder();
            own.refresh_hot();
            own.refresh_audit();
            own.refresh_alerts();
            own.metrics.render()
        })
    }

    /// Returns the numbers of every topic.
    pub fn topics(&self) -> Vec<TopicStats> {
        let market = &self.platform.market;
        vec![
            market.quotes.stats(),
            market.trades.stats(),
            market.books.stats(),
            market.bars.stats(),
            market.feed_states.stats(),
            self.platform.account_events.stats(),
        ]
    }

    /// Tells what a recorder does, too, from now on.
    pub fn watch_recorder(&self, watch: RecorderWatch) {
        // A node has one.
        let _ = self.recorder.set(watch);
    }

    /// Tells how the audit stands, too, from now on.
    pub fn watch_audit(&self, audit: AuditWriter) {
        // A node has one.
        let _ = self.audit.set(audit);
    }

    /// Tells how alerts stand, too, from now on.
    pub fn watch_alerts(&self, view: watch::Receiver<Arc<AlertsView>>) {
        // A node has one engine.
        let _ = self.alerts.set(view);
    }

    fn refresh_alerts(&self) {
        let Some(view) = self.alerts.get() else {
            return;
        };
        let (view, metrics) = (view.borrow().clone(), &self.metrics.alerts);
        let open = || view.alerts.values().filter(|alert| alert.is_open());
        for severity in [Severity::Info, Severity::Warning, Severity::Critical] {
            let count = open().filter(|alert| alert.severity == severity).count();
            let gauge = metrics.open.with_label_values(&[severity.as_str()]);
            gauge.set(count as i64);
        }
        for channel in &view.channels {
            let name = channel.name.as_str();
            for (outcome, count) in [
                ("sent", channel.sent),
                ("failed", channel.failed),
                ("dropped", channel.dropped),
                ("summarized", channel.summarized),
            ] {
                set(&metrics.notices.with_label_values(&[name, outcome]), count);
            }
            let waiting = (channel.waiting + channel.held_back) as i64;
            metrics.waiting.with_label_values(&[name]).set(waiting);
            let failures = i64::from(channel.failures);
            metrics.failures.with_label_values(&[name]).set(failures);
        }
        let none: [&str; 0] = [];
        let failing = i64::from(view.failing.is_some());
        metrics.failing.with_label_values(&none).set(failing);
        set(&metrics.left_out.with_label_values(&none), view.left_out);
    }

    fn refresh_audit(&self) {
        let Some(audit) = self.audit.get() else {
            return;
        };
        let (figures, metrics) = (audit.figures(), &self.metrics.audit);
        let none: [&str; 0] = [];
        for (gauge, value) in [
            (&metrics.sequence, figures.durable as i64),
            (&metrics.waiting, figures.waiting as i64),
            (&metrics.failing, i64::from(figures.failing.is_some())),
            (&metrics.checkpoint, figures.checkpoint as i64),
            (
                &metrics.checkpoint_failing,
                i64::from(figures.checkpoint_failing.is_some()),
            ),
        ] {
            gauge.with_label_values(&none).set(value);
        }
        set(&metrics.lost.with_label_values(&none), figures.lost);
        set(&metrics.early.with_label_values(&none), figures.early);
    }

    fn refresh_recorder(&self) {
        let Some(watch) = self.recorder.get() else {
            return;
        };
        let (state, metrics) = (watch.state(), &self.metrics.recorder);
        let none: [&str; 0] = [];
        let gauge = |gauge: &prometheus::IntGaugeVec, value: i64| {
            gauge.with_label_values(&none).set(value);
        };
        gauge(&metrics.held, state.figures.held as i64);
        let failing = state.failing.is_some() || state.upkeep_failing.is_some();
        gauge(&metrics.failing, i64::from(failing));
        let (compared, differ) = (&metrics.bars_compared, &metrics.bars_differ);
        set(&compared.with_label_values(&none), state.bars.compared);
        set(&differ.with_label_values(&none), state.bars.differ);
        for (what, count) in [
            ("stored", state.figures.stored),
            ("missed", state.figures.missed),
            ("refused", state.figures.refused),
        ] {
            set(&metrics.rows.with_label_values(&[what]), count);
        }
    }

    fn refresh_hot(&self) {
        let Some(watch) = &self.hot else {
            return;
        };
        let (state, metrics) = (watch.state(), &self.metrics.hot);
        let none: [&str; 0] = [];
        let degraded = i64::from(state.degraded.is_some());
        metrics.degraded.with_label_values(&none).set(degraded);
        let held = metrics.held.with_label_values(&none);
        held.set(state.figures.held as i64);
        set(&metrics.set.with_label_values(&none), state.figures.set);
        let rewrites = metrics.rewrites.with_label_values(&none);
        set(&rewrites, state.figures.rewrites);
    }

    fn refresh_topics(&self) {
        for topic in self.topics() {
            set(
                &self.metrics.bus_published.with_label_values(&[&topic.name]),
                topic.published,
            );
            for (subscriber, dropped) in dropped(&topic) {
                let labels = [topic.name.as_ref(), subscriber.as_str()];
                set(
                    &self.metrics.bus_dropped.with_label_values(&labels),
                    dropped,
                );
            }
        }
    }

    async fn refresh_accounts(&self) {
        for (account_id, handle) in self.platform.accounts.all().iter() {
            let Ok(summary) = handle.summary().await else {
                continue;
            };
            let labels = [account_id.as_str()];
            let gauge = |gauge: &prometheus::IntGaugeVec, value: i64| {
                gauge.with_label_values(&labels).set(value);
            };
            gauge(&self.metrics.journal_sequence, summary.sequence as i64);
            let ready = summary.journal == JournalHealth::Ready;
            gauge(&self.metrics.journal_ready, i64::from(ready));
            let away = summary.journal == JournalHealth::Away;
            gauge(&self.metrics.journal_away, i64::from(away));
            gauge(&self.metrics.working_orders, summary.working_orders as i64);
            gauge(
                &self.metrics.venue_connected,
                i64::from(summary.venue_connected),
            );
            gauge(
                &self.metrics.losses_unmeasured,
                i64::from(summary.losses_unmeasured),
            );
            let ahead = i64::try_from(summary.clock_ahead.as_secs()).unwrap_or(i64::MAX);
            gauge(&self.metrics.clock_ahead, ahead);
            let kill_switch = &self.metrics.kill_switch.with_label_values(&labels);
            // It is there from the start on: one that appears with its first value hides that.
            for took in summary.kill_switch.after(kill_switch.get_sample_count()) {
                kill_switch.observe(took.as_secs_f64());
            }
            for (kind, seen) in summary.reconcile_differences {
                let labels = [account_id.as_str(), kind];
                let counter = self
                    .metrics
                    .reconcile_differences
                    .with_label_values(&labels);
                set(&counter, seen);
            }
        }
    }
}

/// Returns what the subscribers of a topic were told that they missed, by name: several may have
/// the same one, such as the streams of a gateway.
pub fn dropped(topic: &TopicStats) -> BTreeMap<String, u64> {
    let mut by_name = BTreeMap::new();
    for subscriber in &topic.subscribers {
        *by_name.entry(subscriber.name.to_string()).or_default() += subscriber.dropped;
    }
    by_name
}

/// Moves a counter on to a total that is kept elsewhere.
fn set(counter: &prometheus::IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}
