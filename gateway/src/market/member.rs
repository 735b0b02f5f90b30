//! One client's stream.
//!
//! It is pulled: what is sent is decided when the connection has room for it. So a slow client gets
//! the newest, and one that does not read costs nothing but its place, which it loses after a while.

use super::group::{Frame, Group, Pulse, encode};
use super::log::{BAR, BOOK, FEED_STATE, KINDS, Log, QUOTE};
use super::reader::{Fit, Reader, Selection};
use super::wanted::{self, Resume};
use super::{Followed, Market};
use crate::auth::Caller;
use crate::shared::{Shared, stopped, wall_clock};
use crate::status;
use crate::stream::Guard;
use apex_bus::market::MarketView;
use apex_domain::market::FeedState;
use apex_proto::convert::market as wire;
use apex_proto::v1::{self, ResumeOutcome};
use bytes::Bytes;
use futures::Stream;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;

/// A message of the stream: its number, and the rest of it, which others may share.
#[derive(Clone, Debug)]
pub(crate) struct Numbered {
    pub(super) batch_sequence: u64,
    pub(super) body: Bytes,
}

/// What the check for clients that do not read sees of a stream.
#[derive(Debug)]
pub(super) struct Watched {
    reading: Mutex<ReadState>,
    is_cut: AtomicBool,
    /// The place among the streams of its kind.
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    /// Of its group, once it has one.
    pulse: OnceLock<Arc<Pulse>>,
}

/// How a connection has asked for messages.
#[derive(Clone, Copy, Debug)]
struct ReadState {
    asked: Instant,
    /// It got a message and has not asked for the next one.
    is_fed: bool,
    /// When it was first seen that there is something for which it has not asked since `asked`.
    unread: Option<Instant>,
}

impl Watched {
    fn new(permit: OwnedSemaphorePermit) -> Watched {
        Watched {
            reading: Mutex::new(ReadState {
                asked: Instant::now(),
                is_fed: false,
                unread: None,
            }),
            is_cut: AtomicBool::new(false),
            permit: Mutex::new(Some(permit)),
            pulse: OnceLock::new(),
        }
    }

    fn reading(&self) -> MutexGuard<'_, ReadState> {
        // Each change is one assignment.
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, is_fed: bool) {
        *self.reading() = ReadState {
            asked: Instant::now(),
            is_fed,
            unread: None,
        };
    }

    /// Gives the place of a stream to others when its client has not read for `patience`. The client
    /// finds the reason when it reads again.
    pub(super) fn cut_if_stalled(&self, now: Instant, patience: Duration) {
        {
            let mut reading = self.reading();
            let sent = self.pulse.get().and_then(|pulse| pulse.last());
            let has_more = reading.is_fed || sent.is_some_and(|sent| sent > reading.asked);
            if !has_more {
                return;
            }
            // Its task may just not have run yet: what counts begins with the first look.
            let since = *reading.unread.get_or_insert(now);
            if now.duration_since(since) < patience {
                return;
            }
        }
        self.is_cut.store(true, Ordering::Relaxed);
        let mut permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        drop(permit.take());
    }
}

/// What the connection pulls.
pub(crate) struct MemberStream {
    messages: Pin<Box<dyn Stream<Item = Result<Numbered, Status>> + Send>>,
    watched: Arc<Watched>,
    /// `None` once it has cut the stream.
    guard: Option<Guard>,
}

impl std::fmt::Debug for MemberStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemberStream").finish_non_exhaustive()
    }
}

impl Stream for MemberStream {
    type Item = Result<Numbered, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(guard) = &mut self.guard else {
            return Poll::Ready(None);
        };
        if let Some(reason) = guard.poll(context) {
            self.guard = None;
            return Poll::Ready(Some(Err(reason)));
        }
        let next = self.messages.as_mut().poll_next(context);
        self.watched.note(next.is_ready());
        next
    }
}

/// Opens a stream.
///
/// Errors: a field that cannot be taken, no place for a stream, a gateway that stops.
pub(crate) fn begin(
    shared: &Shared,
    caller: Caller,
    request: &v1::SubscribeRequest,
) -> Result<MemberStream, Status> {
    let (wanted, resume) = wanted::read(request, &shared.platform.market)?;
    let permit = shared.place(&shared.streams.market_data)?;
    let watched = Arc::new(Watched::new(permit));
    let market = &shared.market;
    let followed = market.follow(&watched)?;
    name(market, &followed);
    // Listen before looking: nothing falls between the two.
    let group = market.group(&followed, &wanted);
    // It was just made, and has none.
    let _ = watched.pulse.set(group.pulse.clone());
    let views = shared.platform.market.views();
    let (first, reader) = {
        let log = followed.log();
        begin_reader(&log, &views, &group.selection, resume)?
    };
    let guard = Guard::new(&shared.access, &caller);
    let member = Member {
        stopping: shared.stopping.clone(),
        beat: Box::pin(sleep_until(Instant::now() + shared.limits.heartbeat)),
        shared: shared.clone(),
        caller,
        is_behind: first.resume_outcome() == ResumeOutcome::Resumed,
        first: Some(first),
        followed,
        group,
        reader,
        batch_sequence: 0,
        watched: watched.clone(),
        is_over: false,
    };
    let pull = |mut member: Box<Member>| async move {
        let next = member.next().await?;
        Some((next, member))
    };
    Ok(MemberStream {
        messages: Box::pin(futures::stream::unfold(Box::new(member), pull)),
        watched,
        guard: Some(guard),
    })
}

/// Gives every instrument that there is an ordinal.
fn name(market: &Market, followed: &Followed) {
    let instruments = market.0.hub.instruments();
    let is_new = {
        let log = followed.log();
        instruments
            .iter()
            .any(|it| log.ordinal(&it.instrument_id).is_none())
    };
    if is_new {
        let log = followed.log.write();
        let mut log = log.unwrap_or_else(PoisonError::into_inner);
        for instrument in &instruments {
            log.name(instrument);
        }
    }
}

/// Returns the first message of a stream and where it begins.
///
/// Errors: a point that lies ahead of what there is.
fn begin_reader(
    log: &Log,
    views: &[MarketView],
    selection: &Selection,
    resume: Option<Resume>,
) -> Result<(v1::MarketDataBatch, Reader), Status> {
    let mut reader = Reader::at_end(log);
    let mut outcome = ResumeOutcome::Unspecified;
    let mut resumed = vec![[false; KINDS]; log.named.len()];
    if let Some(resume) = resume {
        outcome = ResumeOutcome::EpochUnknown;
        if resume.epoch == log.epoch {
            outcome = ResumeOutcome::Resumed;
            for point in resume.points {
                let ordinal = log.ordinal(&point.instrument_id).unwrap_or(0) as usize;
                let last = log.named[ordinal].last[point.kind];
                if point.sequence > last {
                    let id = &point.instrument_id;
                    let text = format!("{id} is ahead of the stream, whose last there is {last}");
                    return Err(status::invalid_field("resume.points", text));
                }
                reader.set(ordinal as u32, point.kind, point.sequence);
                resumed[ordinal][point.kind] = true;
            }
        }
    }
    let mut batch = v1::MarketDataBatch {
        publisher_epoch: log.epoch,
        resume_outcome: outcome.into(),
        snapshot: true,
        ..Default::default()
    };
    for view in views {
        let Some(ordinal) = log.ordinal(&view.instrument.instrument_id) else {
            continue;
        };
        if selection.instrument(ordinal) {
            let resumed = &resumed[ordinal as usize];
            let kind = |kind: usize| selection.kinds[kind] && !resumed[kind];
            add_view(log, ordinal, view, kind, &mut batch);
        }
    }
    Ok((batch, reader))
}

/// Adds the newest of an instrument: numbered, or as it was before anything was numbered.
fn add_view(
    log: &Log,
    ordinal: u32,
    view: &MarketView,
    kind: impl Fn(usize) -> bool,
    batch: &mut v1::MarketDataBatch,
) {
    batch
        .instruments
        .push(wire::scale(ordinal, &view.instrument));
    if kind(QUOTE) {
        let numbered = log.quotes.get(ordinal).cloned();
        let seen = || Some(wire::quote(ordinal, view.quote.as_ref()?, 0));
        batch.quotes.extend(numbered.or_else(seen));
    }
    if kind(BOOK) {
        let numbered = log.books.get(ordinal).cloned();
        let seen = || Some(wire::book(ordinal, view.book.as_ref()?, 0));
        batch.books.extend(numbered.or_else(seen));
    }
    if kind(BAR) {
        let numbered = log.named[ordinal as usize].last_bar;
        let seen = || Some(wire::bar(ordinal, view.last_bar.as_ref()?));
        batch.bars.extend(numbered.or_else(seen));
    }
    if kind(FEED_STATE) {
        let state = FeedState {
            instrument_id: view.instrument.instrument_id.clone(),
            status: view.feed,
            ts_init: view.ts_last,
        };
        let numbered = log.feed_states.get(ordinal).cloned();
        let state = numbered.unwrap_or_else(|| wire::feed_state(ordinal, &state, 0));
        batch.feed_states.push(state);
    }
}

struct Member {
    shared: Shared,
    caller: Caller,
    followed: Arc<Followed>,
    group: Group,
    reader: Reader,
    /// What the log has for the reader is not in the group's batches.
    is_behind: bool,
    first: Option<v1::MarketDataBatch>,
    batch_sequence: u64,
    beat: Pin<Box<Sleep>>,
    stopping: watch::Receiver<bool>,
    watched: Arc<Watched>,
    is_over: bool,
}

impl Member {
    /// Returns the next message, or the reason of the end as the last one.
    async fn next(&mut self) -> Option<Result<Numbered, Status>> {
        if self.is_over {
            return None;
        }
        if let Some(batch) = self.first.take() {
            return Some(Ok(self.own(batch)));
        }
        let next = self.message().await;
        self.is_over = next.is_err();
        Some(next)
    }

    async fn message(&mut self) -> Result<Numbered, Status> {
        loop {
            if self.watched.is_cut.load(Ordering::Relaxed) {
                return Err(status::stalled_client(self.shared.limits.stalled_client));
            }
            if *self.stopping.borrow() {
                return Err(status::shutting_down());
            }
            // A stream that is behind is not waiting for anything, so it looks at the clock itself.
            if self.is_behind && Instant::now() >= self.beat.deadline() {
                return self.heartbeat();
            }
            if self.is_behind {
                let reading = {
                    let log = self.followed.log();
                    self.reader.read(&log, &self.group.selection)
                };
                self.is_behind = reading.more;
                if !reading.is_empty() {
                    return Ok(self.own(reading.batch));
                }
                continue;
            }
            let frame = tokio::select! {
                biased;
                () = stopped(&mut self.stopping) => continue,
                () = self.beat.as_mut() => return self.heartbeat(),
                frame = self.group.frames.recv() => frame,
            };
            match frame {
                Ok(frame) => {
                    if let Some(message) = self.pass_on(&frame) {
                        return Ok(message);
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => self.is_behind = true,
                Err(broadcast::error::RecvError::Closed) => return Err(status::shutting_down()),
            }
        }
    }

    /// Returns the message that a batch of the group is for this stream, if there is anything new.
    fn pass_on(&mut self, frame: &Frame) -> Option<Numbered> {
        match self.reader.fit(&frame.reading) {
            Fit::Exact => {
                self.reader.advance(&frame.reading);
                Some(self.number(frame.body.clone()))
            }
            Fit::Overlaps => {
                let rest = self.reader.rest_of(&frame.whole());
                self.reader.advance(&rest);
                (!rest.is_empty()).then(|| self.own(rest.batch))
            }
            Fit::Hole => {
                self.is_behind = true;
                None
            }
        }
    }

    fn heartbeat(&mut self) -> Result<Numbered, Status> {
        self.caller = self.shared.renew(&self.caller)?;
        let next = Instant::now() + self.shared.limits.heartbeat;
        self.beat.as_mut().reset(next);
        let heartbeat = Some(v1::Heartbeat {
            ts_ns: wall_clock().0,
        });
        let publisher_epoch = self.followed.log().epoch;
        Ok(self.own(v1::MarketDataBatch {
            heartbeat,
            publisher_epoch,
            ..Default::default()
        }))
    }

    fn own(&mut self, mut batch: v1::MarketDataBatch) -> Numbered {
        let body = encode(&mut batch);
        self.number(body)
    }

    fn number(&mut self, body: Bytes) -> Numbered {
        self.batch_sequence += 1;
        Numbered {
            batch_sequence: self.batch_sequence,
            body,
        }
    }
}
