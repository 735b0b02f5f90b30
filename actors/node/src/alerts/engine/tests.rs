//! The engine over records that fail when the test says so.

use super::*;
use crate::alerts::channel::NotTaken;
use apex_bus::alerts::{AlertCommand, AlertError, AlertReply, AlertRequest};
use apex_domain::alert::{AlertState, PriceSide, PriceWhen, Rule, Severity};
use apex_domain::time::NANOS_PER_SECOND;
use apex_domain::{InstrumentId, Rate, RequestId};
use apex_storage::MemoryRecords;
use apex_storage::port::records::{Entries, Page};
use std::sync::atomic::{AtomicBool, Ordering};

/// Records that take no change while `away`.
#[derive(Default)]
struct Flaky {
    memory: MemoryRecords,
    away: AtomicBool,
}

impl Records for Flaky {
    fn get(&self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.memory.get(table, key)
    }
    fn put(&self, table: &str, key: &str, value: &[u8]) -> Result<(), StorageError> {
        self.memory.put(table, key, value)
    }
    fn delete(&self, table: &str, key: &str) -> Result<bool, StorageError> {
        self.memory.delete(table, key)
    }
    fn list(&self, table: &str) -> Result<Entries, StorageError> {
        self.memory.list(table)
    }
    fn change(&self, changes: &[Change]) -> Result<(), StorageError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StorageError::Unavailable {
                server: "the test".to_owned(),
                variable: "TEST",
                detail: "it is away".to_owned(),
            });
        }
        self.memory.change(changes)
    }
    fn page(&self, table: &str, page: &Page<'_>) -> Result<Entries, StorageError> {
        self.memory.page(table, page)
    }
    fn now_ns(&self) -> Result<i64, StorageError> {
        self.memory.now_ns()
    }
}

struct Bench {
    records: Arc<Flaky>,
    engine: Engine,
    view: watch::Receiver<Arc<AlertsView>>,
}

fn at(seconds: i64) -> UnixNanos {
    UnixNanos(100 * NANOS_PER_DAY + seconds * NANOS_PER_SECOND)
}

impl Bench {
    fn on(records: Arc<Flaky>) -> Bench {
        let (shown, view) = watch::channel(Arc::default());
        let kinds = vec![("desk".to_owned(), "webhook")];
        let engine = Engine::open(records.clone(), kinds, 2, Arc::new(shown)).unwrap();
        Bench {
            records,
            engine,
            view,
        }
    }

    fn new() -> Bench {
        Bench::on(Arc::default())
    }

    /// Another process on the same records.
    fn restarted(self) -> Bench {
        Bench::on(self.records)
    }

    fn view(&self) -> Arc<AlertsView> {
        self.view.borrow().clone()
    }

    fn ask(&mut self, request: &str, command: AlertCommand) -> Result<AlertReply, AlertError> {
        let request = AlertRequest {
            user_id: "ann".to_owned(),
            request_id: RequestId::new(request).unwrap(),
            method: "SystemService/Test",
            content: format!("{command:?}").into_bytes(),
            command,
        };
        self.engine.change(at(0), request)
    }

    /// Makes a rule of each id that fires while the last price is at 100 or more.
    fn rules(&mut self, ids: &[&str]) {
        for id in ids {
            let rule = Box::new(rule(id));
            let command = AlertCommand::SetRule { rule, expected: 0 };
            self.ask(id, command).unwrap();
        }
    }

    fn price(&mut self, seconds: i64, price: &str) {
        let seen = Seen {
            readings: vec![Reading::Trade {
                instrument_id: InstrumentId::new("A.X").unwrap(),
                price: Rate::parse(price).unwrap(),
            }],
            ..Seen::default()
        };
        self.engine.tick(at(seconds), &seen);
    }

    /// Returns the ids of what is to be sent now, and says how each ended.
    fn send(&mut self, seconds: i64, result: Result<(), NotTaken>) -> Vec<String> {
        let errands = self.engine.errands(at(seconds));
        for errand in &errands {
            let line = (errand.channel.as_str(), errand.generation);
            self.engine.sent(at(seconds), line, &result, 500);
        }
        errands
            .into_iter()
            .map(|errand| errand.message.id)
            .collect()
    }

    fn states(&self) -> Vec<Option<Delivery>> {
        let view = self.view();
        let alerts = view.alerts.values();
        alerts
            .map(|alert| alert.delivery(Notice::Fired, "desk"))
            .collect()
    }
}

fn rule(id: &str) -> Rule {
    Rule {
        rule_id: id.to_owned(),
        version: 0,
        title: String::new(),
        enabled: true,
        severity: Severity::Warning,
        watch: Watch::Price {
            instrument_id: InstrumentId::new("A.X").unwrap(),
            side: PriceSide::Last,
            when: PriceWhen::Above,
            level: Rate::parse("100").unwrap(),
            rearm: Rate::ZERO,
        },
        hold_ns: 0,
        cooldown_ns: 0,
        channels: Vec::new(),
        notify_resolved: true,
        updated: UnixNanos(0),
        updated_by: "ann".to_owned(),
    }
}

#[test]
fn what_fired_is_sent_once_and_not_again_after_a_restart() {
    let mut bench = Bench::new();
    bench.rules(&["r"]);
    bench.price(1, "100");
    let origin = bench.view().origin.clone();
    assert_eq!(bench.send(1, Ok(())), [format!("{origin}-1.fired")]);
    assert_eq!(bench.states(), [Some(Delivery::Sent)]);
    let mut bench = bench.restarted();
    assert_eq!(bench.view().alerts[&1].state, AlertState::Firing);
    bench.price(2, "101");
    assert_eq!(bench.send(2, Ok(())), Vec::<String>::new());
    bench.price(3, "99");
    assert_eq!(bench.send(3, Ok(())), [format!("{origin}-1.resolved")]);
    assert_eq!(bench.view().alerts[&1].state, AlertState::Resolved);
    assert_eq!(bench.view().alerts.len(), 1);
}

#[test]
fn what_a_kill_cut_off_before_it_was_sent_is_sent_by_the_next_run_under_the_same_id() {
    let mut bench = Bench::new();
    bench.rules(&["r"]);
    bench.price(1, "100");
    let first = bench.engine.errands(at(1)).remove(0).message;
    // Killed here: whether it arrived is not known.
    let mut bench = bench.restarted();
    assert_eq!(bench.states(), [Some(Delivery::Pending)]);
    assert_eq!(bench.send(2, Ok(())), [first.id]);
}

#[test]
fn nothing_is_shown_or_sent_before_it_is_durable() {
    let mut bench = Bench::new();
    bench.rules(&["r"]);
    bench.records.away.store(true, Ordering::SeqCst);
    bench.price(1, "100");
    assert_eq!(bench.send(1, Ok(())), Vec::<String>::new());
    assert!(bench.view().alerts.is_empty());
    let failing = bench.view().failing.clone().unwrap();
    assert!(failing.contains("away"), "{failing}");
    let rule = Box::new(rule("other"));
    let refused = bench.ask("q", AlertCommand::SetRule { rule, expected: 0 });
    assert!(
        matches!(refused, Err(AlertError::Unavailable(_))),
        "{refused:?}"
    );
    bench.records.away.store(false, Ordering::SeqCst);
    bench.price(2, "100");
    assert_eq!(bench.send(2, Ok(())).len(), 1);
    let view = bench.view();
    assert_eq!(
        (view.alerts.len(), view.failing.as_ref(), view.rules.len()),
        (1, None, 1)
    );
    assert_eq!(view.alerts[&1].ts_fired, at(1));
}

#[test]
fn of_two_engines_on_one_store_the_later_one_holds() {
    let mut bench = Bench::new();
    bench.rules(&["r"]);
    let mut other = Bench::on(bench.records.clone());
    other.price(1, "100");
    bench.price(1, "100");
    assert!(bench.view().alerts.is_empty(), "it heard of a conflict");
    bench.price(2, "100");
    assert_eq!(bench.view().alerts.len(), 1, "the other's");
    assert_eq!(bench.view().alerts[&1].ts_fired, at(1));
}

#[test]
fn a_channel_that_is_away_gets_everything_once_it_is_back() {
    let mut bench = Bench::new();
    bench.rules(&["a", "b"]);
    bench.price(1, "100");
    let away = || Err(NotTaken::later("it is away"));
    assert_eq!(bench.send(1, away()).len(), 1);
    let channel = bench.view().channels[0].clone();
    assert_eq!((channel.failures, channel.waiting), (1, 2));
    assert_eq!(channel.last_error, "it is away");
    assert_eq!(bench.send(1, Ok(())), Vec::<String>::new(), "not at once");
    assert_eq!(bench.send(3, Ok(())).len(), 1);
    assert_eq!(bench.send(3, Ok(())).len(), 1);
    assert_eq!(bench.states(), [Some(Delivery::Sent), Some(Delivery::Sent)]);
    assert_eq!(bench.view().channels[0].last_error, "");
}

#[test]
fn what_is_above_the_rate_is_told_in_a_summary_also_after_a_restart() {
    let mut bench = Bench::new();
    bench.rules(&["a", "b", "c", "d"]);
    bench.price(1, "100");
    for _ in 0..2 {
        assert_eq!(bench.send(1, Ok(())).len(), 1);
    }
    assert_eq!(bench.send(1, Ok(())), Vec::<String>::new());
    bench.price(2, "100");
    let held = [
        Delivery::Sent,
        Delivery::Sent,
        Delivery::HeldBack,
        Delivery::HeldBack,
    ];
    assert_eq!(bench.states(), held.map(Some));
    let mut bench = bench.restarted();
    let summary = bench.engine.errands(at(3)).remove(0);
    assert_eq!(summary.message.held_back, 2);
    bench
        .engine
        .sent(at(3), ("desk", summary.generation), &Ok(()), 0);
    let told = [
        Delivery::Sent,
        Delivery::Sent,
        Delivery::Summarized,
        Delivery::Summarized,
    ];
    assert_eq!(bench.states(), told.map(Some));
}

#[test]
fn a_muted_alert_is_kept_and_not_sent_until_the_mute_is_over() {
    let mut bench = Bench::new();
    bench.rules(&["r"]);
    let mute = |rule_id: Option<&str>, until| {
        AlertCommand::Mute(Mute {
            rule_id: rule_id.map(str::to_owned),
            until,
            by: "ann".to_owned(),
            reason: String::new(),
        })
    };
    for (round, of) in [Some("r"), None].into_iter().enumerate() {
        let begin = 100 * round as i64;
        bench
            .ask(&format!("mute{round}"), mute(of, at(begin + 10)))
            .unwrap();
        bench = bench.restarted();
        bench.price(begin + 1, "100");
        assert_eq!(bench.send(begin + 1, Ok(())), Vec::<String>::new());
        bench.price(begin + 2, "99");
        bench.price(begin + 10, "100");
        assert_eq!(bench.send(begin + 10, Ok(())).len(), 1);
        bench.price(begin + 11, "99");
        bench.send(begin + 11, Ok(()));
        let last = bench.view().alerts.len() - 2;
        assert_eq!(bench.states()[last], Some(Delivery::Muted));
    }
    bench.ask("on", mute(None, at(500))).unwrap();
    bench.ask("off", mute(None, at(0))).unwrap();
    assert!(
        bench
            .restarted()
            .view()
            .mutes
            .iter()
            .all(|mute| mute.until < at(500))
    );
}

#[test]
fn an_acknowledgement_is_answered_the_same_again_and_kept() {
    let mut bench = Bench::new();
    bench.rules(&["r"]);
    bench.price(1, "100");
    let acknowledge = || AlertCommand::Acknowledge {
        number: 1,
        note: "mine".to_owned(),
    };
    let first = bench.ask("ack", acknowledge()).unwrap();
    let AlertReply::Alert(alert) = &first else {
        panic!("{first:?}");
    };
    assert_eq!(
        (alert.state, alert.note.as_str()),
        (AlertState::Acknowledged, "mine")
    );
    let mut bench = bench.restarted();
    assert_eq!(bench.view().alerts[&1].acknowledged_by, "ann");
    bench.price(2, "99");
    assert_eq!(
        bench.ask("ack", acknowledge()),
        Ok(first),
        "although it is over by now"
    );
    assert_eq!(bench.ask("more", acknowledge()), Err(AlertError::AlertOver));
    let none = AlertCommand::Acknowledge {
        number: 9,
        note: String::new(),
    };
    assert_eq!(
        bench.ask("none", none.clone()),
        Err(AlertError::AlertNotFound)
    );
    let taken = bench.ask("ack", none).unwrap_err();
    assert!(matches!(taken, AlertError::RequestTaken(_)), "{taken}");
}

#[test]
fn a_rule_changes_only_from_the_version_that_was_read() {
    let mut bench = Bench::new();
    bench.rules(&["r"]);
    let set = |expected| AlertCommand::SetRule {
        rule: Box::new(rule("r")),
        expected,
    };
    let stale = |expected, actual| Err(AlertError::StaleVersion { expected, actual });
    assert_eq!(bench.ask("1", set(0)), stale(0, 1));
    bench.price(1, "100");
    assert!(matches!(bench.ask("2", set(1)), Ok(AlertReply::Rule(rule)) if rule.version == 2));
    assert_eq!(bench.view().alerts[&1].resolution, "its rule was changed");
    let remove = |expected| AlertCommand::RemoveRule {
        rule_id: "r".to_owned(),
        expected,
    };
    assert_eq!(bench.ask("3", remove(1)), stale(1, 2));
    assert_eq!(bench.ask("4", remove(2)), Ok(AlertReply::Removed));
    let gone = bench.ask("5", remove(2));
    assert_eq!(gone, Err(AlertError::RuleNotFound("r".to_owned())));
    assert!(bench.restarted().view().rules.is_empty());
}

#[test]
fn what_an_account_is_measured_from_survives_a_restart() {
    let mut bench = Bench::new();
    let account_id = AccountId::new("paper").unwrap();
    let seen = |equity: &str| Seen {
        accounts: vec![super::super::watcher::AccountSeen {
            account_id: AccountId::new("paper").unwrap(),
            equity: apex_domain::Money::parse(equity).unwrap(),
            realized: None,
            unrealized: apex_domain::Money::ZERO,
            paid: false,
        }],
        ..Seen::default()
    };
    bench.engine.tick(at(0), &seen("1000"));
    bench.engine.tick(at(10), &seen("1200"));
    let mut bench = bench.restarted();
    bench.engine.tick(at(20), &seen("900"));
    let (baseline, _) = bench.engine.baselines[&account_id];
    let money = |text| apex_domain::Money::parse(text).unwrap();
    assert_eq!(
        (baseline.day_start, baseline.highest),
        (money("1000"), money("1200"))
    );
}

#[test]
fn alerts_that_are_over_are_forgotten_after_their_time() {
    let mut bench = Bench::new();
    bench.rules(&["r"]);
    bench.price(1, "100");
    bench.send(1, Ok(()));
    bench.price(2, "99");
    bench.send(2, Ok(()));
    let late = 90 * 86_400;
    bench.price(late, "99");
    assert_eq!(bench.view().alerts.len(), 1);
    bench.price(late + 61, "99");
    assert!(bench.view().alerts.is_empty());
    let mut bench = bench.restarted();
    assert!(bench.view().alerts.is_empty());
    bench.price(late + 62, "100");
    assert_eq!(
        bench.view().alerts.keys().copied().collect::<Vec<_>>(),
        [2],
        "no number twice"
    );
}
