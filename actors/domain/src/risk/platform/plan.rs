//! What the platform hands out and takes back.
//!
//! In this order: every account confirms the limit; what lies above it is taken back; asks are
//! served; and each account keeps a little more than it uses, so that most orders need no ask.

use super::machine::{Member, PlatformEffects, PlatformExposure, PlatformLimit};
use super::share::{Ask, ShareChange};
use crate::id::AccountId;
use crate::money::Money;
use crate::number::Decimal;
use rust_decimal::RoundingStrategy;

/// Decimals of the parts that the limit is divided into, rounded down.
const PART_DECIMALS: u32 = 8;

/// An account may keep this part of its even part of the limit unused: a quarter, so that three
/// quarters of the limit are where they are needed at any time.
const HEAD_ROOM_PARTS: u64 = 4;

/// A confirmed account at one moment of the planning.
struct Place {
    account_id: AccountId,
    share: Money,
    needs: Money,
    /// It has to answer before anything else is said to it.
    is_busy: bool,
    asks: bool,
}

impl Member {
    /// Returns whether anything may be said to it.
    fn listens(&self) -> bool {
        self.away.is_none()
    }
}

impl Place {
    /// Returns what of the share is not used; not negative.
    fn idle(&self) -> Money {
        less(self.share, self.needs)
    }
}

impl PlatformExposure {
    /// Says what is to be said now.
    pub(super) fn plan(&mut self, effects: &mut PlatformEffects) {
        let Some(limit) = self.limit.clone() else {
            return self.lift(effects);
        };
        if self.confirm(&limit, effects) {
            self.take_back(&limit, effects);
            self.serve(&limit, effects);
            self.balance(&limit, effects);
        }
    }

    /// Takes the limit away from the accounts that still have a share.
    fn lift(&mut self, effects: &mut PlatformEffects) {
        let mut capped = Vec::new();
        for (account_id, member) in &mut self.members {
            member.ask = None;
            member.sent.take_if(|sent| sent.change != ShareChange::Lift);
            let share = member.seen.as_ref().and_then(|seen| seen.share.as_ref());
            if let Some(share) = share.filter(|share| share.share.is_some())
                && member.sent.is_none()
            {
                capped.push((account_id.clone(), share.currency.clone()));
            }
        }
        for (account_id, currency) in capped {
            self.offer(&account_id, &currency, ShareChange::Lift, effects);
        }
    }

    /// Asks every account to confirm the limit that has not; returns whether all have. Until then
    /// nothing is handed out: what an account has that is away is not known.
    fn confirm(&mut self, limit: &PlatformLimit, effects: &mut PlatformEffects) -> bool {
        let open: Vec<(AccountId, bool)> = self
            .members
            .iter()
            .filter(|(_, member)| self.confirmed(member).is_none())
            .map(|(account_id, member)| {
                let is_asked = member.sent.is_some() || !member.listens();
                (account_id.clone(), is_asked)
            })
            .collect();
        for (account_id, _) in open.iter().filter(|(_, is_asked)| !is_asked) {
            self.offer(account_id, &limit.currency, ShareChange::Confirm, effects);
        }
        open.is_empty()
    }

    /// Behind a limit that was lowered: leaves each account its worst case, and divides evenly
    /// what of the limit is left.
    fn take_back(&mut self, limit: &PlatformLimit, effects: &mut PlatformEffects) {
        if self
            .handed_out()
            .is_none_or(|sum| sum <= limit.max_exposure)
        {
            return;
        }
        let places = self.places();
        let away = self.members.values().filter(|member| !member.listens());
        let away = away.filter_map(|member| self.confirmed(member));
        let needed = places.iter().map(|place| place.needs.min(place.share));
        let mut used = Money::ZERO;
        for part in away.chain(needed) {
            let Ok(sum) = used.checked_add(part) else {
                return;
            };
            used = sum;
        }
        let part = part_of(less(limit.max_exposure, used), places.len() as u64);
        for place in places.iter().filter(|place| !place.is_busy) {
            let target = more(place.needs.min(place.share), part);
            if target < place.share {
                self.set(limit, place, target, effects);
            }
        }
    }

    /// Serves what accounts ask for, first come, first served. Where the room does not do, others
    /// give back what they do not use; the last word comes only after they have.
    fn serve(&mut self, limit: &PlatformLimit, effects: &mut PlatformEffects) {
        let asks = self.members.iter().filter_map(|(account_id, member)| {
            let (arrival, ask) = member.ask?;
            Some((arrival, account_id.clone(), ask))
        });
        let mut asks: Vec<(u64, AccountId, Ask)> = asks.collect();
        asks.sort();
        for (arrival, account_id, ask) in asks {
            self.serve_one(limit, (arrival, &account_id, ask), effects);
        }
    }

    fn serve_one(
        &mut self,
        limit: &PlatformLimit,
        (arrival, account_id, ask): (u64, &AccountId, Ask),
        effects: &mut PlatformEffects,
    ) {
        let places = self.places();
        let own = places.iter().find(|place| place.account_id == *account_id);
        let (Some(own), Some(sum)) = (own.filter(|own| !own.is_busy), self.handed_out()) else {
            return;
        };
        // What it could have if it got all that nobody has.
        let room = more(own.share, less(limit.max_exposure, sum));
        if ask.wanted <= room {
            let target = more(ask.wanted, self.head_room(limit)).min(room);
            return self.answer(limit, own, target, ask, effects);
        }
        let others = || {
            places
                .iter()
                .filter(|place| place.account_id != *account_id)
        };
        let mut lacking = less(ask.wanted, room);
        let mut is_waiting = others().any(|place| place.is_busy);
        for place in others().filter(|place| !place.is_busy) {
            let gives = place.idle().min(lacking);
            if gives == Money::ZERO || !self.gives_for(&place.account_id, arrival) {
                continue;
            }
            self.set(limit, place, less(place.share, gives), effects);
            lacking = less(lacking, gives);
            is_waiting = true;
        }
        if !is_waiting {
            self.answer(limit, own, room, ask, effects);
        }
    }

    /// Gives the last word on an ask, with a larger share where there is one.
    fn answer(
        &mut self,
        limit: &PlatformLimit,
        own: &Place,
        target: Money,
        ask: Ask,
        effects: &mut PlatformEffects,
    ) {
        let Some(member) = self.members.get_mut(&own.account_id) else {
            return;
        };
        member.ask = None;
        member.answered = ask.number;
        if target > own.share {
            // What it gets now and does not use is there for whoever waits behind it.
            member.gave_for = 0;
            return self.set(limit, own, target, effects);
        }
        let answer = member.seen.as_ref().and_then(|seen| member.answer(seen));
        effects.offers.extend(answer);
    }

    /// Notes that an account gives back for an ask, once for each: its worst case moves with every
    /// price, and asking for each cent of that would never end.
    fn gives_for(&mut self, account_id: &AccountId, arrival: u64) -> bool {
        let Some(member) = self.members.get_mut(account_id) else {
            return false;
        };
        let is_first = member.gave_for != arrival;
        member.gave_for = arrival;
        is_first
    }

    /// Takes back what an account does not use, and tops up what it soon may. Between one and two
    /// head rooms nothing moves, so that a share does not follow every order.
    fn balance(&mut self, limit: &PlatformLimit, effects: &mut PlatformEffects) {
        let head = self.head_room(limit);
        let (half, quarter) = (part_of(head, 2), part_of(head, 4));
        // Who waits for an order comes before head room.
        let asks = self.members.values().any(|member| member.ask.is_some());
        for place in self.places() {
            if place.is_busy || place.asks {
                continue;
            }
            let wanted = more(place.needs, head);
            if place.idle() > more(head, head) {
                self.set(limit, &place, wanted, effects);
            } else if !asks
                && place.idle() <= half
                && let Some(sum) = self.handed_out()
            {
                let room = less(limit.max_exposure, sum);
                let target = wanted.min(more(place.share, room));
                if target > place.share && less(target, place.share) >= quarter {
                    self.set(limit, &place, target, effects);
                }
            }
        }
    }

    /// Returns what an account may keep beyond its use.
    fn head_room(&self, limit: &PlatformLimit) -> Money {
        let parts = (self.members.len() as u64).saturating_mul(HEAD_ROOM_PARTS);
        part_of(limit.max_exposure, parts)
    }

    fn set(
        &mut self,
        limit: &PlatformLimit,
        place: &Place,
        share: Money,
        effects: &mut PlatformEffects,
    ) {
        let change = ShareChange::Set(share);
        self.offer(&place.account_id, &limit.currency, change, effects);
    }

    /// Returns the accounts that can be spoken to.
    fn places(&self) -> Vec<Place> {
        let place = |(account_id, member): (&AccountId, &Member)| {
            let share = self.confirmed(member)?;
            Some(Place {
                account_id: account_id.clone(),
                share,
                needs: member.needs(share),
                is_busy: member.sent.is_some(),
                asks: member.ask.is_some(),
            })
        };
        let members = self.members.iter();
        let listening = members.filter(|(_, member)| member.listens());
        listening.filter_map(place).collect()
    }
}

/// Returns the sum, or the larger one where no number holds it: a bound cuts it afterwards.
fn more(a: Money, b: Money) -> Money {
    a.checked_add(b).unwrap_or(a.max(b))
}

/// Returns what is left of `a`; zero where `b` is more.
fn less(a: Money, b: Money) -> Money {
    a.checked_sub(b).unwrap_or(Money::ZERO).max(Money::ZERO)
}

/// Returns one of so many equal parts, rounded down; zero of no parts.
fn part_of(whole: Money, parts: u64) -> Money {
    let part = whole.0.checked_div(Decimal::from(parts));
    let down = |part: Decimal| part.round_dp_with_strategy(PART_DECIMALS, RoundingStrategy::ToZero);
    part.map(down).map(Money).unwrap_or_default()
}
