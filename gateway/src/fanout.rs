//! Account events, from one seat at the topic to any number of streams.
//!
//! The topic loses nothing that the journal does not have. So when a stream lags behind, or the
//! gateway itself did, the stream reads the journal from where it stands; nobody waits for it.

use apex_bus::message::AccountEvent;
use apex_bus::topic::{AsyncSubscription, Item};
use tokio::sync::broadcast;

/// Events that a stream may lie behind before it has to read the journal: some hundred orders.
const EVENTS: usize = 8_192;

/// Events that are taken from the topic at once.
const BATCH: usize = 512;

/// What a stream hears.
#[derive(Clone, Debug)]
pub enum Heard {
    Event(AccountEvent),
    /// Events were missed: the journal has them.
    Missed,
}

/// The sending side: streams subscribe here.
#[derive(Clone, Debug)]
pub struct Fanout {
    streams: broadcast::WeakSender<Heard>,
}

impl Fanout {
    /// Begins to pass events on, until the topic closes.
    pub fn begin(events: AsyncSubscription<AccountEvent>) -> Fanout {
        let (sender, _) = broadcast::channel(EVENTS);
        let streams = sender.downgrade();
        tokio::spawn(pass_on(events, sender));
        Fanout { streams }
    }

    /// Returns what is heard from now on; `None` when the topic is closed.
    pub fn subscribe(&self) -> Option<broadcast::Receiver<Heard>> {
        self.streams.upgrade().map(|streams| streams.subscribe())
    }
}

async fn pass_on(mut events: AsyncSubscription<AccountEvent>, streams: broadcast::Sender<Heard>) {
    let mut batch = Vec::with_capacity(BATCH);
    while events.next_batch(&mut batch, BATCH).await > 0 {
        for item in batch.drain(..) {
            let heard = match item {
                Item::Value { value, .. } => Heard::Event(value),
                Item::Gap { .. } => Heard::Missed,
            };
            // Without a stream there is nobody to tell, which is no error.
            let _ = streams.send(heard);
        }
    }
}
