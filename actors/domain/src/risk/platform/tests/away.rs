//! Accounts that joined once and are not run any more.

use super::super::{
    PlatformChange, PlatformEffects, PlatformExposure, PlatformInput, PlatformLimit, PlatformShare,
    ShareChange, ShareReport, ShareTerm,
};
use crate::account::tests::support::{currency, money, request_id};
use crate::id::AccountId;
use crate::money::Money;

fn account(name: &str) -> AccountId {
    AccountId::new(name).unwrap()
}

/// A run behind one in which `live` and `gone` had joined under a limit of 100 USDT.
struct Run {
    machine: PlatformExposure,
    effects: PlatformEffects,
    sequence: u64,
    share: Option<PlatformShare>,
    exposure: Money,
    /// It was said that `gone` is away.
    is_told: bool,
}

impl Run {
    fn begin() -> Run {
        let mut effects = PlatformEffects::default();
        let mut last = PlatformExposure::begin(None).unwrap();
        for name in ["live", "gone"] {
            last.apply(PlatformInput::Join(account(name)), &mut effects);
        }
        last.apply(PlatformInput::Change(change("first", "100")), &mut effects);
        let machine = PlatformExposure::begin(Some(&last.record())).unwrap();
        let mut run = Run {
            machine,
            effects,
            sequence: 0,
            share: None,
            exposure: money("10"),
            is_told: false,
        };
        run.apply(PlatformInput::Join(account("live")));
        run
    }

    /// Gives an input; `live` takes what it is told, until nothing new is said.
    fn apply(&mut self, input: PlatformInput) {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            self.machine.apply(input, &mut self.effects);
            for out in &self.effects.offers {
                if out.account_id != account("live") {
                    assert!(!self.is_told, "nobody hears it");
                    continue;
                }
                self.sequence += 1;
                let known = self.share.as_ref().and_then(|share| share.share);
                let share = match out.offer.change {
                    ShareChange::Lift => None,
                    ShareChange::Confirm => Some(known.unwrap_or(self.exposure)),
                    ShareChange::Set(share) => Some(share.max(self.exposure)),
                };
                self.share = Some(PlatformShare {
                    term: out.offer.term,
                    currency: out.offer.currency.clone(),
                    share,
                });
                next = Some(PlatformInput::Report(ShareReport {
                    account_id: account("live"),
                    sequence: self.sequence,
                    share: self.share.clone(),
                    exposure: Some(self.exposure),
                    ask: None,
                }));
            }
        }
    }

    fn away(&mut self, unit: &str, share: Option<&str>) {
        let share = PlatformShare {
            term: ShareTerm {
                epoch: 1,
                version: 7,
            },
            currency: currency(unit),
            share: share.map(money),
        };
        self.is_told = true;
        self.apply(PlatformInput::Away(account("gone"), Some(share)));
    }

    fn live(&self) -> Option<String> {
        let share = self.share.as_ref()?.share?;
        Some(share.to_string())
    }
}

fn change(id: &str, limit: &str) -> PlatformChange {
    PlatformChange {
        request_id: request_id(id),
        limit: Some(PlatformLimit {
            currency: currency("USDT"),
            max_exposure: money(limit),
        }),
        expected_sequence: None,
    }
}

#[test]
fn the_share_of_an_account_that_is_not_run_stays_counted_and_others_go_on() {
    let mut run = Run::begin();
    assert!(!run.machine.is_in_force(), "what it has is not known");
    run.away("USDT", Some("70"));
    assert!(run.machine.is_in_force());
    let view = run.machine.view();
    let seen = view.accounts.iter().map(|account| {
        let share = account.share.map(|share| share.to_string());
        (account.account_id.as_str(), share, account.away)
    });
    let seen: Vec<_> = seen.collect();
    // Ten in use and a quarter of an even part besides.
    assert_eq!(
        seen,
        [
            ("gone", Some("70".to_owned()), true),
            ("live", Some("22.5".to_owned()), false),
        ]
    );
    // What it keeps is out of the reach of the others.
    run.apply(PlatformInput::Change(change("lower", "75")));
    assert_eq!(run.live().as_deref(), Some("10"));
    assert_eq!(run.machine.handed_out(), Some(money("80")));
}

/// A share that was offered under the earlier limit may still be taken.
#[test]
fn a_lowered_limit_is_not_in_force_while_a_larger_share_is_under_way() {
    let mut run = Run::begin();
    run.away("USDT", Some("0"));
    let share = run.share.clone();
    run.machine.apply(
        PlatformInput::Change(change("higher", "1000")),
        &mut run.effects,
    );
    assert!(run.machine.is_in_force(), "{:?}", run.machine.view());
    assert_eq!(run.share, share, "it has not heard of its larger share");
    let lower = PlatformInput::Change(change("lower", "50"));
    run.machine.apply(lower, &mut run.effects);
    assert!(!run.machine.is_in_force());
    run.sequence += 1;
    let late = run.machine.outstanding(&account("live")).cloned().unwrap();
    let ShareChange::Set(offered) = late.change else {
        panic!("{late:?}");
    };
    run.share = share.map(|share| PlatformShare {
        term: late.term,
        share: Some(offered),
        ..share
    });
    run.apply(PlatformInput::Report(ShareReport {
        account_id: account("live"),
        sequence: run.sequence,
        share: run.share.clone(),
        exposure: Some(run.exposure),
        ask: None,
    }));
    assert!(run.machine.is_in_force());
    assert!(run.machine.handed_out().unwrap() <= money("50"));
}

#[test]
fn what_cannot_be_counted_keeps_every_share_from_growing() {
    for (unit, share) in [("EUR", Some("1")), ("USDT", None)] {
        let mut run = Run::begin();
        run.away(unit, share);
        assert!(!run.machine.is_in_force(), "{unit} {share:?}");
        assert_eq!(run.live().as_deref(), Some("10"), "{unit} {share:?}");
    }
}

#[test]
fn an_account_that_leaves_is_durably_forgotten_and_gives_its_share_to_the_others() {
    let mut run = Run::begin();
    run.away("USDT", Some("100"));
    assert_eq!(run.live().as_deref(), Some("10"));
    run.apply(PlatformInput::Leave(account("gone")));
    assert_eq!(run.live().as_deref(), Some("35"));
    let again = PlatformExposure::begin(Some(&run.machine.record())).unwrap();
    assert_eq!(again.view().accounts.len(), 1);
    // Twice is once, and costs no write.
    run.machine
        .apply(PlatformInput::Leave(account("gone")), &mut run.effects);
    assert!(!run.effects.save);
}

#[test]
fn one_that_comes_back_is_asked_as_any_other() {
    let mut run = Run::begin();
    run.away("USDT", Some("70"));
    let mut effects = PlatformEffects::default();
    run.machine
        .apply(PlatformInput::Join(account("gone")), &mut effects);
    let asked = &effects.offers[0];
    assert_eq!(asked.account_id, account("gone"));
    assert_eq!(asked.offer.change, ShareChange::Confirm);
    assert!(asked.offer.term > PlatformExposure::leaving_term(run.machine.view().epoch));
}
