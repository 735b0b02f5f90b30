//! A wire that can be cut: a proxy between a client and a server of this machine.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

#[derive(Debug, Default)]
struct Wires {
    open: Mutex<Vec<TcpStream>>,
    /// Answers of the server until one is swallowed, and its wire cut; 0 for none.
    swallow: AtomicUsize,
    /// New connections are refused.
    refuse: AtomicBool,
    /// What is asked with this in it is answered so, and never reaches the server.
    refusal: Mutex<Option<(&'static [u8], Vec<u8>)>>,
    cuts: AtomicUsize,
    /// By how much the server's answers come late.
    delay_ms: AtomicU64,
    ended: AtomicBool,
}

/// Forwards to a server, until it is told not to.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    wires: Arc<Wires>,
}

impl Proxy {
    /// Starts one in front of a port of this machine.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start(to: u16) -> io::Result<Proxy> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let wires = Arc::new(Wires::default());
        let shared = wires.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                if !shared.refuse.load(Ordering::SeqCst) {
                    // A server that is away looks like a wire that is cut at once.
                    let _ = connect(&shared, client, to);
                }
            }
        });
        Ok(Proxy { port, wires })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts all wires at once.
    pub fn cut(&self) {
        for wire in lock(&self.wires.open).drain(..) {
            // It may be cut already.
            let _ = wire.shutdown(Shutdown::Both);
        }
    }

    /// Lets the server's next answer get lost, and cuts the wire that it came on: the server has
    /// done what it was asked to, and the client does not know.
    pub fn swallow_next_answer(&self) {
        self.swallow_answer(1);
    }

    /// As [`Proxy::swallow_next_answer`], of the answer with this number from now on; 1 is the next, 0
    /// lets all through again.
    pub fn swallow_answer(&self, number: usize) {
        self.wires.swallow.store(number, Ordering::SeqCst);
    }

    /// Answers what is asked with `word` in it by `answer`, in the server's place; `None` lets all
    /// through again.
    pub fn answer_instead(&self, refusal: Option<(&'static [u8], Vec<u8>)>) {
        *lock(&self.wires.refusal) = refusal;
    }

    /// Refuses or takes new connections.
    pub fn set_refusing(&self, refusing: bool) {
        self.wires.refuse.store(refusing, Ordering::SeqCst);
    }

    /// Lets each answer of the server come so much later; whole milliseconds.
    pub fn delay_answers(&self, by: Duration) {
        // A test's delay fits.
        self.wires
            .delay_ms
            .store(by.as_millis() as u64, Ordering::SeqCst);
    }

    /// Returns how many answers were swallowed.
    pub fn swallowed(&self) -> usize {
        self.wires.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.wires.ended.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the listener, so that its thread ends.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn connect(wires: &Arc<Wires>, client: TcpStream, to: u16) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", to))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let mut open = lock(&wires.open);
    open.push(client.try_clone()?);
    open.push(server.try_clone()?);
    drop(open);
    let (asking, asked) = (client.try_clone()?, server.try_clone()?);
    let mut answering = client.try_clone()?;
    let of_client = wires.clone();
    thread::spawn(move || {
        forward(asking, asked, |bytes| {
            let refusal = lock(&of_client.refusal).clone();
            let refused = refusal.filter(|(word, _)| holds(bytes, word));
            let Some((_, answer)) = refused else {
                return Then::Forward;
            };
            // Its wire may be cut already.
            let _ = answering.write_all(&answer);
            Then::Drop
        });
    });
    let of_server = wires.clone();
    thread::spawn(move || {
        forward(server, client, |_| {
            let late = Duration::from_millis(of_server.delay_ms.load(Ordering::SeqCst));
            if !late.is_zero() {
                thread::sleep(late);
            }
            let down = |left: usize| left.checked_sub(1);
            let left = of_server
                .swallow
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, down);
            if left != Ok(1) {
                return Then::Forward;
            }
            of_server.cuts.fetch_add(1, Ordering::SeqCst);
            Then::Cut
        });
    });
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in them is whole whatever panicked beside it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn holds(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|here| here == word)
}

/// What becomes of bytes on a wire.
enum Then {
    Forward,
    Drop,
    Cut,
}

/// Forwards until one side ends or `judge` cuts the wire.
fn forward(mut from: TcpStream, mut to: TcpStream, mut judge: impl FnMut(&[u8]) -> Then) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count) = from.read(&mut bytes) {
        let bytes = &bytes[..count];
        match judge(bytes) {
            Then::Drop => continue,
            Then::Forward if count > 0 && to.write_all(bytes).is_ok() => {}
            Then::Forward | Then::Cut => break,
        }
    }
    // Either may be closed already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
