//! From the kill switch to its durable answer and to the last cancel handed to the venue session,
//! with many working orders and a flood of new ones in the background.
//!
//! `cargo bench -p apex-node --bench kill_switch [-- FOLDER]`; the folder decides which disk the
//! journal is on (default: the system's temporary folder). The flood's orders end at once, so the
//! number of working orders stays what it is said to be. Each round has an account of its own, and
//! nothing new may reach the venue behind the answer.

#[path = "../tests/kill_switch/rig.rs"]
mod rig;

use apex_domain::order::{OrderType, TimeInForce};
use apex_domain::venue::VenueCommand;
use rig::{Desk, Flood, Taken, UNDER_WAY, halt, order, submit};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const WORKING: [usize; 2] = [1_000, 10_000];
const ROUNDS: usize = 9;
const TASKS: usize = 4;

/// Orders a second, on the average of the rounds: what is measured is the halt under a flood.
const LEAST_FLOOD: f64 = 10_000.0;

/// Answers of the flood before the halt: each task has filled its window many times over.
const WARM: usize = 5_000;

/// One round.
struct Round {
    flood_per_second: f64,
    answer: Duration,
    last_cancel: Duration,
    /// Cancels of working orders; more than those of the resting ones where the flood had some.
    cancels: usize,
}

/// Places so many orders that rest.
async fn rest(desk: &Desk, count: usize) {
    let mut under_way = JoinSet::new();
    for number in 0..count {
        let handle = desk.handle().clone();
        let id = format!("rest-{number}");
        let request = order(&id, OrderType::Limit, TimeInForce::Gtc);
        under_way.spawn(async move { submit(&handle, request).await });
        if under_way.len() == UNDER_WAY {
            under_way
                .join_next()
                .await
                .expect("an answer")
                .expect("an order")
                .expect("taken");
        }
    }
    under_way.join_all().await;
    desk.until("resting orders", async |desk| {
        desk.handle()
            .summary()
            .await
            .is_ok_and(|summary| summary.working_orders == count)
    })
    .await;
}

async fn round(folder: &Path, working: usize) -> Round {
    let desk = Desk::start(folder).await;
    desk.lift_limits().await;
    rest(&desk, working).await;
    let flood = Flood::start(&desk, TASKS, TimeInForce::Ioc);
    desk.until("a warm flood", async |_| flood.answered().taken >= WARM)
        .await;
    let flood_per_second = flood.per_second();
    let begun = Instant::now();
    desk.handle().command(halt(false)).await.unwrap();
    let answer = begun.elapsed();
    flood.stop().await;
    let cancels = desk.venue.count(Taken::is_cancel);
    assert!(cancels >= working, "{cancels} cancels");
    let last = desk.venue.last_cancel().expect("a cancel");
    let news = desk.venue.with_taken(|taken| {
        let news = taken.iter();
        let news = news.filter(|one| matches!(one.command, VenueCommand::New(_)));
        news.map(|one| one.at).max()
    });
    assert!(
        news.is_none_or(|last| last <= begun + answer),
        "new behind the answer"
    );
    desk.stop().await;
    Round {
        flood_per_second,
        answer,
        last_cancel: last - begun,
        cancels,
    }
}

/// Median and range, in milliseconds.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    format!(
        "{:.2} ms ({:.2} to {:.2})",
        ms(times[times.len() / 2]),
        ms(times[0]),
        ms(times[times.len() - 1])
    )
}

fn main() {
    // `cargo bench` adds `--bench`, and `cargo test` runs nothing here without it.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let parent = arguments
        .iter()
        .find(|argument| !argument.starts_with("--"));
    let parent = parent.map_or_else(std::env::temp_dir, Into::into);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    println!(
        "kill switch, journal in {}, {ROUNDS} rounds each",
        parent.display()
    );
    for working in WORKING {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let folder = tempfile::tempdir_in(&parent).expect("a folder");
            rounds.push(runtime.block_on(round(folder.path(), working)));
        }
        let flood: f64 = rounds.iter().map(|round| round.flood_per_second).sum();
        let flood = flood / ROUNDS as f64;
        assert!(flood >= LEAST_FLOOD, "{flood:.0} orders/s are no flood");
        let most = rounds.iter().map(|round| round.cancels).max();
        println!("{working} working orders, flood {:.0} orders/s", flood);
        println!(
            "  durable answer: {}",
            spread(rounds.iter().map(|r| r.answer).collect())
        );
        println!(
            "  last cancel:    {}",
            spread(rounds.iter().map(|r| r.last_cancel).collect())
        );
        println!("  at most {} cancels", most.unwrap_or_default());
    }
}
