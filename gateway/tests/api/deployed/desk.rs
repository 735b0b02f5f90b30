//! A desk of strategies that does what the test says.

use crate::harness::BTC;
use apex_bus::strategies::{
    Applied, Asked, BudgetUse, NewStrategy, ParameterChange, ParameterInfo, ParameterKind,
    StrategyAnswer, StrategyDesk, StrategyDeskError, StrategyEvent, StrategyEventKind,
    StrategyEvents, StrategyInfo, StrategyKey, StrategyTypeInfo, VersionInfo, WindDown, WoundDown,
};
use apex_domain::deployment::{DeploymentState, RestartPolicy};
use apex_domain::{AccountId, StrategyId, UnixNanos};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Debug)]
pub struct Desk {
    pub strategies: Vec<StrategyInfo>,
    pub events: StrategyEvents,
    pub refuses: Mutex<Option<StrategyDeskError>>,
    pub asked: Mutex<Vec<String>>,
}

pub fn key(account: &str, strategy: &str) -> StrategyKey {
    let account_id = AccountId::new(account).unwrap();
    (account_id, StrategyId::new(strategy).unwrap())
}

pub fn version(version: u32) -> VersionInfo {
    VersionInfo {
        version,
        content_hash: "ab".repeat(32),
        code_version: "1".into(),
        instruments: vec![BTC.into()],
        parameters: BTreeMap::from([("fast".into(), version.to_string())]),
        by: "ann".into(),
        created: UnixNanos(3),
    }
}

pub fn strategy(account: &str, id: &str, state: DeploymentState) -> StrategyInfo {
    StrategyInfo {
        key: key(account, id),
        strategy_type: "ema-cross".into(),
        state,
        reason: String::new(),
        restart: RestartPolicy::OnFailure,
        version: version(7),
        connected: true,
        restarts: 2,
        by: "ann".into(),
        created: UnixNanos(1),
        changed: UnixNanos(2),
    }
}

impl Desk {
    pub fn new() -> Arc<Desk> {
        use DeploymentState::{Paused, Quarantined, Running};
        Arc::new(Desk {
            strategies: vec![
                strategy("other", "ema-1", Running),
                strategy("paper", "ema-1", Running),
                strategy("paper", "ema-2", Paused),
                strategy("paper", "ema-3", Quarantined),
            ],
            events: StrategyEvents::new(UnixNanos(5)),
            refuses: Mutex::default(),
            asked: Mutex::default(),
        })
    }

    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    fn answer<T: Send + 'static>(&self, what: String, answer: T) -> StrategyAnswer<'_, T> {
        self.asked.lock().unwrap().push(what);
        let refuses = self.refuses.lock().unwrap().clone();
        Box::pin(async move { refuses.map_or(Ok(answer), Err) })
    }

    pub fn happens(&self, account: &str, id: &str, kind: StrategyEventKind) {
        let (account_id, strategy_id) = key(account, id);
        self.events.push(StrategyEvent {
            sequence: 0,
            ts: UnixNanos(9),
            account_id,
            strategy_id,
            kind,
            by: String::new(),
            text: format!("of {account}"),
        });
    }
}

pub fn who(asked: &Asked) -> String {
    format!("{} {} {}", asked.method, asked.user_id, asked.request_id)
}

impl StrategyDesk for Desk {
    fn types(&self) -> Vec<StrategyTypeInfo> {
        let parameter = |name: &str, kind| ParameterInfo {
            name: name.into(),
            kind,
            default: Some("10".into()),
            min: Some("1".into()),
            max: None,
            unit: Some("ms".into()),
            live: true,
            help: "A help.".into(),
        };
        ["a-type", "b-type"]
            .map(|name| StrategyTypeInfo {
                name: name.into(),
                help: "What it does.".into(),
                code_version: "1".into(),
                parameters: vec![
                    parameter("fast", ParameterKind::Integer),
                    parameter("mode", ParameterKind::Choice(vec!["x".into(), "y".into()])),
                ],
            })
            .into()
    }

    fn list(&self) -> Vec<StrategyInfo> {
        self.strategies.clone()
    }

    fn get(&self, key: &StrategyKey) -> Option<StrategyInfo> {
        self.strategies.iter().find(|it| it.key == *key).cloned()
    }

    fn versions(
        &self,
        _: &StrategyKey,
        before: u32,
        limit: usize,
    ) -> StrategyAnswer<'_, Vec<VersionInfo>> {
        let before = if before == 0 { 8 } else { before };
        let all = (1..before).rev().take(limit).map(version);
        self.answer("versions".into(), all.collect())
    }

    fn usage(&self, _: &StrategyKey) -> StrategyAnswer<'_, Option<BudgetUse>> {
        let used = BudgetUse {
            orders_in_last_second: 3,
            orders_per_second: 500,
            messages_in_last_second: 4,
            messages_per_second: 1_000,
            unanswered_batches: 1,
            window: 2,
            oldest_unanswered_ns: 5,
            answer_timeout_ns: 2_000,
        };
        self.answer("usage".into(), Some(used))
    }

    fn events(&self) -> StrategyEvents {
        self.events.clone()
    }

    fn deploy(&self, asked: Asked, new: NewStrategy) -> StrategyAnswer<'_, StrategyInfo> {
        let what = format!(
            "{}: {} {:?} {:?} {:?}",
            who(&asked),
            new.strategy_type,
            new.instruments,
            new.parameters,
            new.restart
        );
        let (account, id) = (new.key.0.as_str(), new.key.1.as_str());
        self.answer(what, strategy(account, id, DeploymentState::Deployed))
    }

    fn start(&self, asked: Asked, key: StrategyKey) -> StrategyAnswer<'_, StrategyInfo> {
        let started = strategy(key.0.as_str(), key.1.as_str(), DeploymentState::Starting);
        self.answer(who(&asked), started)
    }

    fn pause(&self, asked: Asked, key: StrategyKey, cancel: bool) -> StrategyAnswer<'_, WoundDown> {
        let paused = strategy(key.0.as_str(), key.1.as_str(), DeploymentState::Paused);
        let wound = WoundDown {
            strategy: paused,
            canceled: Vec::new(),
            closing: false,
        };
        self.answer(format!("{}: cancel {cancel}", who(&asked)), wound)
    }

    fn stop(
        &self,
        asked: Asked,
        key: StrategyKey,
        wind: WindDown,
    ) -> StrategyAnswer<'_, WoundDown> {
        let stopped = strategy(key.0.as_str(), key.1.as_str(), DeploymentState::Stopped);
        let wound = WoundDown {
            strategy: stopped,
            canceled: Vec::new(),
            closing: wind.close,
        };
        self.answer(format!("{}: {wind:?}", who(&asked)), wound)
    }

    fn update(
        &self,
        asked: Asked,
        change: ParameterChange,
    ) -> StrategyAnswer<'_, (StrategyInfo, Applied)> {
        let what = format!(
            "{}: {} {:?} {:?} {}",
            who(&asked),
            change.expected_version,
            change.set,
            change.reset,
            change.allow_restart
        );
        let info = strategy(
            change.key.0.as_str(),
            change.key.1.as_str(),
            DeploymentState::Running,
        );
        self.answer(what, (info, Applied::Live))
    }
}
