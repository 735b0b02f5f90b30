//! The feeder of prices, before an account that takes its time.

use super::support::*;
use crate::watch::{BATCH, Feeder, Watched};
use apex_bus::market::MarketHub;
use apex_bus::message::AccountMessage;
use apex_domain::market::Trade;
use apex_domain::{Quantity, UnixNanos};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::mpsc;

/// Hands each of its messages to the test.
struct Told;

impl Actor for Told {
    type Msg = AccountMessage;
    type State = mpsc::UnboundedSender<AccountMessage>;
    type Arguments = mpsc::UnboundedSender<AccountMessage>;

    async fn pre_start(
        &self,
        _: ActorRef<AccountMessage>,
        told: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(told)
    }

    async fn handle(
        &self,
        _: ActorRef<AccountMessage>,
        message: AccountMessage,
        told: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        told.send(message).map_err(|error| error.to_string().into())
    }
}

fn trade(number: u64) -> Trade {
    let sim = instrument();
    Trade {
        instrument_id: sim.instrument.instrument_id,
        price: sim.start_price,
        quantity: Quantity(1),
        aggressor: None,
        trade_id: number,
        ts_event: UnixNanos(3_000),
        ts_init: UnixNanos(3_000),
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_than_a_batch_of_prices_waits_for_an_account() {
    let prints = 3 * BATCH + 1;
    let (sender, mut told) = mpsc::unbounded_channel();
    let (actor, running) = Actor::spawn(None, Told, sender).await.unwrap();
    let market = MarketHub::new();
    let definition = instrument().instrument;
    market.define(definition.clone()).unwrap();
    let first = trade(0);
    market.update(&definition.instrument_id, |view| {
        view.last_trade = Some(first)
    });
    let watched = Watched::default();
    watched.note(&definition.instrument_id, true);
    let feeder = Feeder::new(&market, watched, actor.clone(), "test").unwrap();
    let feeding = tokio::spawn(feeder.run());
    for number in 0..prints as u64 {
        market.trades.try_publish(trade(number)).unwrap();
    }
    let (mut seen, mut waiting) = (0, 0);
    while seen < prints {
        match told.recv().await.unwrap() {
            AccountMessage::Market { .. } => (seen, waiting) = (seen + 1, waiting + 1),
            AccountMessage::Barrier(reply) => {
                // Whatever it would have said without the answer is here behind these turns.
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                assert!(told.try_recv().is_err(), "it waits for the answer");
                waiting = 0;
                reply.send(()).unwrap();
            }
            other => panic!("{other:?}"),
        }
        assert!(waiting <= BATCH, "{waiting} wait");
    }
    actor.stop(None);
    running.await.unwrap();
    // It ends with the account and what waits for it.
    drop(told);
    feeding.await.unwrap();
}
