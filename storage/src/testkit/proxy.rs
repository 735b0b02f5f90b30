//! A wire that can be cut: a proxy between a client and a server of this machine.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

#[derive(Debug, Default)]
struct Wires {
    open: Mutex<Vec<TcpStream>>,
    /// The next answer of the server is swallowed, and its wire cut.
    swallow: AtomicBool,
    /// New connections are refused.
    refuse: AtomicBool,
    cuts: AtomicUsize,
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
        let mut open = self
            .wires
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for wire in open.drain(..) {
            // It may be cut already.
            let _ = wire.shutdown(Shutdown::Both);
        }
    }

    /// Lets the server's next answer get lost, and cuts the wire that it came on: the server has
    /// done what it was asked to, and the client does not know.
    pub fn swallow_next_answer(&self) {
        self.wires.swallow.store(true, Ordering::SeqCst);
    }

    /// Refuses or takes new connections.
    pub fn set_refusing(&self, refusing: bool) {
        self.wires.refuse.store(refusing, Ordering::SeqCst);
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
    let mut open = wires.open.lock().unwrap_or_else(PoisonError::into_inner);
    open.push(client.try_clone()?);
    open.push(server.try_clone()?);
    drop(open);
    let (asking, asked) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || forward(asking, asked, |_| false));
    let wires = wires.clone();
    thread::spawn(move || {
        forward(server, client, |_| {
            let swallows = wires.swallow.swap(false, Ordering::SeqCst);
            if swallows {
                wires.cuts.fetch_add(1, Ordering::SeqCst);
            }
            swallows
        });
    });
    Ok(())
}

/// Forwards until one side ends or `cuts` says so.
fn forward(mut from: TcpStream, mut to: TcpStream, cuts: impl Fn(&[u8]) -> bool) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count) = from.read(&mut bytes) {
        if count == 0 || cuts(&bytes[..count]) || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // Either may be closed already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
