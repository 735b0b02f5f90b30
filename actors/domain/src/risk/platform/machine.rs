//! The platform's side: who has which share, and what was said to whom.

use super::record::{self, Answered, Record, RecordError};
use super::share::{Ask, PlatformShare, ShareChange, ShareOffer, ShareReport, ShareTerm};
use crate::id::{AccountId, Currency, RequestId};
use crate::money::Money;
use crate::number::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use thiserror::Error;

/// Changes whose answers are remembered for a repeated request. An operator makes a handful a day.
const ANSWERED: usize = 1_000;

/// The limit over all accounts together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformLimit {
    pub currency: Currency,
    /// Worst-case notional of all accounts, inclusive; not negative.
    pub max_exposure: Money,
}

/// A change of the limit, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformChange {
    pub request_id: RequestId,
    /// `None` takes the limit away.
    pub limit: Option<PlatformLimit>,
    /// The sequence of the limit as the caller saw it.
    pub expected_sequence: Option<u64>,
}

/// Why a change was not taken. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChangeRefusal {
    /// The caller reads the limit again.
    #[error("sequence is {actual}, not {expected}: read the limit again")]
    StaleSequence { expected: u64, actual: u64 },
    /// The caller takes another id.
    #[error("request_id is already used for another change of the platform's limit")]
    RequestIdTaken,
    #[error("max_exposure must not be negative")]
    Negative,
}

/// Something that the platform's side decides on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlatformInput {
    /// An account is there, and counts from now on until it leaves.
    Join(AccountId),
    Change(PlatformChange),
    Report(ShareReport),
    /// Time has passed: what has no answer is said again.
    Tick,
    /// An account that joined in an earlier run is not run this time: what its journal says of its
    /// share stays counted, and nothing is said to it.
    Away(AccountId, Option<PlatformShare>),
    /// An account that holds nothing and has nothing working is taken away for good. Its journal
    /// has given the share back before, in the term of [`PlatformExposure::leaving_term`].
    Leave(AccountId),
}

/// An offer with its receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    pub account_id: AccountId,
    pub offer: ShareOffer,
}

/// What follows from one input. A shell makes [`PlatformExposure::record`] durable first where
/// `save` says so, and then sends the offers and the reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlatformEffects {
    pub save: bool,
    pub offers: Vec<Outbound>,
    /// The sequence of the limit after a change.
    pub reply: Option<Result<u64, ChangeRefusal>>,
}

/// The platform's limit and who has which share of it.
///
/// What an account counts for is the larger of the share that it durably has and the one that it
/// was offered and has not answered. The sum of that never exceeds the limit, except behind a
/// limit that was lowered, until exposure has gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformExposure {
    pub(super) epoch: u64,
    pub(super) limit: Option<PlatformLimit>,
    /// Counts the changes of the limit; 0 before the first.
    sequence: u64,
    pub(super) members: BTreeMap<AccountId, Member>,
    answered: VecDeque<Answered>,
    /// Asks that came since the start.
    asks: u64,
}

/// One account, as the platform knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Member {
    /// The newest report.
    pub seen: Option<ShareReport>,
    /// The newest offer, until it was answered. No other one is made meanwhile, unless a change of
    /// the limit makes all earlier ones void.
    pub sent: Option<ShareOffer>,
    /// Version of the newest offer.
    version: u64,
    /// Shares of earlier versions are not of this limit.
    valid_from: u64,
    /// What it waits for, with the number of its arrival.
    pub ask: Option<(u64, Ask)>,
    /// Number of the account's last ask that has the last word.
    pub answered: u64,
    /// Arrival of the last ask for which this account was told to give back what it does not use.
    pub gave_for: u64,
    /// It is not run this time: its share by its journal.
    pub away: Option<Option<PlatformShare>>,
}

/// An account's part of a [`PlatformView`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountShare {
    pub account_id: AccountId,
    /// What it counts for; `None` until it has confirmed the limit.
    pub share: Option<Money>,
    /// As last reported; `None` where it could not be measured.
    pub exposure: Option<Money>,
    /// It is not run this time, and keeps what its journal says.
    pub away: bool,
}

/// The limit and its shares at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformView {
    pub limit: Option<PlatformLimit>,
    pub sequence: u64,
    /// Sum of the shares.
    pub handed_out: Money,
    /// Every account keeps to the limit as it is now.
    pub in_force: bool,
    /// Counts the starts of the platform's side.
    pub epoch: u64,
    /// In order of id.
    pub accounts: Vec<AccountShare>,
}

impl PlatformExposure {
    /// Begins a run from what the last one made durable. The epoch is a new one: the shell makes
    /// [`PlatformExposure::record`] durable before anything else.
    ///
    /// Errors: [`RecordError`]; damage, or a newer build's record.
    pub fn begin(record: Option<&[u8]>) -> Result<PlatformExposure, RecordError> {
        let last = record.map(record::decode).transpose()?.unwrap_or_default();
        let members = last.accounts.into_iter().map(|id| (id, Member::default()));
        Ok(PlatformExposure {
            epoch: last.epoch.saturating_add(1),
            limit: last.limit,
            sequence: last.sequence,
            members: members.collect(),
            answered: last.answered,
            asks: 0,
        })
    }

    /// Returns what has to be durable.
    pub fn record(&self) -> Vec<u8> {
        record::encode(&Record {
            epoch: self.epoch,
            limit: self.limit.clone(),
            sequence: self.sequence,
            accounts: self.members.keys().cloned().collect(),
            answered: self.answered.clone(),
        })
    }

    /// Decides on `input`. `effects` is cleared first.
    pub fn apply(&mut self, input: PlatformInput, effects: &mut PlatformEffects) {
        *effects = PlatformEffects::default();
        match input {
            PlatformInput::Join(account_id) => {
                effects.save = !self.members.contains_key(&account_id);
                self.members.entry(account_id).or_default().away = None;
            }
            PlatformInput::Change(change) => self.change(change, effects),
            PlatformInput::Report(report) => self.report(report, effects),
            PlatformInput::Tick => self.say_again(effects),
            PlatformInput::Away(account_id, share) => {
                if let Some(member) = self.members.get_mut(&account_id) {
                    (member.away, member.sent, member.ask) = (Some(share), None, None);
                }
            }
            PlatformInput::Leave(account_id) => {
                effects.save = self.members.remove(&account_id).is_some();
            }
        }
        self.plan(effects);
    }

    fn change(&mut self, change: PlatformChange, effects: &mut PlatformEffects) {
        let known = self.answered.iter();
        let known = known
            .rev()
            .find(|known| known.request_id == change.request_id);
        effects.reply = Some(match known {
            Some(known) if known.limit == change.limit => Ok(known.sequence),
            Some(_) => Err(ChangeRefusal::RequestIdTaken),
            None => self.take_change(change).inspect(|_| effects.save = true),
        });
    }

    fn take_change(&mut self, change: PlatformChange) -> Result<u64, ChangeRefusal> {
        let actual = self.sequence;
        if let Some(expected) = change.expected_sequence.filter(|it| *it != actual) {
            return Err(ChangeRefusal::StaleSequence { expected, actual });
        }
        let negative = |limit: &PlatformLimit| limit.max_exposure.0 < Decimal::ZERO;
        if change.limit.as_ref().is_some_and(negative) {
            return Err(ChangeRefusal::Negative);
        }
        let currency = |limit: &Option<PlatformLimit>| limit.as_ref().map(|l| l.currency.clone());
        if currency(&change.limit) != currency(&self.limit) {
            // Shares so far are of another limit: each account confirms anew.
            for member in self.members.values_mut() {
                member.valid_from = member.version.saturating_add(1);
                member.sent = None;
            }
        }
        self.sequence += 1;
        self.limit.clone_from(&change.limit);
        if self.answered.len() >= ANSWERED {
            self.answered.pop_front();
        }
        self.answered.push_back(Answered {
            request_id: change.request_id,
            limit: change.limit,
            sequence: self.sequence,
        });
        Ok(self.sequence)
    }

    fn report(&mut self, report: ShareReport, effects: &mut PlatformEffects) {
        // An account that never joined is none of ours: it joins before its first order.
        let Some(member) = self.members.get_mut(&report.account_id) else {
            return;
        };
        // Overtaken on its way.
        if member
            .seen
            .as_ref()
            .is_some_and(|seen| report.sequence < seen.sequence)
        {
            return;
        }
        let taken = report.term();
        member.sent.take_if(|sent| sent.term <= taken);
        match (report.ask, &member.ask) {
            (None, _) => member.ask = None,
            (Some(ask), Some((_, known))) if ask == *known => {}
            (Some(ask), _) if ask.number == member.answered => {
                // The answer was lost. A larger share on its way must not be overtaken by the word
                // that there is none.
                let again = member.sent.clone().map(|offer| Outbound {
                    account_id: report.account_id.clone(),
                    offer,
                });
                effects
                    .offers
                    .extend(again.or_else(|| member.answer(&report)));
            }
            (Some(ask), _) => {
                self.asks += 1;
                member.ask = Some((self.asks, ask));
            }
        }
        member.seen = Some(report);
    }

    fn say_again(&self, effects: &mut PlatformEffects) {
        for (account_id, member) in &self.members {
            let again = member.sent.clone().map(|offer| Outbound {
                account_id: account_id.clone(),
                offer,
            });
            effects.offers.extend(again);
        }
    }

    /// Says something new to an account.
    pub(super) fn offer(
        &mut self,
        account_id: &AccountId,
        currency: &Currency,
        change: ShareChange,
        effects: &mut PlatformEffects,
    ) {
        let Some(member) = self.members.get_mut(account_id) else {
            return;
        };
        member.version = member.version.saturating_add(1);
        let offer = ShareOffer {
            term: ShareTerm {
                epoch: self.epoch,
                version: member.version,
            },
            currency: currency.clone(),
            change,
            answers: member.answered,
        };
        member.sent = Some(offer.clone());
        effects.offers.push(Outbound {
            account_id: account_id.clone(),
            offer,
        });
    }

    /// Returns the share that an account has of this limit; `None` until it has confirmed that.
    pub(super) fn confirmed(&self, member: &Member) -> Option<Money> {
        let limit = self.limit.as_ref()?;
        if let Some(away) = &member.away {
            // Nobody else speaks to it, so that its journal is as good as its word.
            let share = away.as_ref()?;
            return share.share.filter(|_| share.currency == limit.currency);
        }
        let share = member.seen.as_ref()?.share.as_ref()?;
        let term = share.term;
        let valid = term.epoch == self.epoch && term.version >= member.valid_from;
        (valid && share.currency == limit.currency)
            .then_some(share.share)
            .flatten()
    }

    /// Returns what an account counts for.
    pub(super) fn counted(&self, member: &Member) -> Option<Money> {
        let share = self.confirmed(member)?;
        Some(share.max(member.offered().unwrap_or(share)))
    }

    /// Returns what all accounts count for; `None` where one has not confirmed, or no number holds
    /// the sum.
    pub fn handed_out(&self) -> Option<Money> {
        let mut sum = Money::ZERO;
        for member in self.members.values() {
            sum = sum.checked_add(self.counted(member)?).ok()?;
        }
        Some(sum)
    }

    /// Returns the offer that an account has not answered, for one that is about to start.
    pub fn outstanding(&self, account_id: &AccountId) -> Option<&ShareOffer> {
        self.members.get(account_id)?.sent.as_ref()
    }

    /// Returns the term in which an account gives its share back that is about to leave: later than
    /// all that earlier runs said, and earlier than what it would hear if it joined again.
    pub fn leaving_term(epoch: u64) -> ShareTerm {
        ShareTerm { epoch, version: 0 }
    }

    /// Returns whether every account keeps to the limit as it is now.
    pub fn is_in_force(&self) -> bool {
        self.members.values().all(|member| match &self.limit {
            None => member.sent.is_none() && !member.is_capped(),
            Some(limit) => match (self.confirmed(member), member.offered()) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(share), Some(offered)) if offered < share => false,
                // A larger share under way takes nothing away from the limit, unless it was
                // offered before that was lowered.
                (Some(_), Some(_)) => {
                    let sum = self.handed_out();
                    sum.is_some_and(|sum| sum <= limit.max_exposure)
                }
            },
        })
    }

    /// Returns the limit with all shares.
    pub fn view(&self) -> PlatformView {
        let accounts = self
            .members
            .iter()
            .map(|(account_id, member)| AccountShare {
                account_id: account_id.clone(),
                share: self.counted(member),
                exposure: self
                    .confirmed(member)
                    .and_then(|_| member.seen.as_ref()?.exposure),
                away: member.away.is_some(),
            });
        let accounts: Vec<AccountShare> = accounts.collect();
        let shares = accounts.iter().filter_map(|account| account.share);
        PlatformView {
            limit: self.limit.clone(),
            sequence: self.sequence,
            handed_out: shares.fold(Money::ZERO, |sum, share| {
                // Shares within a limit that a decimal holds have a sum that it holds.
                sum.checked_add(share).unwrap_or(sum)
            }),
            in_force: self.is_in_force(),
            epoch: self.epoch,
            accounts,
        }
    }
}

impl Member {
    /// Returns whether the account was last seen with a share of any limit.
    pub fn is_capped(&self) -> bool {
        let share = self.seen.as_ref().and_then(|seen| seen.share.as_ref());
        share.is_some_and(|share| share.share.is_some())
    }

    /// Returns the share that is offered and not answered.
    pub fn offered(&self) -> Option<Money> {
        match self.sent.as_ref()?.change {
            ShareChange::Set(share) => Some(share),
            ShareChange::Confirm | ShareChange::Lift => None,
        }
    }

    /// Returns what the account needs of `share` at least: its worst case, or all of it where that
    /// is not known.
    pub fn needs(&self, share: Money) -> Money {
        let exposure = self.seen.as_ref().and_then(|seen| seen.exposure);
        exposure.unwrap_or(share)
    }

    /// Returns the last word on the last ask, for an account that has the share it names already.
    pub fn answer(&self, report: &ShareReport) -> Option<Outbound> {
        let share = report.share.as_ref()?;
        Some(Outbound {
            account_id: report.account_id.clone(),
            offer: ShareOffer {
                term: share.term,
                currency: share.currency.clone(),
                change: ShareChange::Set(share.share?),
                answers: self.answered,
            },
        })
    }
}
