use super::*;

const LIMITS: RestartLimits = RestartLimits {
    first_ns: 100,
    longest_ns: 250,
    restarts: 3,
    window_ns: 10_000,
};

fn exit(reason: &str) -> Input {
    Input::Exited {
        reason: reason.to_owned(),
    }
}

/// A strategy and what followed from all that happened to it.
struct Run {
    strategy: Deployment,
    now: i64,
}

impl Run {
    fn of(desired: Desired, policy: RestartPolicy) -> Run {
        Run {
            strategy: Deployment::new(desired, policy, LIMITS, String::new()),
            now: 0,
        }
    }

    fn new() -> Run {
        Run::of(Desired::Deployed, RestartPolicy::Always)
    }

    fn apply(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.strategy
            .apply(UnixNanos(self.now), input, &mut effects);
        effects
    }

    /// Brings it to where its session stands.
    fn running(mut self) -> Run {
        self.apply(Input::Start);
        self.apply(Input::Launched { pid: 7 });
        self.apply(Input::Session(true));
        assert_eq!(self.strategy.state(), DeploymentState::Running);
        self
    }
}

const ADMIT: Effect = Effect::Admit { paused: false };
const ADMIT_PAUSED: Effect = Effect::Admit { paused: true };

/// Each state with each thing that a person can ask for.
#[test]
fn what_is_asked_for_leads_on_from_every_state() {
    use DeploymentState as S;
    let reach = |state: S| {
        let mut run = match state {
            S::Deployed => return Run::new(),
            S::Starting => {
                let mut run = Run::new();
                run.apply(Input::Start);
                return run;
            }
            _ => Run::new().running(),
        };
        match state {
            S::Paused => drop(run.apply(Input::Pause)),
            S::BackingOff => drop(run.apply(exit("x"))),
            S::Stopping => drop(run.apply(Input::Stop)),
            S::Stopped => {
                run.apply(Input::Stop);
                run.apply(exit("x"));
            }
            S::Quarantined => {
                run.strategy.policy = RestartPolicy::Never;
                run.apply(exit("x"));
            }
            _ => {}
        }
        run
    };
    let launches = |effects: &[Effect]| effects.contains(&Effect::Launch);
    let table = [
        // from, behind Start and whether it launches, behind Pause, behind Stop
        (S::Deployed, S::Starting, true, S::Deployed, S::Stopped),
        (S::Starting, S::Starting, false, S::Paused, S::Stopping),
        (S::Running, S::Running, false, S::Paused, S::Stopping),
        (S::Paused, S::Running, false, S::Paused, S::Stopping),
        (S::BackingOff, S::Starting, true, S::Paused, S::Stopped),
        (S::Stopping, S::Starting, false, S::Stopping, S::Stopping),
        (S::Stopped, S::Starting, true, S::Stopped, S::Stopped),
        (
            S::Quarantined,
            S::Starting,
            true,
            S::Quarantined,
            S::Stopped,
        ),
    ];
    for (from, started, launched, paused, stopped) in table {
        let mut run = reach(from);
        assert_eq!(run.strategy.state(), from);
        let effects = run.apply(Input::Start);
        assert_eq!(
            (run.strategy.state(), launches(&effects)),
            (started, launched),
            "{from:?}"
        );
        assert!(effects.contains(&ADMIT), "{from:?}");
        let mut run = reach(from);
        let effects = run.apply(Input::Pause);
        assert_eq!(run.strategy.state(), paused, "{from:?}");
        assert_eq!(
            effects.contains(&ADMIT_PAUSED),
            paused == S::Paused,
            "{from:?}"
        );
        let mut run = reach(from);
        run.apply(Input::Stop);
        assert_eq!(run.strategy.state(), stopped, "{from:?}");
    }
}

#[test]
fn failures_are_followed_by_growing_pauses_and_at_last_by_quarantine() {
    let mut run = Run::new().running();
    for (turn, pause_ns) in [(1, 100), (2, 200), (3, 250)] {
        let effects = run.apply(exit("boom"));
        assert_eq!(effects, [Effect::RestartAfter { pause_ns, turn }]);
        assert_eq!(run.strategy.state(), DeploymentState::BackingOff);
        assert_eq!(run.strategy.reason(), "boom");
        assert!(run.apply(Input::RestartDue { turn: turn - 1 }).is_empty());
        assert_eq!(run.apply(Input::RestartDue { turn }), [Effect::Launch]);
    }
    let effects = run.apply(exit("boom"));
    let reason = "it is quarantined: boom".to_owned();
    assert_eq!(
        effects,
        [Effect::Bar { reason }, Effect::Keep, Effect::CancelOrders]
    );
    assert_eq!(run.strategy.state(), DeploymentState::Quarantined);
    assert_eq!(run.strategy.restarts(), 3);
    assert!(
        run.apply(Input::RestartDue { turn: 3 }).is_empty(),
        "it stays"
    );
    // A person starts it, and its failures count anew.
    assert_eq!(run.apply(Input::Start), [ADMIT, Effect::Launch]);
    assert!(matches!(
        run.apply(exit("x"))[..],
        [Effect::RestartAfter { pause_ns: 100, .. }]
    ));
}

#[test]
fn failures_far_apart_are_no_reason_for_quarantine() {
    let mut run = Run::new().running();
    for turn in 1..20 {
        run.now += LIMITS.window_ns;
        let pause_ns = 100;
        assert_eq!(
            run.apply(exit("x")),
            [Effect::RestartAfter { pause_ns, turn }]
        );
        run.apply(Input::RestartDue { turn });
    }
}

#[test]
fn a_restart_of_the_platform_takes_up_what_was_wanted() {
    use {Desired as D, RestartPolicy as P};
    let launch = |admit: Effect| vec![admit, Effect::Launch];
    let barred = |effects: &[Effect]| matches!(effects, [Effect::Bar { .. }]);
    let mut run = Run::of(D::Running, P::Always);
    assert_eq!(run.apply(Input::Recover), launch(ADMIT));
    for policy in [P::OnFailure, P::Never] {
        let mut run = Run::of(D::Running, policy);
        let effects = run.apply(Input::Recover);
        assert!(
            matches!(effects[..], [Effect::Keep, Effect::Bar { .. }]),
            "{effects:?}"
        );
        assert_eq!(run.strategy.desired(), D::Stopped);
    }
    for policy in [P::Always, P::OnFailure, P::Never] {
        let mut run = Run::of(D::Paused, policy);
        assert_eq!(run.apply(Input::Recover), launch(ADMIT_PAUSED));
        assert_eq!(run.strategy.state(), DeploymentState::Paused);
        for desired in [D::Deployed, D::Stopped, D::Quarantined] {
            let mut run = Run::of(desired, policy);
            let effects = run.apply(Input::Recover);
            assert!(barred(&effects), "{desired:?}: {effects:?}");
            assert_eq!(run.strategy.desired(), desired);
        }
    }
}

#[test]
fn an_end_of_the_platform_changes_nothing_that_is_wanted() {
    for pause in [false, true] {
        let mut run = Run::new().running();
        if pause {
            run.apply(Input::Pause);
        }
        let wanted = run.strategy.desired();
        assert_eq!(run.apply(Input::Shutdown), [Effect::AskToStop { turn: 1 }]);
        run.apply(exit("done"));
        assert!(run.strategy.is_down());
        assert_eq!(run.strategy.desired(), wanted);
        assert!(
            run.apply(Input::Start).is_empty(),
            "nothing starts any more"
        );
    }
    let mut run = Run::new().running();
    run.apply(exit("x"));
    run.apply(Input::Shutdown);
    assert!(run.apply(Input::RestartDue { turn: 1 }).is_empty());
}

#[test]
fn what_does_not_stop_in_time_is_killed_and_that_is_no_failure() {
    let mut run = Run::new().running();
    assert_eq!(run.apply(Input::Stop), [Effect::AskToStop { turn: 1 }]);
    assert!(run.apply(Input::GraceOver { turn: 0 }).is_empty());
    assert_eq!(run.apply(Input::GraceOver { turn: 1 }), [Effect::Kill]);
    assert!(matches!(
        run.apply(exit("signal: 9"))[..],
        [Effect::Bar { .. }]
    ));
    assert_eq!(run.strategy.state(), DeploymentState::Stopped);
    assert_eq!(run.strategy.reason(), "");
}

#[test]
fn a_strategy_over_its_budget_is_killed_and_told_by_what_it_broke() {
    let mut run = Run::new().running();
    let reason = "no answer in 2 s".to_owned();
    assert_eq!(run.apply(Input::Condemned { reason }), [Effect::Kill]);
    run.apply(exit("signal: 9"));
    assert_eq!(run.strategy.reason(), "no answer in 2 s");
    assert_eq!(run.strategy.state(), DeploymentState::BackingOff);
}

#[test]
fn a_paused_strategy_that_fails_comes_again_paused() {
    let mut run = Run::new().running();
    run.apply(Input::Pause);
    run.apply(exit("x"));
    assert_eq!(run.strategy.state(), DeploymentState::Paused);
    assert_eq!(run.apply(Input::RestartDue { turn: 1 }), [Effect::Launch]);
    run.apply(Input::Session(true));
    assert_eq!(run.strategy.state(), DeploymentState::Paused);
    assert_eq!(run.apply(Input::Start), [ADMIT]);
    assert_eq!(run.strategy.state(), DeploymentState::Running);
}

#[test]
fn a_relaunch_waits_for_the_end_of_what_runs() {
    let mut run = Run::new().running();
    assert_eq!(run.apply(Input::Relaunch), [Effect::AskToStop { turn: 1 }]);
    assert_eq!(run.strategy.state(), DeploymentState::Starting);
    assert_eq!(run.apply(exit("done")), [Effect::Launch]);
    assert_eq!(run.strategy.restarts(), 0, "it was asked for");
    // A stop in between wins.
    let mut run = Run::new().running();
    run.apply(Input::Relaunch);
    run.apply(Input::Stop);
    assert!(matches!(run.apply(exit("done"))[..], [Effect::Bar { .. }]));
    // Nothing runs: nothing to do.
    assert!(Run::new().apply(Input::Relaunch).is_empty());
}

#[test]
fn a_session_that_is_lost_is_told_and_is_no_new_start() {
    let mut run = Run::new().running();
    assert!(run.strategy.is_connected());
    run.apply(Input::Session(false));
    assert!(!run.strategy.is_connected());
    assert_eq!(run.strategy.state(), DeploymentState::Running);
    run.apply(Input::Session(true));
    assert!(run.strategy.is_connected());
    run.apply(exit("x"));
    assert!(!run.strategy.is_connected(), "its process took it along");
}
