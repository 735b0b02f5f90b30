//! Scripts of the platform's side, with accounts that are no more than a share and an exposure.

use super::super::{
    Ask, ChangeRefusal, PlatformChange, PlatformEffects, PlatformExposure, PlatformInput,
    PlatformLimit, PlatformShare, ShareChange, ShareOffer, ShareReport, ShareTerm,
};
use crate::account::tests::support::{currency, money, request_id};
use crate::id::AccountId;
use crate::money::Money;
use std::collections::{BTreeMap, VecDeque};

#[derive(Default)]
struct Puppet {
    sequence: u64,
    share: Option<PlatformShare>,
    exposure: Money,
    ask: Option<Ask>,
    /// Takes and says nothing.
    is_away: bool,
    /// Asks that were served or given the last word.
    answers: Vec<u64>,
}

impl Puppet {
    fn take(&mut self, offer: &ShareOffer) {
        self.take_share(offer);
        let Some(ask) = self.ask else {
            return;
        };
        let share = self.share.as_ref().and_then(|share| share.share);
        let fits = share.is_some_and(|share| share >= ask.wanted);
        if fits {
            self.exposure = ask.wanted;
        }
        if fits || ask.number == offer.answers {
            self.ask = None;
            self.answers.push(ask.number);
        }
    }

    fn take_share(&mut self, offer: &ShareOffer) {
        let known = self.share.as_ref();
        if offer.term <= known.map(|share| share.term).unwrap_or_default() {
            return;
        }
        let known = known.and_then(|share| share.share);
        let share = match offer.change {
            ShareChange::Lift => None,
            ShareChange::Confirm => Some(known.unwrap_or(self.exposure)),
            ShareChange::Set(share) => Some(share.max(self.exposure.min(known.unwrap()))),
        };
        self.sequence += 1;
        self.share = Some(PlatformShare {
            term: offer.term,
            currency: offer.currency.clone(),
            share,
        });
    }
}

/// The machine, its puppets, and every message delivered at once.
struct Stage {
    machine: PlatformExposure,
    puppets: BTreeMap<AccountId, Puppet>,
    changes: u32,
    asks: u64,
}

fn account(name: &str) -> AccountId {
    AccountId::new(name).unwrap()
}

fn change(id: &str, limit: Option<&str>) -> PlatformChange {
    PlatformChange {
        request_id: request_id(id),
        limit: limit.map(|limit| PlatformLimit {
            currency: currency("USDT"),
            max_exposure: money(limit),
        }),
        expected_sequence: None,
    }
}

impl Stage {
    fn new() -> Stage {
        Stage {
            machine: PlatformExposure::begin(None).unwrap(),
            puppets: BTreeMap::new(),
            changes: 0,
            asks: 0,
        }
    }

    /// Delivers what follows, until nobody says anything new.
    fn apply(&mut self, input: PlatformInput) {
        let mut inputs = VecDeque::from([input]);
        let mut effects = PlatformEffects::default();
        for _ in 0..1_000 {
            let Some(input) = inputs.pop_front() else {
                return;
            };
            self.machine.apply(input, &mut effects);
            for out in &effects.offers {
                let puppet = self.puppets.get_mut(&out.account_id).unwrap();
                if !puppet.is_away {
                    puppet.take(&out.offer);
                    inputs.push_back(self.report(&out.account_id));
                }
            }
        }
        panic!("they talk for ever");
    }

    fn report(&self, account_id: &AccountId) -> PlatformInput {
        let puppet = &self.puppets[account_id];
        PlatformInput::Report(ShareReport {
            account_id: account_id.clone(),
            sequence: puppet.sequence,
            share: puppet.share.clone(),
            exposure: Some(puppet.exposure),
            ask: puppet.ask,
        })
    }

    fn run(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["join", name] => {
                self.puppets.insert(account(name), Puppet::default());
                self.apply(PlatformInput::Join(account(name)));
            }
            ["limit", limit] => {
                self.changes += 1;
                let limit = (limit != "none").then_some(limit);
                let change = change(&format!("r{}", self.changes), limit);
                self.apply(PlatformInput::Change(change));
            }
            ["restart"] => {
                let record = self.machine.record();
                self.machine = PlatformExposure::begin(Some(&record)).unwrap();
                self.apply(PlatformInput::Tick);
            }
            [name, verb] => {
                self.puppets.get_mut(&account(name)).unwrap().is_away = verb == "leaves";
                self.apply(PlatformInput::Tick);
            }
            [name, verb, amount] => self.act(&account(name), verb, money(amount)),
            _ => panic!("{line}"),
        }
    }

    fn act(&mut self, account_id: &AccountId, verb: &str, amount: Money) {
        self.asks += 1;
        let puppet = self.puppets.get_mut(account_id).unwrap();
        puppet.sequence += 1;
        match verb {
            "uses" => puppet.exposure = amount,
            "asks" => {
                puppet.ask = Some(Ask {
                    number: self.asks,
                    wanted: amount,
                });
            }
            _ => panic!("{verb}"),
        }
        let report = self.report(account_id);
        self.apply(report);
    }

    /// The share of each account as the account has it.
    fn shares(&self) -> String {
        let share = |(id, puppet): (&AccountId, &Puppet)| {
            let share = puppet.share.as_ref().and_then(|share| share.share);
            format!("{id}={}", share.map_or("-".to_owned(), |s| s.to_string()))
        };
        let shares: Vec<String> = self.puppets.iter().map(share).collect();
        shares.join(" ")
    }
}

/// Runs a script, one step behind each semicolon, and compares the shares at its end.
fn check(script: &str, expected: &str) -> Stage {
    let mut stage = Stage::new();
    for line in script.split("; ") {
        stage.run(line);
    }
    assert_eq!(stage.shares(), expected, "{script}");
    stage
}

#[test]
fn without_a_limit_nothing_is_said() {
    check("join a; join b; a uses 500; restart", "a=- b=-");
}

#[test]
fn a_new_limit_is_confirmed_with_what_each_account_uses_and_some_head_room() {
    // A quarter of a third of the limit.
    check("join a; join b; join c; limit 1200", "a=100 b=100 c=100");
    let script = "join a; join b; a uses 500; limit 1200";
    check(script, "a=650 b=150");
    check("join a; limit 1000", "a=250");
    check("join a; join b; limit 0", "a=0 b=0");
}

#[test]
fn a_limit_that_is_exceeded_already_leaves_what_is_used_and_nothing_more() {
    let script = "join a; join b; a uses 800; b uses 500; limit 1000";
    check(script, "a=800 b=500");
    check(&format!("{script}; a uses 300"), "a=400 b=600");
}

#[test]
fn nothing_is_handed_out_before_every_known_account_has_confirmed() {
    let script = "join a; join b; b leaves; limit 1000; a asks 100";
    let stage = check(script, "a=0 b=-");
    assert_eq!(stage.puppets[&account("a")].answers, []);
    assert!(!stage.machine.is_in_force());
    let stage = check(&format!("{script}; b returns"), "a=225 b=125");
    assert_eq!(stage.puppets[&account("a")].answers.len(), 1);
    assert!(stage.machine.is_in_force());
    // After a restart too, whatever the accounts had.
    let script = "join a; join b; limit 1000; b leaves; restart; a asks 300";
    check(script, "a=125 b=125");
    check(&format!("{script}; b returns"), "a=425 b=125");
}

#[test]
fn an_ask_gets_what_is_free_and_then_what_others_do_not_use() {
    let begin = "join a; join b; join c; limit 1200";
    check(&format!("{begin}; a asks 500"), "a=600 b=100 c=100");
    // Nobody has 1,050; b gives back enough, and c keeps its own.
    check(&format!("{begin}; a asks 1050"), "a=1050 b=50 c=100");
    check(&format!("{begin}; a asks 1200"), "a=1200 b=0 c=0");
    // More than there is: what was gathered for it flows back behind the last word.
    let stage = check(&format!("{begin}; a asks 5000"), "a=100 b=100 c=100");
    assert_eq!(stage.puppets[&account("a")].answers.len(), 1);
}

#[test]
fn what_is_used_is_never_taken_back() {
    let begin = "join a; join b; limit 1000; a asks 700; a uses 700";
    let stage = check(&format!("{begin}; b asks 301"), "a=825 b=125");
    assert_eq!(stage.puppets[&account("b")].answers.len(), 1);
    check(&format!("{begin}; b asks 300"), "a=700 b=300");
    check(&format!("{begin}; b asks 300; a asks 701"), "a=700 b=300");
}

#[test]
fn an_ask_waits_for_an_account_that_owes_an_answer() {
    let script = "join a; join b; limit 1000; b leaves; a asks 1000";
    let stage = check(script, "a=125 b=125");
    assert_eq!(stage.puppets[&account("a")].answers, []);
    check(&format!("{script}; b returns"), "a=1000 b=0");
}

#[test]
fn what_is_no_longer_used_flows_back_in_one_step() {
    let begin = "join a; join b; limit 800; a asks 500; a uses 500";
    check(begin, "a=600 b=100");
    // Two head rooms of 100 may lie idle.
    check(&format!("{begin}; a uses 400"), "a=600 b=100");
    check(&format!("{begin}; a uses 399"), "a=499 b=100");
    check(&format!("{begin}; a uses 0"), "a=100 b=100");
}

#[test]
fn an_account_that_prices_carry_above_its_share_gets_more_while_there_is_room() {
    check("join a; join b; limit 800; a uses 300", "a=400 b=100");
    check("join a; join b; limit 800; a uses 900", "a=700 b=100");
}

#[test]
fn a_lower_limit_leaves_what_is_used_and_divides_the_rest_evenly() {
    let begin = "join a; join b; limit 1000; a asks 600; a uses 600";
    check(begin, "a=725 b=125");
    check(&format!("{begin}; limit 700"), "a=650 b=50");
    let stage = check(&format!("{begin}; limit 500"), "a=600 b=0");
    assert!(stage.machine.is_in_force());
    check(&format!("{begin}; limit 500; limit 1000"), "a=725 b=125");
}

#[test]
fn a_limit_that_is_taken_away_frees_every_account() {
    let script = "join a; join b; limit 1000; limit none";
    assert!(check(script, "a=- b=-").machine.is_in_force());
    check(&format!("{script}; restart; a asks 5"), "a=- b=-");
    check(
        "join a; join b; limit 1000; b leaves; limit none; restart; b returns; b uses 1",
        "a=- b=-",
    );
    check(&format!("{script}; a uses 300; limit 800"), "a=400 b=100");
}

#[test]
fn a_repeated_change_answers_as_before_and_another_content_is_refused() {
    let (mut machine, mut effects) = (
        PlatformExposure::begin(None).unwrap(),
        PlatformEffects::default(),
    );
    let stale = PlatformChange {
        expected_sequence: Some(7),
        ..change("stale", Some("1"))
    };
    let cases = [
        (change("a", Some("100")), Ok(1), true),
        (change("b", Some("200")), Ok(2), true),
        (change("a", Some("100")), Ok(1), false),
        (change("a", None), Err(ChangeRefusal::RequestIdTaken), false),
        (change("c", Some("-1")), Err(ChangeRefusal::Negative), false),
        (
            stale,
            Err(ChangeRefusal::StaleSequence {
                expected: 7,
                actual: 2,
            }),
            false,
        ),
    ];
    for (change, reply, saves) in cases {
        machine.apply(PlatformInput::Change(change.clone()), &mut effects);
        assert_eq!(
            (&effects.reply, effects.save),
            (&Some(reply), saves),
            "{change:?}"
        );
    }
    assert_eq!(machine.view().limit.unwrap().max_exposure, money("200"));
    // What was answered is remembered over a restart.
    let mut machine = PlatformExposure::begin(Some(&machine.record())).unwrap();
    machine.apply(
        PlatformInput::Change(change("b", Some("200"))),
        &mut effects,
    );
    assert_eq!((&effects.reply, effects.save), (&Some(Ok(2)), false));
}

#[test]
fn a_share_of_another_currency_is_none_of_this_limit() {
    let mut stage = check("join a; join b; limit 800", "a=100 b=100");
    let mut euro = change("euro", Some("400"));
    euro.limit.as_mut().unwrap().currency = currency("EUR");
    stage.puppets.get_mut(&account("b")).unwrap().is_away = true;
    stage.apply(PlatformInput::Change(euro));
    let view = stage.machine.view();
    assert_eq!(view.accounts[0].share, Some(money("100")));
    assert_eq!((view.accounts[1].share, view.in_force), (None, false));
}

#[test]
fn a_report_that_was_overtaken_changes_nothing() {
    let mut stage = check("join a; limit 800; a asks 500; a uses 500", "a=700");
    let old = PlatformInput::Report(ShareReport {
        account_id: account("a"),
        sequence: 1,
        share: Some(PlatformShare {
            term: ShareTerm {
                epoch: 1,
                version: 1,
            },
            currency: currency("USDT"),
            share: Some(Money::ZERO),
        }),
        exposure: Some(Money::ZERO),
        ask: None,
    });
    stage.apply(old);
    assert_eq!(stage.machine.handed_out(), Some(money("700")));
    let stranger = ShareReport {
        account_id: account("stranger"),
        sequence: 1,
        share: None,
        exposure: None,
        ask: None,
    };
    stage.apply(PlatformInput::Report(stranger));
    assert_eq!(stage.machine.view().accounts.len(), 1);
}

#[test]
fn a_record_of_another_build_is_refused() {
    let mut record = PlatformExposure::begin(None).unwrap().record();
    assert!(PlatformExposure::begin(Some(&record[..record.len() - 1])).is_err());
    assert!(PlatformExposure::begin(Some(&record[..1])).is_err());
    record[0] = 9;
    let error = PlatformExposure::begin(Some(&record)).unwrap_err();
    assert!(error.to_string().contains("format 9"), "{error}");
}
