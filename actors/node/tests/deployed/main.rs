//! Deployed strategies of one node: its desk, sessions, account and records, with processes of the
//! test's own making.

mod failing;
mod rig;

use crate::rig::{ID, PATIENCE, asked, key, new, parameters, reaches, rig, script, until};
use apex_bus::strategies::{
    Applied, Asked, ParameterChange, StrategyDesk, StrategyDeskError, WindDown,
};
use apex_domain::deployment::{DeploymentState, RestartPolicy};
use apex_node::up::PAPER_ACCOUNT;
use apex_storage::records::{self, Strategy, Winding};
use std::sync::atomic::Ordering;

const CANCEL: WindDown = WindDown {
    cancel: true,
    close: false,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_has_one_answer_and_what_is_wanted_is_kept() {
    let rig = rig().await;
    let desk = rig.desk().await;
    let deployed = desk
        .deploy(asked("r-1"), new(RestartPolicy::Always))
        .await
        .unwrap();
    assert_eq!(deployed.state, DeploymentState::Deployed);
    let again = desk
        .deploy(asked("r-1"), new(RestartPolicy::Always))
        .await
        .unwrap();
    assert_eq!(again, deployed);
    let taken = desk
        .deploy(asked("r-2"), new(RestartPolicy::Always))
        .await
        .unwrap_err();
    assert!(matches!(taken, StrategyDeskError::Exists { .. }), "{taken}");
    let other = Asked {
        content: b"other".to_vec(),
        ..asked("r-1")
    };
    let taken = desk.start(other, key()).await.unwrap_err();
    assert!(
        matches!(taken, StrategyDeskError::RequestTaken(_)),
        "{taken}"
    );

    let session = rig.session();
    let started = desk.start(asked("r-3"), key()).await.unwrap();
    assert_eq!(started.state, DeploymentState::Starting);
    reaches(&desk, DeploymentState::Running).await;
    desk.pause(asked("r-4"), key(), false).await.unwrap();
    // An old request does not start it again.
    assert_eq!(desk.start(asked("r-3"), key()).await.unwrap(), started);
    assert_eq!(desk.get(&key()).unwrap().state, DeploymentState::Paused);
    desk.start(asked("r-5"), key()).await.unwrap();
    // Nor does an old pause keep it paused.
    desk.pause(asked("r-4"), key(), false).await.unwrap();
    assert_eq!(desk.get(&key()).unwrap().state, DeploymentState::Running);
    desk.stop_all().await;

    let desk = rig.desk().await;
    let session_2 = rig.session();
    let running = reaches(&desk, DeploymentState::Running).await;
    assert_eq!(running.version, started.version);
    desk.stop(asked("r-6"), key(), CANCEL).await.unwrap();
    desk.stop_all().await;
    let desk = rig.desk().await;
    assert_eq!(desk.get(&key()).unwrap().state, DeploymentState::Stopped);
    desk.stop_all().await;
    session.abort();
    session_2.abort();
    rig.live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_holds_whatever_the_store_does_and_cancels_what_works() {
    let rig = rig().await;
    let desk = rig.desk().await;
    desk.deploy(asked("r-1"), new(RestartPolicy::Always))
        .await
        .unwrap();
    let session = rig.session();
    desk.start(asked("r-2"), key()).await.unwrap();
    reaches(&desk, DeploymentState::Running).await;
    rig.rest("rests-1").await;
    assert!(
        rig.working()
            .await
            .iter()
            .any(|it| it.request.client_order_id.as_str() == "rests-1")
    );

    rig.records.fails.store(true, Ordering::SeqCst);
    let refused = desk.pause(asked("r-3"), key(), true).await.unwrap_err();
    assert!(
        matches!(refused, StrategyDeskError::NotKept(_)),
        "{refused}"
    );
    assert_eq!(desk.get(&key()).unwrap().state, DeploymentState::Paused);
    let waiting = async { while !rig.working().await.is_empty() {} };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("what works is canceled");
    let refused = desk.start(asked("r-4"), key()).await.unwrap_err();
    assert!(
        matches!(refused, StrategyDeskError::NotKept(_)),
        "{refused}"
    );
    assert_eq!(
        desk.get(&key()).unwrap().state,
        DeploymentState::Paused,
        "not kept, not started"
    );
    // What is wanted is kept as soon as it can be.
    rig.records.fails.store(false, Ordering::SeqCst);
    until(|| (rig.kept().desired == apex_domain::deployment::Desired::Paused).then_some(())).await;
    session.abort();
    desk.stop_all().await;
    rig.live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stop_had_not_done_when_the_platform_ended_is_done_at_its_next_start() {
    let rig = rig().await;
    let desk = rig.desk().await;
    desk.deploy(asked("r-1"), new(RestartPolicy::Always))
        .await
        .unwrap();
    desk.stop_all().await;
    rig.rest("rests-1").await;
    let cut_off = Strategy {
        desired: apex_domain::deployment::Desired::Stopped,
        winding: Some(Winding {
            request_id: "r-2".to_owned(),
            cancel: true,
            close: false,
        }),
        ..rig.kept()
    };
    let key = records::state_key(PAPER_ACCOUNT, ID);
    let found = records::find::<Strategy>(&*rig.records.inner, &key)
        .unwrap()
        .unwrap();
    records::replace(&*rig.records.inner, &found, &cut_off).unwrap();

    let desk = rig.desk().await;
    let waiting = async { while !rig.working().await.is_empty() {} };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("what works is canceled");
    until(|| rig.kept().winding.is_none().then_some(())).await;
    desk.stop_all().await;
    rig.live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strategy_that_fails_at_each_start_is_quarantined_and_stays_so() {
    let rig = rig().await;
    let fails = script(&rig.folder, "fails", "echo it cannot be >&2\nexit 3\n");
    let desk = rig.desk_of(fails.clone()).await;
    desk.deploy(asked("r-1"), new(RestartPolicy::Always))
        .await
        .unwrap();
    rig.rest("rests-1").await;
    desk.start(asked("r-2"), key()).await.unwrap();
    let found = reaches(&desk, DeploymentState::Quarantined).await;
    assert_eq!(found.restarts, 2);
    assert!(found.reason.contains("it cannot be"), "{}", found.reason);
    let waiting = async { while !rig.working().await.is_empty() {} };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("nobody minds its orders");
    until(|| (!rig.kept().reason.is_empty()).then_some(())).await;
    desk.stop_all().await;
    let desk = rig.desk().await;
    let kept = desk.get(&key()).unwrap();
    assert_eq!(
        (kept.state, kept.reason),
        (DeploymentState::Quarantined, found.reason)
    );
    // A person mends it and starts it.
    let session = rig.session();
    desk.start(asked("r-3"), key()).await.unwrap();
    assert_eq!(reaches(&desk, DeploymentState::Running).await.reason, "");
    desk.stop_all().await;
    session.abort();
    rig.live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_parameters_are_a_version_and_say_when_they_count() {
    let rig = rig().await;
    let desk = rig.desk().await;
    desk.deploy(asked("r-1"), new(RestartPolicy::Always))
        .await
        .unwrap();
    let change = |expected_version: u32, set: &[(&str, &str)], allow_restart| ParameterChange {
        key: key(),
        expected_version,
        set: set
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        reset: Vec::new(),
        allow_restart,
    };
    let (info, applied) = desk
        .update(asked("r-2"), change(1, &[("fast", "3")], false))
        .await
        .unwrap();
    assert_eq!((info.version.version, applied), (2, Applied::NextStart));
    let (info, applied) = desk
        .update(asked("r-3"), change(2, &[("fast", "3")], false))
        .await
        .unwrap();
    assert_eq!((info.version.version, applied), (2, Applied::Unchanged));
    let stale = desk
        .update(asked("r-4"), change(1, &[("fast", "4")], false))
        .await
        .unwrap_err();
    assert!(
        matches!(stale, StrategyDeskError::StaleVersion { actual: 2, .. }),
        "{stale}"
    );
    let wrong = [("fast", "0"), ("mode", "up"), ("speed", "1")];
    let wrong = desk
        .update(asked("r-5"), change(2, &wrong, false))
        .await
        .unwrap_err();
    let StrategyDeskError::Invalid(wrong) = wrong else {
        panic!("{wrong}");
    };
    let names: Vec<&str> = wrong.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(
        names,
        ["parameters[fast]", "parameters[mode]", "parameters[speed]"]
    );

    let session = rig.session();
    desk.start(asked("r-6"), key()).await.unwrap();
    reaches(&desk, DeploymentState::Running).await;
    let (info, applied) = desk
        .update(asked("r-7"), change(2, &[("quantity", "1")], false))
        .await
        .unwrap();
    assert_eq!((info.version.version, applied), (3, Applied::Live));
    let fixed = desk
        .update(asked("r-8"), change(3, &[("slow", "9")], false))
        .await
        .unwrap_err();
    assert!(
        fixed.to_string().starts_with("slow cannot change"),
        "{fixed}"
    );
    let (_, applied) = desk
        .update(asked("r-9"), change(3, &[("slow", "9")], true))
        .await
        .unwrap();
    assert_eq!(applied, Applied::Restarted);
    let versions = desk.versions(&key(), 0, 2).await.unwrap();
    assert_eq!(
        versions.iter().map(|it| it.version).collect::<Vec<_>>(),
        [4, 3]
    );
    assert_ne!(versions[0].content_hash, versions[1].content_hash);
    let first = desk.versions(&key(), 2, 9).await.unwrap();
    assert_eq!(first[0].parameters, parameters());
    desk.stop_all().await;
    session.abort();
    rig.live.stop().await;
}
