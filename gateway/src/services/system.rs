//! `SystemService`.

use super::{alert_stream, alerts};
use crate::readiness::{self, Dependency, Readiness};
use crate::shared::{Shared, caller, wall_clock};
use crate::stream::Receiver;
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
    type StreamAlertsStream = Receiver<v1::StreamAlertsResponse>;

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

    async fn stream_alerts(
        &self,
        request: Request<v1::StreamAlertsRequest>,
    ) -> Result<Response<Self::StreamAlertsStream>, Status> {
        let caller = caller(&request)?;
        let stream = alert_stream::begin(&self.shared, caller, request.get_ref())?;
        Ok(Response::new(stream))
    }

    async fn list_alerts(
        &self,
        request: Request<v1::ListAlertsRequest>,
    ) -> Result<Response<v1::ListAlertsResponse>, Status> {
        let caller = caller(&request)?;
        alerts::list(&self.shared, &caller, request.get_ref()).map(Response::new)
    }

    async fn ack_alert(
        &self,
        request: Request<v1::AckAlertRequest>,
    ) -> Result<Response<v1::Alert>, Status> {
        let caller = caller(&request)?;
        let alert = alerts::acknowledge(&self.shared, &caller, request.into_inner()).await?;
        Ok(Response::new(alert))
    }

    async fn list_alert_rules(
        &self,
        request: Request<v1::ListAlertRulesRequest>,
    ) -> Result<Response<v1::ListAlertRulesResponse>, Status> {
        let caller = caller(&request)?;
        alerts::rules(&self.shared, &caller, request.get_ref()).map(Response::new)
    }

    async fn set_alert_rule(
        &self,
        request: Request<v1::SetAlertRuleRequest>,
    ) -> Result<Response<v1::SetAlertRuleResponse>, Status> {
        let caller = caller(&request)?;
        let set = alerts::set_rule(&self.shared, &caller, request.into_inner()).await?;
        Ok(Response::new(set))
    }

    async fn mute_alerts(
        &self,
        request: Request<v1::MuteAlertsRequest>,
    ) -> Result<Response<v1::AlertMute>, Status> {
        let caller = caller(&request)?;
        let mute = alerts::mute_alerts(&self.shared, &caller, request.into_inner()).await?;
        Ok(Response::new(mute))
    }

    async fn test_alert_channel(
        &self,
        request: Request<v1::TestAlertChannelRequest>,
    ) -> Result<Response<v1::TestAlertChannelResponse>, Status> {
        let caller = caller(&request)?;
        let tested = alerts::test_channel(&self.shared, &caller, request.get_ref()).await?;
        Ok(Response::new(tested))
    }
}
