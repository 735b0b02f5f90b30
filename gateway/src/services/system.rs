//! `SystemService`.

use crate::readiness::{self, Dependency, Readiness};
use crate::shared::{Shared, wall_clock};
use apex_bus::handle::RunMode;
use apex_bus::market::MarketView;
use apex_bus::topic::{StatsSource, TopicStats};
use apex_domain::UnixNanos;
use apex_domain::market::FeedStatus;
use apex_proto::v1;
use apex_proto::v1::system_service_server::SystemService;
use std::fmt;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// How the process runs and how its parts are.
#[derive(Clone)]
pub struct SystemServer {
    pub(crate) shared: Shared,
    pub(crate) version: String,
    pub(crate) started: UnixNanos,
    pub(crate) readiness: Vec<Arc<dyn Readiness>>,
}

impl fmt::Debug for SystemServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemServer")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

fn mode(mode: RunMode) -> v1::RunMode {
    match mode {
        RunMode::Paper => v1::RunMode::Paper,
        RunMode::Simulated => v1::RunMode::Simulated,
        RunMode::Replay => v1::RunMode::Replay,
    }
}

fn dependency(dependency: Dependency) -> v1::ComponentStatus {
    v1::ComponentStatus {
        name: dependency.name,
        ok: dependency.ok && !dependency.degraded,
        detail: dependency.detail,
        age_ns: None,
    }
}

fn feed(view: &MarketView, now: Option<UnixNanos>) -> v1::ComponentStatus {
    let ok = matches!(view.feed, FeedStatus::Live | FeedStatus::Replaying);
    // Before the first event there is nothing to have an age.
    let seen = now.filter(|_| view.ts_last != UnixNanos::default());
    v1::ComponentStatus {
        name: format!("feed {}", view.instrument.instrument_id),
        ok,
        detail: format!("{:?}", view.feed).to_lowercase(),
        age_ns: seen.map(|now| now.since(view.ts_last)),
    }
}

fn topic(stats: &TopicStats) -> v1::TopicStatus {
    v1::TopicStatus {
        name: stats.name.to_string(),
        policy: stats.policy.as_str().to_owned(),
        published: stats.published,
        dropped: stats.dropped(),
        subscribers: u32::try_from(stats.subscribers.len()).unwrap_or(u32::MAX),
    }
}

#[tonic::async_trait]
impl SystemService for SystemServer {
    async fn get_system_status(
        &self,
        _: Request<v1::GetSystemStatusRequest>,
    ) -> Result<Response<v1::SystemStatus>, Status> {
        let platform = &self.shared.platform;
        let dependencies = readiness::dependencies(platform, &self.readiness).await;
        let ready = dependencies.iter().all(|dependency| dependency.ok);
        let now = wall_clock();
        // A recording's times say nothing about how long ago the feed spoke.
        let clock = (platform.mode != RunMode::Replay).then_some(now);
        let mut components: Vec<_> = dependencies.into_iter().map(dependency).collect();
        components.extend(platform.market.views().iter().map(|view| feed(view, clock)));
        let market = &platform.market;
        let topics: [&dyn StatsSource; 6] = [
            &market.quotes,
            &market.trades,
            &market.books,
            &market.bars,
            &market.feed_states,
            &platform.account_events,
        ];
        Ok(Response::new(v1::SystemStatus {
            mode: mode(platform.mode).into(),
            version: self.version.clone(),
            ts_started_ns: self.started.0,
            ts_now_ns: now.0,
            ready,
            components,
            topics: topics.iter().map(|source| topic(&source.stats())).collect(),
        }))
    }
}
