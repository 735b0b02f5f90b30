//! What is traded in one run and by which rules, drawn from its seed.

use crate::faults::Faults;
use crate::instruments::{self, Instruments};
use apex_domain::account::{AccountInput, CLOSE_LEAD_NS};
use apex_domain::calendar::Calendar;
use apex_domain::event::{AccountMode, PositionMode};
use apex_domain::number::Decimal;
use apex_domain::risk::{Limits, LossAction, WideLimits};
use apex_domain::time::{NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SECOND};
use apex_domain::{AccountId, InstrumentId, Money, Rate, UnixNanos};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// When a run begins that is near no opening and no close: a Tuesday night.
const START: UnixNanos = UnixNanos(1_700_000_000 * NANOS_PER_SECOND);

/// What an account pays with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Funds {
    /// Nothing is checked: as many orders as possible reach the venue.
    Unchecked,
    /// Spot instruments only, each order covered by what is there. Such a venue takes nothing
    /// back and fills nothing late, so that the cover holds in its own log.
    Cash,
    /// Every instrument, contracts on margin.
    Margin,
}

/// Which snapshots the venue gives.
#[derive(Clone, Debug)]
pub struct Snapshots {
    pub interval_ns: i64,
    pub executions: bool,
    pub positions: bool,
    /// The long and the short side of a hedging account are told apart. Not drawn, see
    /// [`Setting::draw`].
    pub by_side: bool,
    /// A venue realises profit by one average of each side of a contract, whoever traded it.
    pub balances: bool,
    /// Orders and executions are answered for at a later moment than positions and balances.
    pub two_moments: bool,
}

#[derive(Clone, Debug)]
pub struct Setting {
    /// Accounts at the venue, each with a process of its own.
    pub accounts: usize,
    /// Orders of contracts name the position that they mean, long or short.
    pub hedging: bool,
    pub funds: Funds,
    /// The largest notional of a position, with every working order of a side filled; such a
    /// venue takes nothing back and fills nothing late either.
    pub position_limit: Option<u32>,
    pub snapshots: Option<Snapshots>,
    /// Somebody trades in the account by the venue's own page, and moves positions and cash.
    pub foreign: bool,
    /// Loss limits stop the account by themselves.
    pub loss_limits: bool,
    /// An instrument trades by a calendar, and opens or closes during the run.
    pub sessions: bool,
    /// Clients have sessions that are guarded. Not drawn, as sessions of an instrument are not.
    pub guarded: bool,
    /// See [`crate::instruments::instruments`]. Not drawn, as sessions are not.
    pub poor: bool,
    /// When the run begins, virtual time.
    pub start: UnixNanos,
}

impl Setting {
    /// Draws what a seed trades. Every fourth one has sessions; that is not drawn, so that the others
    /// run as they did before there were any.
    pub fn draw(seed: u64, rng: &mut ChaCha8Rng) -> Setting {
        let funds = match rng.random_range(0..10) {
            0..=4 => Funds::Unchecked,
            5..=6 => Funds::Cash,
            _ => Funds::Margin,
        };
        let position_limit =
            (funds != Funds::Cash && rng.random_bool(0.3)).then(|| rng.random_range(100..400));
        let foreign = position_limit.is_none() && rng.random_bool(0.2);
        let given = foreign || rng.random_bool(0.35);
        let snapshots = given.then(|| Snapshots {
            interval_ns: rng.random_range(1..6) * NANOS_PER_SECOND,
            // A list of fills that were lost on the way is the only way to hear of foreign ones.
            executions: foreign || rng.random_bool(0.7),
            positions: foreign || rng.random_bool(0.7),
            by_side: seed.is_multiple_of(2),
            balances: match funds {
                Funds::Cash => foreign || rng.random_bool(0.7),
                // What a stranger moved has no price. Not drawn, as sessions are not.
                Funds::Unchecked | Funds::Margin => !foreign && seed.is_multiple_of(5),
            },
            two_moments: rng.random_bool(0.3),
        });
        let sessions = seed % 4 == 3;
        Setting {
            accounts: if rng.random_bool(0.2) { 2 } else { 1 },
            hedging: rng.random_bool(0.25),
            funds,
            position_limit,
            snapshots,
            foreign,
            loss_limits: rng.random_bool(0.15),
            sessions,
            guarded: seed % 8 == 6,
            poor: seed % 3 == 2,
            start: if sessions { near_an_edge(rng) } else { START },
        }
    }

    /// Returns true where what reached the venue is bounded in the venue's own log.
    pub fn is_bounded(&self) -> bool {
        self.position_limit.is_some() || self.funds == Funds::Cash
    }

    /// Returns true where the venue may fill what it canceled and take back what it filled: both
    /// can only be learned from a stream that loses nothing.
    pub fn second_thoughts(&self, faults: &Faults) -> bool {
        faults.sequenced && !self.is_bounded()
    }

    /// Returns the instruments that clients trade.
    pub fn tradable(&self, instruments: &Instruments) -> Vec<InstrumentId> {
        let all = instruments.values();
        let own = all.filter(|one| self.funds != Funds::Cash || !one.settles_profit());
        own.map(|one| one.instrument_id.clone()).collect()
    }

    /// Returns limits as they are at first, or as an operator sets them later: bounds that a
    /// check of the simulator relies on only get lower.
    pub fn limits(&self, rng: &mut ChaCha8Rng) -> Limits {
        let position_limit = self.position_limit.map(|most| {
            let lower = rng.random_bool(0.3);
            let limit = if lower {
                rng.random_range(50..=most)
            } else {
                most
            };
            Money(Decimal::from(limit))
        });
        Limits {
            max_order_notional: some(rng, 0.1, |rng| money(rng, 50..100)),
            max_position_notional: position_limit,
            max_open_orders: some(rng, 0.15, |rng| rng.random_range(3..20)),
            max_orders_per_second: some(rng, 0.1, |rng| rng.random_range(1..5)),
            price_collar: some(rng, 0.1, |rng| {
                Rate(Decimal::new(rng.random_range(3..9), 2))
            }),
            check_buying_power: self.funds != Funds::Unchecked,
            allow_short_spot: self.funds != Funds::Cash && rng.random_bool(0.7),
            max_reference_age_ns: some(rng, 0.3, |_| NANOS_PER_SECOND),
            wide: self.wide(rng),
        }
    }

    fn wide(&self, rng: &mut ChaCha8Rng) -> WideLimits {
        let mut wide = WideLimits {
            prevent_self_trade: rng.random_bool(0.1),
            ..WideLimits::default()
        };
        if self.loss_limits {
            wide.max_daily_loss = some(rng, 0.5, |rng| money(rng, 1..30));
            wide.max_drawdown = some(rng, 0.5, |rng| {
                Rate(Decimal::new(rng.random_range(1..9), 4))
            });
            wide.loss_action = if rng.random_bool(0.5) {
                LossAction::Halt
            } else {
                LossAction::Reduce
            };
        }
        if rng.random_bool(0.8) {
            return wide;
        }
        wide.max_strategy_exposure = some(rng, 0.3, |rng| money(rng, 100..1_000));
        wide.max_account_exposure = some(rng, 0.3, |rng| money(rng, 200..2_000));
        wide.max_concentration = some(rng, 0.3, |rng| {
            Rate(Decimal::new(rng.random_range(1..9), 3))
        });
        wide.max_rate_age_ns = some(rng, 0.5, |_| NANOS_PER_SECOND);
        if let Some(id) = some(rng, 0.5, |_| instruments::id(instruments::PERP)) {
            wide.instrument_exposure.insert(id, money(rng, 50..200));
        }
        wide
    }

    /// Returns what an account begins with.
    pub fn opening_cash(&self) -> [(&'static str, Money); 2] {
        let (quote, base) = match self.funds {
            Funds::Unchecked => (1_000_000, 1_000),
            Funds::Cash => (600, 2),
            Funds::Margin => (400, 3),
        };
        [("USDT", quote), ("BTC", base)].map(|(unit, amount)| (unit, Money(Decimal::from(amount))))
    }

    /// Returns the inputs that open account number `account`.
    pub fn opening_inputs(
        &self,
        account: usize,
        instruments: &Instruments,
        rng: &mut ChaCha8Rng,
    ) -> Vec<AccountInput> {
        let account_id = AccountId::new(&format!("sim-{account}"));
        let mut inputs = vec![AccountInput::Open {
            account_id: account_id.expect("account id is well formed"),
            base_currency: instruments::currency("USDT"),
            mode: AccountMode::Paper,
        }];
        if self.hedging {
            inputs.push(AccountInput::SetPositionMode {
                request_id: None,
                mode: PositionMode::Hedging,
                by: "ops".to_owned(),
            });
        }
        for (unit, amount) in self.opening_cash() {
            inputs.push(AccountInput::AdjustCash {
                request_id: None,
                currency: instruments::currency(unit),
                amount,
                reason: "opening".to_owned(),
            });
        }
        inputs.push(AccountInput::SetLimits {
            request_id: None,
            limits: Box::new(self.limits(rng)),
            expected_sequence: None,
        });
        let define = instruments.values().cloned().map(Box::new);
        inputs.extend(define.map(AccountInput::DefineInstrument));
        inputs
    }
}

/// Returns a time shortly before an opening or a close. The faults last for 15 s: some orders come
/// too late for it, and for some it comes with the end of all faults.
fn near_an_edge(rng: &mut ChaCha8Rng) -> UnixNanos {
    let calendar = Calendar::shared(instruments::CALENDAR).expect("the calendar is built in");
    let edge_after = |ts| calendar.next_edge(ts).expect("the calendar goes on").0;
    let opening = edge_after(START.plus(-NANOS_PER_DAY));
    let (edge, lead) = if rng.random_bool(0.4) {
        (opening, 0)
    } else {
        (edge_after(opening), CLOSE_LEAD_NS)
    };
    edge.plus(-lead - rng.random_range(2_000..15_000) * NANOS_PER_MILLI)
}

fn some<T>(rng: &mut ChaCha8Rng, share: f64, draw: impl FnOnce(&mut ChaCha8Rng) -> T) -> Option<T> {
    rng.random_bool(share).then(|| draw(rng))
}

fn money(rng: &mut ChaCha8Rng, range: std::ops::Range<u32>) -> Money {
    Money(Decimal::from(rng.random_range(range)))
}
