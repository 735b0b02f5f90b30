//! The topics, followed once for all streams.

use super::log::{self, BAR, BOOK, FEED_STATE, Log, QUOTE, TRADE};
use apex_bus::market::MarketHub;
use apex_bus::topic::{AsyncSubscription, Item, SubscribeError, Topic};
use apex_domain::market::{Bar, BookSnapshot, FeedState, Quote, Trade};
use std::sync::Arc;

/// Items of one topic that are taken at once: as many as the largest ring holds. They are numbered
/// before more are taken.
const ITEMS: usize = 1 << 14;

struct Source<T: Clone + Send + Sync + 'static> {
    cursor: AsyncSubscription<T>,
    items: Vec<Item<T>>,
}

impl<T: Clone + Send + Sync + 'static> Source<T> {
    fn new(topic: &Topic<T>) -> Result<Source<T>, SubscribeError> {
        Ok(Source {
            cursor: topic.subscribe_async("gateway market data")?,
            items: Vec::new(),
        })
    }

    /// Returns once there is something; `false` when the topic is closed.
    async fn wait(&mut self) -> bool {
        self.cursor.next_batch(&mut self.items, ITEMS).await > 0
    }

    fn take(&mut self) -> &mut Vec<Item<T>> {
        let room = ITEMS.saturating_sub(self.items.len());
        if room > 0 {
            self.cursor.try_next_batch(&mut self.items, room);
        }
        &mut self.items
    }
}

pub(super) struct Sources {
    quotes: Source<Quote>,
    trades: Source<Trade>,
    books: Source<Arc<BookSnapshot>>,
    bars: Source<Bar>,
    feed_states: Source<FeedState>,
}

impl Sources {
    pub(super) fn new(market: &MarketHub) -> Result<Sources, SubscribeError> {
        Ok(Sources {
            quotes: Source::new(&market.quotes)?,
            trades: Source::new(&market.trades)?,
            books: Source::new(&market.books)?,
            bars: Source::new(&market.bars)?,
            feed_states: Source::new(&market.feed_states)?,
        })
    }

    /// Returns once any topic has something; `false` when one is closed.
    pub(super) async fn wait(&mut self) -> bool {
        tokio::select! {
            more = self.quotes.wait() => more,
            more = self.trades.wait() => more,
            more = self.books.wait() => more,
            more = self.bars.wait() => more,
            more = self.feed_states.wait() => more,
        }
    }

    /// Puts what there is into the log.
    pub(super) fn number(&mut self, log: &mut Log, market: &MarketHub) {
        let define = |id: &_| market.instrument(id);
        log::take(
            log,
            self.quotes.take(),
            &define,
            |it| &it.instrument_id,
            QUOTE,
            |log, ordinal, it, overwritten| log.quote(ordinal, it, overwritten),
        );
        log::take(
            log,
            self.books.take(),
            &define,
            |it| &it.instrument_id,
            BOOK,
            |log, ordinal, it, overwritten| log.book(ordinal, it, overwritten),
        );
        log::take(
            log,
            self.feed_states.take(),
            &define,
            |it| &it.instrument_id,
            FEED_STATE,
            |log, ordinal, it, overwritten| log.feed_state(ordinal, it, overwritten),
        );
        log::take(
            log,
            self.trades.take(),
            &define,
            |it| &it.instrument_id,
            TRADE,
            |log, ordinal, it, _| log.trade(ordinal, it),
        );
        log::take(
            log,
            self.bars.take(),
            &define,
            |it| &it.instrument_id,
            BAR,
            |log, ordinal, it, _| log.bar(ordinal, it),
        );
    }
}
