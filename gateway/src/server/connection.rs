//! Connections: how many, how long, and what each may do.

use super::flood::{COOL_OFF, Counted, Frames};
use super::guard::Late;
use crate::audit::Peer;
use crate::options::Limits;
use crate::shared::stopped;
use crate::status;
use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt;

/// Pause after the system could not give a connection (no more file descriptors): trying again at
/// once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bytes that wait for one stream's turn on its connection. One message of a busy market fits, which
/// is enough for full speed, since the next one is made when there is room; with more, a client that
/// opens a thousand streams and reads none would make us hold that much for each.
const SEND_BUFFER: usize = 16 * 1_024;

/// Addresses that may not connect for a moment, since they sent a flood, at a time. More are only
/// possible with that many addresses; all are then let in again.
const COOLING: usize = 4_096;

/// Addresses that sent a flood, and when.
#[derive(Clone, Default)]
struct Cooling(Arc<Mutex<HashMap<IpAddr, Instant>>>);

impl Cooling {
    fn begin(&self, address: IpAddr, now: Instant) {
        // Each change is one insertion.
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if since.len() >= COOLING {
            since.clear();
        }
        since.insert(address, now);
    }

    fn holds(&self, address: IpAddr, now: Instant) -> bool {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let holds = |since: &Instant| now.duration_since(*since) < COOL_OFF;
        let is_held = since.get(&address).is_some_and(holds);
        if !is_held {
            since.remove(&address);
        }
        is_held
    }
}

/// Open connections, or calls that wait, by address. Only counted, never iterated.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection's place, or one call's; given back when it is dropped.
struct Place {
    counts: Counts,
    address: IpAddr,
}

impl Counts {
    fn take(&self, address: IpAddr, limit: usize) -> Option<Place> {
        let mut counts = self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let count = counts.entry(address).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Place {
            counts: self.clone(),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self
            .counts
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// Accepts connections until it is told to stop and those that were open then have ended. Meanwhile
/// whoever asks over a new one is told that the gateway is not ready.
pub(super) async fn accept(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    mut stopping: watch::Receiver<bool>,
) {
    let builder = builder(&limits);
    let (counts, calls, cooling) = (Counts::default(), Counts::default(), Cooling::default());
    let mut connections = JoinSet::new();
    // Those that come while the gateway stops. Nobody waits for them.
    let mut late = JoinSet::new();
    let told = stopping.clone();
    let mut is_stopping = false;
    loop {
        if is_stopping && connections.is_empty() {
            return;
        }
        tokio::select! {
            biased;
            () = stopped(&mut stopping), if !is_stopping => is_stopping = true,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            Some(_) = late.join_next(), if !late.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    // A closed socket says it fastest; there is no protocol yet to say it in.
                    if connections.len() + late.len() >= limits.connections {
                        tracing::warn!(%peer, "connection refused: too many are open");
                        continue;
                    }
                    if cooling.holds(peer.ip(), Instant::now()) {
                        continue;
                    }
                    let Some(place) = counts.take(peer.ip(), limits.connections_per_address) else {
                        tracing::warn!(%peer, "connection refused: too many of this address");
                        continue;
                    };
                    let connection = Connection {
                        router: router.clone(),
                        peer,
                        first_request: limits.first_request,
                        age: limits.connection_age,
                        stopping: told.clone(),
                        is_late: is_stopping,
                        calls: calls.clone(),
                        calls_per_address: limits.calls_per_address,
                        cooling: cooling.clone(),
                    };
                    let builder = builder.clone();
                    let of = if is_stopping { &mut late } else { &mut connections };
                    of.spawn(async move {
                        connection.serve(builder, stream).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // Also the longest a kept-alive HTTP/1 connection may stay idle.
        .header_read_timeout(limits.first_request)
        .max_buf_size((limits.header_bytes as usize).max(8_192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_per_connection)
        .max_header_list_size(limits.header_bytes)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(limits.keepalive_interval)
        .keep_alive_timeout(limits.keepalive_timeout);
    builder
}

struct Connection {
    router: Router,
    peer: SocketAddr,
    first_request: Duration,
    age: Duration,
    stopping: watch::Receiver<bool>,
    is_late: bool,
    calls: Counts,
    calls_per_address: usize,
    cooling: Cooling,
}

impl Connection {
    async fn serve(mut self, builder: auto::Builder<TokioExecutor>, stream: TcpStream) {
        // A command is small and waits for its answer: it must not wait for a full segment too.
        let _ = stream.set_nodelay(true);
        let has_request = Arc::new(AtomicBool::new(false));
        let seen = has_request.clone();
        let router = self.router.clone();
        let (peer, is_late) = (Peer(self.peer), self.is_late);
        let (calls, limit) = (self.calls.clone(), self.calls_per_address);
        let (cooling, address) = (self.cooling.clone(), self.peer.ip());
        let stream = Counted {
            socket: stream,
            frames: Frames::new(std::time::Instant::now()),
            on_flood: Some(Box::new(move || {
                tracing::warn!(%address, "connection closed: a flood of frames that carry nothing");
                cooling.begin(address, Instant::now());
            })),
        };
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            seen.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(peer);
            if is_late {
                request.extensions_mut().insert(Late);
            }
            let turn = calls.take(peer.0.ip(), limit);
            let router = router.clone();
            async move {
                let Some(_turn) = turn else {
                    return Ok(status::too_many_calls(limit).into_http());
                };
                router.oneshot(request).await
            }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let begun = Instant::now();
        let silent = sleep_until(begun + self.first_request);
        let old = sleep_until(begun + self.age);
        tokio::pin!(silent, old);
        // One that came late has been told: it is closed with its answer.
        let (mut is_checked, mut is_leaving) = (false, is_late);
        loop {
            tokio::select! {
                // A client that breaks off or talks nonsense is its own affair.
                _ = connection.as_mut() => return,
                () = silent.as_mut(), if !is_checked => {
                    is_checked = true;
                    if !has_request.load(Ordering::Relaxed) {
                        return;
                    }
                }
                () = old.as_mut(), if !is_leaving => {
                    is_leaving = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = stopped(&mut self.stopping), if !is_leaving => {
                    is_leaving = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_places_and_gets_them_back() {
        let counts = Counts::default();
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let first = counts.take(one, 2).unwrap();
        let second = counts.take(one, 2).unwrap();
        assert!(counts.take(one, 2).is_none());
        assert!(counts.take(other, 2).is_some());
        drop(first);
        assert!(counts.take(one, 2).is_some());
        drop(second);
        assert!(counts.0.lock().unwrap().is_empty());
    }
}
