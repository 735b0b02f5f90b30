//! One run: virtual time, the queue of what is on its way, and the driver.

use crate::check;
use crate::clients::{Clients, Question};
use crate::faults::Faults;
use crate::instruments::{self, Instruments};
use crate::member::Member;
use crate::session::Signed;
use crate::setting::Setting;
use crate::venue::Venue;
use crate::{Failure, Report};
use apex_domain::UnixNanos;
use apex_domain::account::{AccountInput, FundingPayment};
use apex_domain::reconcile::VenueSnapshot;
use apex_domain::time::{NANOS_PER_MILLI, NANOS_PER_SECOND};
use apex_domain::venue::VenueReport;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

mod breaks;
mod conclusion;
mod network;
mod routine;
mod snapshots;

/// How long faults go on: longer than the account's patience, so that it runs out on the way.
const FAULTY_NS: i64 = 15 * NANOS_PER_SECOND;
/// The account must come to agree within this: several rounds of asking, each of five seconds.
const HEALING_LIMIT_NS: i64 = 120 * NANOS_PER_SECOND;

/// Something that happens at its time, to one of the accounts.
#[derive(Clone, Debug)]
enum Action {
    Client,
    Market,
    /// The price of an instrument is shown to the account.
    Price,
    Tick,
    Flush,
    Break,
    Restart,
    Connect,
    ToVenue(Signed),
    ToNode {
        connection: u64,
        venue_sequence: u64,
        report: VenueReport,
    },
    Funding(FundingPayment),
    /// The process asks its venue for a snapshot.
    AskSnapshot,
    /// The question is at the venue, which answers for its first parts.
    SnapshotAsked {
        connection: u64,
        requested_at: UnixNanos,
    },
    /// The venue answers for the rest.
    SnapshotGoesOn {
        connection: u64,
        snapshot: Box<VenueSnapshot>,
    },
    ToNodeSnapshot {
        connection: u64,
        snapshot: Box<VenueSnapshot>,
    },
}

impl Action {
    fn is_message(&self) -> bool {
        matches!(
            self,
            Action::ToVenue(_) | Action::ToNode { .. } | Action::Funding(_)
        )
    }
}

pub struct World {
    seed: u64,
    rng: ChaCha8Rng,
    now: UnixNanos,
    /// By time, and by number where times are equal.
    queue: BTreeMap<(UnixNanos, u64), (usize, Action)>,
    queued: u64,
    faults: Faults,
    setting: Setting,
    healing: bool,
    members: Vec<Member>,
    venue: Venue,
    instruments: Arc<Instruments>,
    report: Report,
    trace: Option<fn(&str)>,
}

impl World {
    pub fn new(seed: u64, trace: Option<fn(&str)>) -> World {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut faults = Faults::draw(&mut rng);
        let setting = Setting::draw(seed, &mut rng);
        if setting.sessions && setting.foreign {
            // What somebody changed at the venue is then learned from its snapshots alone.
            faults.lost_answers = 1.0;
        }
        let instruments = Arc::new(instruments::instruments(setting.sessions, setting.poor));
        let tradable = setting.tradable(&instruments);
        let members = (0..setting.accounts).map(|_| {
            let clients = Clients::new(setting.clone(), tradable.clone());
            Member::new(setting.start, clients)
        });
        World {
            seed,
            now: setting.start,
            queue: BTreeMap::new(),
            queued: 0,
            healing: false,
            members: members.collect(),
            venue: Venue::new(&setting, &instruments, faults.unique_ids),
            instruments,
            report: Report {
                seed,
                ..Report::default()
            },
            rng,
            faults,
            setting,
            trace,
        }
    }

    pub fn run(mut self) -> Result<Report, Failure> {
        match self.drive() {
            Ok(()) => Ok(self.report),
            Err(what) => Err(Failure {
                seed: self.seed,
                at_ns: self.now.since(self.setting.start),
                what,
            }),
        }
    }

    fn drive(&mut self) -> Result<(), String> {
        for member in 0..self.members.len() {
            self.set_up(member)?;
        }
        while let Some(((at, _), (member, action))) = self.queue.pop_first() {
            self.now = at;
            if !self.healing && at.since(self.setting.start) > FAULTY_NS {
                self.heal()?;
            }
            self.perform(member, action)?;
            for member in 0..self.members.len() {
                let has_news = self.emit(member);
                let (node, ledger) = (&self.members[member].node, &self.venue.ledgers[member]);
                check::after_each_step(node, ledger, &self.setting)?;
                if has_news {
                    check::after_each_report(ledger, &self.setting)?;
                }
            }
            if self.healing && self.is_quiet() {
                break;
            }
            if at.since(self.setting.start) > FAULTY_NS + HEALING_LIMIT_NS {
                let open: Vec<String> = self.open_questions().collect();
                return Err(format!("did not settle after the faults ended: {open:?}"));
            }
        }
        for member in 0..self.members.len() {
            self.conclude(member)?;
        }
        Ok(())
    }

    /// The account exists and is durable before anything goes wrong.
    fn set_up(&mut self, member: usize) -> Result<(), String> {
        let opening = self
            .setting
            .opening_inputs(member, &self.instruments, &mut self.rng);
        for input in opening {
            self.apply(member, input, None);
        }
        self.flush(member)?;
        for action in [
            Action::Connect,
            Action::Client,
            Action::Market,
            Action::Price,
            Action::Tick,
            Action::Break,
        ] {
            self.push_within(member, action, 100 * NANOS_PER_MILLI);
        }
        if self.setting.snapshots.is_some() {
            self.push_within(member, Action::AskSnapshot, NANOS_PER_SECOND);
        }
        Ok(())
    }

    fn perform(&mut self, member: usize, action: Action) -> Result<(), String> {
        match action {
            Action::Client => self.client(member),
            Action::Market => self.market(member),
            Action::Price => self.price(member),
            Action::Tick => {
                if self.members[member].is_up {
                    self.apply(member, AccountInput::Tick, None);
                    if self.rng.random_bool(0.1) {
                        self.members[member].node.snapshot();
                    }
                }
                self.push(member, Action::Tick, NANOS_PER_SECOND);
            }
            Action::Flush => self.flush(member)?,
            Action::Break => {
                if !self.healing {
                    self.break_something(member)?;
                    self.push_within(member, Action::Break, 2 * self.faults.break_ns);
                }
            }
            Action::Restart => self.restart(member),
            Action::Connect => self.connect(member),
            Action::ToVenue(signed) => self.deliver_to_venue(member, signed),
            Action::ToNode {
                connection,
                venue_sequence,
                report,
            } => self.deliver_to_node(member, connection, venue_sequence, report),
            Action::Funding(payment) => {
                if self.members[member].is_up {
                    self.apply(member, AccountInput::Funding(payment), None);
                }
            }
            Action::AskSnapshot => self.ask_snapshot(member),
            Action::SnapshotAsked {
                connection,
                requested_at,
            } => self.begin_snapshot(member, connection, requested_at),
            Action::SnapshotGoesOn {
                connection,
                snapshot,
            } => self.complete_snapshot(member, connection, *snapshot),
            Action::ToNodeSnapshot {
                connection,
                snapshot,
            } => self.deliver_snapshot(member, connection, snapshot),
        }
        Ok(())
    }

    fn apply(&mut self, member: usize, input: AccountInput, question: Option<Question>) {
        let node = &mut self.members[member].node;
        let was_idle = node.is_idle();
        if let Some(tell) = self.trace {
            let at_ns = self.now.since(self.setting.start);
            tell(&format!("{at_ns} ns, account {member}: {input:?}"));
        }
        node.apply(self.now, input, question);
        if let Some(tell) = self.trace {
            node.last_effects().for_each(|effect| tell(&effect));
        }
        if was_idle && !node.is_idle() {
            self.push_within(member, Action::Flush, self.faults.flush_ns);
        }
    }

    fn venue_now(&self) -> UnixNanos {
        self.now.plus(self.faults.skew_ns)
    }

    fn push_within(&mut self, member: usize, action: Action, at_most: i64) {
        let delay = self.rng.random_range(1..=at_most.max(1));
        self.push(member, action, delay);
    }

    fn push(&mut self, member: usize, action: Action, delay: i64) {
        self.queued += 1;
        self.queue
            .insert((self.now.plus(delay), self.queued), (member, action));
    }
}
