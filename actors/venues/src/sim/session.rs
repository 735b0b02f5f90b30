//! One connection to the venue: a reader that hands messages to the core, and a writer that
//! reads the account's reports at the speed of the peer.

use super::core::{Answer, CoreInput, Ending, SessionParts};
use super::lines::{LineError, LineReader};
use super::protocol::{
    CLIENT_LINE_BYTES, ClientMessage, ErrorCode, PROTOCOL, SILENT_HEARTBEATS, ServerMessage,
};
use super::venue::line;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{self, timeout};

/// A peer that connects has this long to log on; a local client needs milliseconds.
const LOGON_DEADLINE: Duration = Duration::from_secs(5);

/// Bounds of the heartbeat that a client may ask for: below it costs more than it tells, above
/// it a dead peer would hold its place for minutes.
const HEARTBEAT_MS: std::ops::RangeInclusive<u64> = 10..=60_000;

/// Why a connection ended, as far as the peer is to be told.
type Farewell = Option<(ErrorCode, String)>;

/// Serves a connection until either side ends it.
pub(super) async fn run(stream: TcpStream, core: mpsc::Sender<CoreInput>) {
    // Small messages that are waited for; a socket that refuses this works all the same.
    let _slower = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    let mut lines = LineReader::new(read, CLIENT_LINE_BYTES);
    let mut output = Output {
        socket: BufWriter::new(write),
        deadline: LOGON_DEADLINE,
    };
    let logon = timeout(LOGON_DEADLINE, log_on(&mut lines, &core)).await;
    let (parts, next_report_sequence, heartbeat) = match logon {
        Ok(Ok(logged_on)) => logged_on,
        Ok(Err(farewell)) => return output.say(farewell).await,
        Err(_elapsed) => return,
    };
    let session = parts.session;
    let silence = heartbeat * SILENT_HEARTBEATS;
    output.deadline = silence;
    let mut writer = Writer {
        output,
        parts,
        cursor: next_report_sequence.max(1),
        heartbeat,
    };
    let farewell = tokio::select! {
        biased;
        farewell = writer.run() => farewell,
        farewell = read_messages(&mut lines, &core, session, silence) => farewell,
    };
    // The core may be gone when the venue stops.
    let _stopped = core.send(CoreInput::Closed { session }).await;
    writer.output.say(farewell).await;
}

/// Takes the logon; the error is what the peer is told.
async fn log_on(
    lines: &mut LineReader<OwnedReadHalf>,
    core: &mpsc::Sender<CoreInput>,
) -> Result<(SessionParts, u64, Duration), Farewell> {
    let bad = |text: &str| Some((ErrorCode::BadLogon, text.to_owned()));
    let message = match lines.next().await {
        Ok(Some(text)) => serde_json::from_slice(text),
        Ok(None) => return Err(None),
        Err(error) => return Err(bad(&error.to_string())),
    };
    let Ok(ClientMessage::Logon {
        protocol,
        account_id,
        next_report_sequence,
        heartbeat_ms,
    }) = message
    else {
        return Err(bad("the first message must be a logon"));
    };
    if protocol != PROTOCOL {
        return Err(bad(&format!("protocol {protocol}, expected {PROTOCOL}")));
    }
    if !HEARTBEAT_MS.contains(&heartbeat_ms) {
        return Err(bad("heartbeat_ms must be within 10 and 60000"));
    }
    let (reply, answer) = oneshot::channel();
    let logon = CoreInput::Logon {
        account_id,
        next_report_sequence,
        reply,
    };
    if core.send(logon).await.is_err() {
        return Err(None);
    }
    match answer.await {
        Ok(Ok(parts)) => Ok((
            parts,
            next_report_sequence,
            Duration::from_millis(heartbeat_ms),
        )),
        Ok(Err(code)) => Err(Some((
            code,
            format!(
                "this venue has no report {} of the account, so its journal was lost or is another \
                 one: start it with the data folder that it had, or trade here with a new --data-dir",
                next_report_sequence.saturating_sub(1)
            ),
        ))),
        Err(_stopped) => Err(None),
    }
}

/// Hands messages to the core until the peer is gone or silent.
async fn read_messages(
    lines: &mut LineReader<OwnedReadHalf>,
    core: &mpsc::Sender<CoreInput>,
    session: u64,
    silence: Duration,
) -> Farewell {
    loop {
        let bad = |text: String| Some((ErrorCode::BadMessage, text));
        let text = match timeout(silence, lines.next()).await {
            Ok(Ok(Some(text))) => text,
            Ok(Err(error @ LineError::TooLong { .. })) => return bad(error.to_string()),
            Ok(Ok(None) | Err(LineError::Io(_))) | Err(_) => return None,
        };
        let input = match serde_json::from_slice(text) {
            Ok(ClientMessage::Command(command)) => CoreInput::Command { session, command },
            Ok(ClientMessage::SubscribeMarket) => CoreInput::Subscribe { session },
            Ok(ClientMessage::Snapshot { since }) => CoreInput::Snapshot { session, since },
            Ok(ClientMessage::SetFaults(faults)) => CoreInput::SetFaults { session, faults },
            Ok(ClientMessage::Control(control)) => CoreInput::Control { session, control },
            Ok(ClientMessage::Heartbeat) => continue,
            Ok(ClientMessage::Logon { .. }) => return bad("already logged on".to_owned()),
            Err(error) => return bad(error.to_string()),
        };
        // Waits when the core is behind, and with it the peer's socket.
        if core.send(input).await.is_err() {
            return None;
        }
    }
}

#[derive(Debug)]
struct Output {
    socket: BufWriter<OwnedWriteHalf>,
    /// How long a write may wait for a peer that does not read.
    deadline: Duration,
}

impl Output {
    async fn write(&mut self, line: &str) -> io::Result<()> {
        timeout(self.deadline, self.socket.write_all(line.as_bytes())).await?
    }

    async fn flush(&mut self) -> io::Result<()> {
        timeout(self.deadline, self.socket.flush()).await?
    }

    /// Says why the connection ends, if there is something to say and someone to hear it.
    async fn say(&mut self, farewell: Farewell) {
        if let Some((code, text)) = farewell {
            let message = line(&ServerMessage::Error { code, text });
            if self.write(&message).await.is_ok() {
                let _unheard = self.flush().await;
            }
        }
    }
}

#[derive(Debug)]
struct Writer {
    output: Output,
    parts: SessionParts,
    /// The next report to send.
    cursor: u64,
    heartbeat: Duration,
}

impl Writer {
    async fn run(&mut self) -> Farewell {
        match self.write_all().await {
            Ok(Ending::Error(code)) => Some((code, "closed by the venue".to_owned())),
            // Cut on purpose, or nobody there to be told.
            Ok(Ending::Cut) | Err(_) => None,
        }
    }

    async fn write_all(&mut self) -> io::Result<Ending> {
        let hello = self.parts.logged_on.clone();
        self.output.write(&hello).await?;
        let mut last = self.parts.log.subscribe();
        let mut heartbeats = time::interval(self.heartbeat);
        let mut answer: Option<Answer> = None;
        loop {
            // Looked at before the log, so that a report that comes meanwhile wakes us.
            last.borrow_and_update();
            if let Some(ending) = *self.parts.ending.borrow_and_update() {
                return Ok(ending);
            }
            let muted = self.parts.faults.borrow_and_update().mute;
            if !muted && self.write_next(&mut answer).await? {
                continue;
            }
            while let Ok(line) = self.parts.market.try_recv() {
                self.output.write(&line).await?;
                // Reports go before market data.
                if last.has_changed().unwrap_or(true) {
                    break;
                }
            }
            self.output.flush().await?;
            tokio::select! {
                biased;
                changed = self.parts.ending.changed() => {
                    if changed.is_err() {
                        // The core let go of the session.
                        let ending = *self.parts.ending.borrow();
                        return Ok(ending.unwrap_or(Ending::Cut));
                    }
                }
                _changed = self.parts.faults.changed() => {}
                _changed = last.changed(), if !muted => {}
                Some(next) = self.parts.answers.recv(), if !muted && answer.is_none() => {
                    answer = Some(next);
                }
                Some(line) = self.parts.market.recv() => self.output.write(&line).await?,
                _tick = heartbeats.tick() => {
                    self.output.write(&line(&ServerMessage::Heartbeat)).await?;
                }
            }
        }
    }

    /// Writes the next report, or the answer that is due. Returns false when nothing is.
    async fn write_next(&mut self, answer: &mut Option<Answer>) -> io::Result<bool> {
        let due = answer.as_ref().map_or(u64::MAX, |answer| answer.after);
        let report = (self.cursor <= due)
            .then(|| self.parts.log.get(self.cursor))
            .flatten();
        let is_report = report.is_some();
        let waiting = answer.as_ref().map(|answer| answer.line.clone());
        let Some(line) = report.or(waiting) else {
            return Ok(false);
        };
        // A fault or an ending is set before the report it concerns is there, so it is looked at
        // after the report was found.
        let faults = self.parts.faults.borrow().clone();
        if faults.mute || self.parts.ending.borrow().is_some() {
            return Ok(true);
        }
        if faults.answer_delay_ms > 0 {
            self.output.flush().await?;
            tokio::select! {
                biased;
                _changed = self.parts.ending.changed() => return Ok(true),
                () = time::sleep(Duration::from_millis(faults.answer_delay_ms)) => {}
            }
        }
        self.output.write(&line).await?;
        if is_report {
            self.cursor += 1;
            if faults.duplicate_reports {
                self.output.write(&line).await?;
            }
        } else {
            *answer = None;
        }
        Ok(true)
    }
}
