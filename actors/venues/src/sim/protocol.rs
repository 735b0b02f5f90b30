//! The simulated venue's protocol: one JSON object a line, both ways, over TCP.
//!
//! - A connection begins with [`ClientMessage::Logon`], answered by [`ServerMessage::LoggedOn`]
//!   or [`ServerMessage::Error`]. An account has one session: a logon closes an older one, and
//!   nothing that still comes from the older socket is processed.
//! - The commands of a session are processed in the order in which they are sent. With the rule
//!   above this makes `NotFound` a proof: what was sent before the query can no longer arrive.
//! - Reports of an account are numbered from 1 without gaps, over all its sessions and restarts
//!   of the venue. A logon states the next number that the client wants; everything from there
//!   on is sent again, so a client that remembers the last number it made durable loses none.
//!   Answers to a query carry the number 0 and are not repeated.
//! - Prices and quantities are mantissas at the decimals of the instruments stated at logon.
//! - Either side sends a heartbeat when it has nothing else to say, and takes the other for dead
//!   after [`SILENT_HEARTBEATS`] intervals without a line.

use apex_domain::market::MarketEvent;
use apex_domain::reconcile::VenueSnapshot;
use apex_domain::venue::{VenueCommand, VenueControl, VenueReport};
use apex_domain::{AccountId, Instrument, UnixNanos};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Version of the protocol; another one is refused at logon.
/// 3 added reports of funding, which an older client cannot read.
pub const PROTOCOL: u16 = 3;

/// The longest line that a client may send. A command has under 500 bytes.
pub const CLIENT_LINE_BYTES: usize = 64 * 1024;

/// The longest line that a venue may send: a book, or an order with some ten thousand
/// executions.
pub const SERVER_LINE_BYTES: usize = 4 * 1024 * 1024;

/// After this many heartbeat intervals without a line a peer is taken for dead.
pub const SILENT_HEARTBEATS: u32 = 3;

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientMessage {
    /// The first message of a connection.
    Logon {
        protocol: u16,
        account_id: AccountId,
        /// The first report that is wanted; 1 for all.
        next_report_sequence: u64,
        /// How often either side speaks at least.
        heartbeat_ms: u64,
    },
    Command(VenueCommand),
    /// Market data of all instruments from here on, beginning with their books.
    SubscribeMarket,
    /// Asks what the venue has of the account; its executions from `since` on.
    Snapshot {
        since: UnixNanos,
    },
    Heartbeat,
    /// For tests: what the venue is to do wrong from here on, for all accounts.
    SetFaults(Faults),
    /// For operators and tests: a halt, the edge of a session, or a bust.
    Control(VenueControl),
}

/// What the venue says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerMessage {
    LoggedOn {
        session: u64,
        /// The number of the last report that exists; 0 when there is none.
        last_report_sequence: u64,
        instruments: Vec<Instrument>,
    },
    Report {
        /// 0 for the answer to a query.
        sequence: u64,
        report: VenueReport,
    },
    /// The answer to [`ClientMessage::Snapshot`]; every report before it is in it.
    Snapshot(Box<VenueSnapshot>),
    Market(MarketEvent),
    /// The client did not read fast enough and missed this many market events. The books follow
    /// anew.
    MarketGap {
        missed: u64,
    },
    Heartbeat,
    /// The venue closes the connection after it.
    Error {
        code: ErrorCode,
        text: String,
    },
}

/// Why the venue closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// A line was no message, or too long. Mend the client.
    BadMessage,
    /// The first message was no logon, or one of another version. Mend the client.
    BadLogon,
    /// The client wants a report behind the next one: it knows more than the venue, whose
    /// journal must have been lost. An operator has to look.
    UnknownSequence,
    /// The account logged on again elsewhere.
    Replaced,
    /// Too many connections. Try again later.
    Full,
    /// The client did not read its answers. Log on again.
    Slow,
}

/// What the venue does wrong on purpose. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Cuts the connection that sends this many-th command from now on, after the command was
    /// worked off and before it is answered. Once.
    pub drop_after_commands: Option<u64>,
    /// Waits this long before each report is sent.
    pub answer_delay_ms: u64,
    /// Sends each report twice.
    pub duplicate_reports: bool,
    /// Works off commands and sends no report and no answer while it holds.
    pub mute: bool,
    /// Refuses every new order.
    pub reject_all: bool,
}

impl FromStr for Faults {
    type Err = String;

    /// Reads faults as a command line states them, separated by commas: `drop-after=N`,
    /// `delay-ms=N`, `duplicate`, `mute`, `reject-all`.
    ///
    /// Errors: the word that is none of these.
    fn from_str(text: &str) -> Result<Faults, String> {
        let mut faults = Faults::default();
        for word in text.split(',').filter(|word| !word.is_empty()) {
            let number = |value: &str| {
                value
                    .parse::<u64>()
                    .map_err(|_| format!("\"{word}\" has no whole number"))
            };
            match word.split_once('=') {
                Some(("drop-after", value)) => faults.drop_after_commands = Some(number(value)?),
                Some(("delay-ms", value)) => faults.answer_delay_ms = number(value)?,
                None if word == "duplicate" => faults.duplicate_reports = true,
                None if word == "mute" => faults.mute = true,
                None if word == "reject-all" => faults.reject_all = true,
                _ => {
                    return Err(format!(
                        "\"{word}\" is no fault: drop-after=N, delay-ms=N, duplicate, mute, reject-all"
                    ));
                }
            }
        }
        Ok(faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_read_as_the_guide_states_them() {
        let guide = include_str!("../../../../docs/guide/simulated-venue.md");
        let lines: Vec<&str> = guide
            .lines()
            .filter(|line| line.starts_with("{\"control\""))
            .collect();
        assert_eq!(lines.len(), 3);
        for line in lines {
            let message = serde_json::from_str::<ClientMessage>(line);
            let is_control = matches!(message, Ok(ClientMessage::Control(_)));
            assert!(is_control, "{line}: {message:?}");
        }
    }

    #[test]
    fn faults_are_read_from_a_command_line() {
        let faults: Faults = "drop-after=3,delay-ms=20,mute".parse().unwrap();
        let expected = Faults {
            drop_after_commands: Some(3),
            answer_delay_ms: 20,
            mute: true,
            ..Faults::default()
        };
        assert_eq!(faults, expected);
        assert_eq!("".parse(), Ok(Faults::default()));
        for text in [
            "mutes",
            "mute=1",
            "drop-after",
            "drop-after=x",
            "delay-ms=-1",
        ] {
            assert!(text.parse::<Faults>().is_err(), "{text}");
        }
    }
}
