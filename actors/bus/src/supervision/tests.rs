//! Supervision with real ractor actors. Time is paused: a back-off is stated, not waited for.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SpawnErr};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::*;
use crate::topic::{AsyncSubscription, Capacity, Topic};

/// A shell that does as it is told.
struct Shell;

#[derive(Debug)]
enum Order {
    Panic,
    Refuse,
    Finish,
    Hang,
    /// Fails as soon as it hears from the other end.
    RefuseAfter(oneshot::Receiver<()>),
}

/// The shells by name, in the order of their starts.
type Shells = Vec<(String, ActorRef<Order>)>;

/// Where the running shells can be found, and what was done to them, in order.
#[derive(Clone, Default)]
struct Yard {
    shells: Arc<Mutex<Shells>>,
    log: Arc<Mutex<Vec<String>>>,
    /// Shells that fail to start.
    broken: Arc<Mutex<Vec<String>>>,
}

impl Yard {
    fn note(&self, what: String) {
        self.log.lock().unwrap().push(what);
    }

    fn order(&self, name: &str, order: Order) {
        let shells = self.shells.lock().unwrap();
        let (_, shell) = shells
            .iter()
            .rfind(|(each, _)| each == name)
            .expect("a shell");
        shell.cast(order).expect("a running shell");
    }

    fn spec(&self, name: &str, on_panic: OnPanic) -> ChildSpec {
        let (yard, name_of) = (self.clone(), name.to_owned());
        ChildSpec::new(name, on_panic, move |supervisor| {
            let (yard, name) = (yard.clone(), name_of.clone());
            async move {
                let arguments = (yard.clone(), name.clone());
                let (shell, _) = Shell::spawn_linked(None, Shell, arguments, supervisor).await?;
                yard.shells.lock().unwrap().push((name, shell.clone()));
                Ok::<_, SpawnErr>(shell.get_cell())
            }
        })
    }
}

impl Actor for Shell {
    type Msg = Order;
    type State = (Yard, String);
    type Arguments = (Yard, String);

    async fn pre_start(
        &self,
        _myself: ActorRef<Order>,
        (yard, name): (Yard, String),
    ) -> Result<(Yard, String), ActorProcessingErr> {
        if yard.broken.lock().unwrap().contains(&name) {
            return Err("no venue".into());
        }
        Ok((yard, name))
    }

    async fn handle(
        &self,
        myself: ActorRef<Order>,
        order: Order,
        (yard, name): &mut (Yard, String),
    ) -> Result<(), ActorProcessingErr> {
        match order {
            Order::Panic => panic!("position went negative"),
            Order::Refuse => Err("cannot go on".into()),
            Order::Finish => {
                myself.stop(None);
                Ok(())
            }
            Order::RefuseAfter(word) => {
                word.await?;
                Err("cannot go on".into())
            }
            Order::Hang => {
                yard.note(format!("{name} hangs"));
                std::future::pending().await
            }
        }
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<Order>,
        (yard, name): &mut (Yard, String),
    ) -> Result<(), ActorProcessingErr> {
        yard.note(format!("{name} stopped"));
        Ok(())
    }
}

struct Bench {
    yard: Yard,
    supervisor: ActorRef<SupervisorMessage>,
    running: tokio::task::JoinHandle<()>,
    events: AsyncSubscription<ChildEvent>,
    aborts: Arc<Mutex<Vec<Abort>>>,
}

const RESTART: OnPanic = OnPanic::Restart(Backoff {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(1),
    restarts: 2,
    window: Duration::from_secs(60),
});

impl Bench {
    async fn start(yard: Yard, children: Vec<ChildSpec>) -> Result<Self, SpawnErr> {
        let topic = Topic::gap("supervision", Capacity::new(64));
        let events = topic.subscribe_async("test").expect("a free seat");
        let aborts = Arc::new(Mutex::new(Vec::new()));
        let seen = aborts.clone();
        let abort: AbortHook = Arc::new(move |abort| seen.lock().unwrap().push(abort.clone()));
        let arguments = SupervisorArguments {
            children,
            events: Some(topic),
            abort,
        };
        let (supervisor, running) = Supervisor::spawn(None, Supervisor, arguments).await?;
        Ok(Bench {
            yard,
            supervisor,
            running,
            events,
            aborts,
        })
    }

    async fn with(names: &[(&str, OnPanic)]) -> Self {
        let yard = Yard::default();
        let children = names
            .iter()
            .map(|(name, policy)| yard.spec(name, *policy))
            .collect();
        let mut bench = Self::start(yard, children).await.expect("all start");
        for (name, _) in names {
            bench.expect(name, ChildChange::Started).await;
        }
        bench
    }

    async fn expect(&mut self, name: &str, change: ChildChange) {
        let mut next = Vec::new();
        self.events.next_batch(&mut next, 1).await;
        let event = next.pop().and_then(crate::topic::Item::into_value);
        assert_eq!(
            event,
            Some(ChildEvent {
                name: name.into(),
                change
            })
        );
    }

    async fn statuses(&self) -> Vec<ChildStatus> {
        ractor::call!(self.supervisor, SupervisorMessage::Children).expect("an answer")
    }

    fn aborts(&self) -> Vec<Abort> {
        self.aborts.lock().unwrap().clone()
    }
}

fn failed(reason: &str, ms: u64) -> ChildChange {
    let restart_after = Duration::from_millis(ms);
    ChildChange::Failed {
        reason: reason.into(),
        restart_after,
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_an_account_shell_aborts_the_process_with_name_and_reason() {
    let mut bench =
        Bench::with(&[("feed", RESTART), ("account paper", OnPanic::AbortProcess)]).await;
    bench.yard.order("account paper", Order::Panic);
    let reason = "position went negative".to_owned();
    bench
        .expect(
            "account paper",
            ChildChange::Aborting {
                reason: reason.clone(),
            },
        )
        .await;
    // An answer means that the handler that called the hook is done.
    bench.statuses().await;
    assert_eq!(
        bench.aborts(),
        [Abort {
            name: "account paper".into(),
            reason
        }]
    );
}

#[tokio::test(start_paused = true)]
async fn an_account_shell_that_is_killed_aborts_the_process_too() {
    let mut bench = Bench::with(&[("account", OnPanic::AbortProcess)]).await;
    bench.yard.shells.lock().unwrap()[0].1.kill();
    bench
        .expect(
            "account",
            ChildChange::Aborting {
                reason: "killed".into(),
            },
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_feed_is_restarted_with_growing_pauses_and_then_quarantined() {
    let mut bench = Bench::with(&[("feed", RESTART), ("other", RESTART)]).await;
    let before = Instant::now();
    bench.yard.order("feed", Order::Panic);
    bench
        .expect("feed", failed("position went negative", 100))
        .await;
    bench.expect("feed", ChildChange::Started).await;
    // The timer's wheel counts whole milliseconds and may be one late.
    assert!(before.elapsed() >= Duration::from_millis(100));
    assert!(before.elapsed() < Duration::from_millis(103));
    bench.yard.order("feed", Order::Refuse);
    bench.expect("feed", failed("cannot go on", 200)).await;
    bench.expect("feed", ChildChange::Started).await;
    bench.yard.order("feed", Order::Panic);
    let reason = "position went negative".to_owned();
    bench
        .expect(
            "feed",
            ChildChange::Quarantined {
                reason: reason.clone(),
            },
        )
        .await;
    let statuses = bench.statuses().await;
    assert_eq!(statuses[0].state, ChildState::Quarantined(reason));
    assert_eq!(statuses[0].restarts, 2);
    assert_eq!(
        statuses[1].state,
        ChildState::Running,
        "the others do not notice"
    );
    assert_eq!(bench.aborts(), []);

    bench
        .supervisor
        .cast(SupervisorMessage::Release("feed".into()))
        .unwrap();
    bench.expect("feed", ChildChange::Started).await;
    bench.yard.order("feed", Order::Panic);
    bench
        .expect("feed", failed("position went negative", 100))
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_does_not_come_up_counts_as_a_failure() {
    let mut bench = Bench::with(&[("feed", RESTART)]).await;
    bench.yard.broken.lock().unwrap().push("feed".into());
    bench.yard.order("feed", Order::Panic);
    bench
        .expect("feed", failed("position went negative", 100))
        .await;
    let reason = "Actor panicked during startup 'no venue'".to_owned();
    bench.expect("feed", failed(&reason, 200)).await;
    bench
        .expect("feed", ChildChange::Quarantined { reason })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_shell_that_stops_by_itself_stays_stopped() {
    let mut bench = Bench::with(&[("replay", RESTART)]).await;
    bench.yard.order("replay", Order::Finish);
    bench.expect("replay", ChildChange::Stopped).await;
    assert_eq!(bench.statuses().await[0].state, ChildState::Stopped);
}

#[tokio::test(start_paused = true)]
async fn shells_stop_one_after_the_other_the_last_first() {
    let names = ["journal", "account", "strategy", "feed"];
    let mut bench = Bench::with(&names.map(|name| (name, RESTART))).await;
    bench.supervisor.cast(SupervisorMessage::Shutdown).unwrap();
    for name in ["feed", "strategy", "account", "journal"] {
        bench.expect(name, ChildChange::Stopped).await;
    }
    bench.running.await.unwrap();
    let expected = ["feed", "strategy", "account", "journal"].map(|name| format!("{name} stopped"));
    assert_eq!(*bench.yard.log.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_plain_stop_keeps_the_order() {
    let bench = Bench::with(&[("journal", RESTART), ("feed", RESTART)]).await;
    bench.supervisor.stop(None);
    bench.running.await.unwrap();
    assert_eq!(
        *bench.yard.log.lock().unwrap(),
        ["feed stopped", "journal stopped"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_shell_that_does_not_drain_is_killed_after_its_grace() {
    let mut bench = Bench::with(&[("journal", RESTART), ("feed", RESTART)]).await;
    bench.yard.order("feed", Order::Hang);
    let before = Instant::now();
    bench.supervisor.cast(SupervisorMessage::Shutdown).unwrap();
    bench.expect("feed", ChildChange::Killed).await;
    assert!(before.elapsed() >= ChildSpec::GRACE);
    bench.expect("journal", ChildChange::Stopped).await;
    bench.running.await.unwrap();
    assert_eq!(
        *bench.yard.log.lock().unwrap(),
        ["feed hangs", "journal stopped"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_while_stopping_is_told_and_nothing_is_restarted() {
    let mut bench = Bench::with(&[("account", OnPanic::AbortProcess), ("feed", RESTART)]).await;
    let (feed, word) = oneshot::channel();
    bench.yard.order("feed", Order::RefuseAfter(word));
    let (account, word) = oneshot::channel();
    bench.yard.order("account", Order::RefuseAfter(word));
    bench.supervisor.cast(SupervisorMessage::Shutdown).unwrap();
    // An answer means that the shutdown has begun.
    bench.statuses().await;
    feed.send(()).unwrap();
    let reason = "cannot go on".to_owned();
    bench
        .expect(
            "feed",
            ChildChange::FailedWhileStopping {
                reason: reason.clone(),
            },
        )
        .await;
    account.send(()).unwrap();
    bench
        .expect("account", ChildChange::Aborting { reason })
        .await;
    assert_eq!(bench.aborts().len(), 1);
    bench.running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_shell_can_be_added_and_its_name_is_taken_then() {
    let mut bench = Bench::with(&[("journal", RESTART)]).await;
    for _ in 0..2 {
        let spec = bench.yard.spec("account two", OnPanic::AbortProcess);
        bench.supervisor.cast(SupervisorMessage::Add(spec)).unwrap();
    }
    bench.expect("account two", ChildChange::Refused).await;
    bench.expect("account two", ChildChange::Started).await;
    bench.supervisor.cast(SupervisorMessage::Shutdown).unwrap();
    bench.expect("account two", ChildChange::Stopped).await;
    bench.expect("journal", ChildChange::Stopped).await;
}

#[tokio::test(start_paused = true)]
async fn an_added_account_that_cannot_start_is_quarantined_and_aborts_nothing() {
    let mut bench = Bench::with(&[]).await;
    bench.yard.broken.lock().unwrap().push("account".into());
    let spec = bench.yard.spec("account", OnPanic::AbortProcess);
    bench.supervisor.cast(SupervisorMessage::Add(spec)).unwrap();
    let reason = "Actor panicked during startup 'no venue'".to_owned();
    bench
        .expect("account", ChildChange::Quarantined { reason })
        .await;
    assert_eq!(bench.aborts(), []);
}

#[tokio::test(start_paused = true)]
async fn a_first_start_that_fails_is_an_error_that_names_the_shell() {
    let yard = Yard::default();
    yard.broken.lock().unwrap().push("feed".into());
    let children = vec![yard.spec("journal", RESTART), yard.spec("feed", RESTART)];
    let refused = Bench::start(yard, children)
        .await
        .err()
        .expect("no start")
        .to_string();
    assert!(refused.contains("feed did not start"), "{refused}");
}
