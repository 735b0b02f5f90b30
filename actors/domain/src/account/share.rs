//! The account's share of the platform's exposure limit: taken, kept to, and reported.

use super::machine::{Account, Step};
use super::types::AccountInput;
use crate::event::{Event, Hold};
use crate::money::Money;
use crate::number::Quantity;
use crate::order::{AmendOrder, Contingency, SubmitList, SubmitOrder};
use crate::portfolio::Valuation;
use crate::risk::MarketRef;
use crate::risk::checks::{PlatformReach, Wide};
use crate::risk::measure::{Added, MeasureError};
use crate::risk::platform::{
    Ask, Growth, PlatformShare, ShareChange, ShareOffer, ShareReport, ShareTerm,
};
use crate::time::UnixNanos;

impl Account {
    /// Returns the account's share of the platform's limit; `None` before it was ever given one.
    pub fn platform_share(&self) -> Option<&PlatformShare> {
        self.share.as_ref()
    }

    /// Takes what the platform offers, unless it was overtaken.
    pub(super) fn offer_share(&mut self, step: &mut Step<'_>, offer: ShareOffer) {
        let answers = offer.answers;
        self.take_share(step, offer);
        self.drive_short(step, answers);
    }

    fn take_share(&mut self, step: &mut Step<'_>, offer: ShareOffer) {
        let known = self.share.as_ref();
        if offer.term <= known.map(|share| share.term).unwrap_or_default() {
            return;
        }
        let worst = self.worst_in(step.now, &offer);
        let known = known.filter(|share| share.currency == offer.currency);
        let share = accepted(offer.change, known.and_then(|known| known.share), worst);
        self.record(
            step,
            Event::PlatformShareSet {
                term: offer.term,
                currency: offer.currency,
                share,
            },
        );
    }

    /// Returns what the account says to the platform, with `ask` when something waits for a
    /// larger share. `None` before the account was opened.
    pub fn share_report(&self, now: UnixNanos, ask: Option<Ask>) -> Option<ShareReport> {
        let measured = self.share.as_ref().and_then(|share| {
            let valuation = self.own_valuation(now)?;
            self.worst_case(&in_currency(valuation, share)).ok()
        });
        Some(ShareReport {
            account_id: self.account_id.clone()?,
            sequence: self.sequence,
            share: self.share.clone(),
            exposure: measured,
            ask,
        })
    }

    /// Returns what an order, list or amend would add to the account's worst case. `None` where
    /// the share does not matter to it: there is none, the order adds nothing, it is known
    /// already, or it is refused for another reason or for want of a price, whatever the share is.
    ///
    /// Decides nothing; what is shown is the market that comes with it, as when it is decided.
    pub fn share_growth(&mut self, now: UnixNanos, input: &AccountInput) -> Option<Growth> {
        self.share.as_ref()?.share?;
        let now = self.last_ts.map_or(now, |last| last.max(now));
        match input {
            AccountInput::Submit { request, market } => {
                self.show_reference(&request.instrument_id, market);
                self.growth_of(now, request, market)
            }
            AccountInput::Amend { request, .. } => self.amend_growth(now, request),
            AccountInput::SubmitList { list, markets } => {
                for (instrument_id, market) in markets {
                    self.show_reference(instrument_id, market);
                }
                self.list_growth(now, list)
            }
            _ => None,
        }
    }

    fn growth_of(
        &self,
        now: UnixNanos,
        request: &SubmitOrder,
        market: &MarketRef,
    ) -> Option<Growth> {
        if self.orders.find_client(&request.client_order_id).is_some() {
            return None;
        }
        // A preview does not look at the share.
        let preview = self.preview(now, request, *market, None).ok()?;
        if !preview.failures.is_empty() {
            return None;
        }
        growth(self.wide(now, None, request, Quantity::ZERO, preview.quantity))
    }

    fn amend_growth(&self, now: UnixNanos, request: &AmendOrder) -> Option<Growth> {
        let entry = self.orders.get(self.orders.find(&request.key)?);
        if entry.is_home() && entry.hold == Some(Hold::Parent) {
            // It is measured when it leaves, and asks then.
            return None;
        }
        let order = &entry.order;
        let quantity = request.quantity.unwrap_or(order.quantity);
        let after = quantity.saturating_sub(order.filled_quantity);
        let before = order.leaves_quantity;
        growth(self.wide(now, Some(entry), &order.request, before, after))
    }

    /// The most that a list could add now: its orders with nothing against each other, since an
    /// order by order measure would need the rules of the list. Those that wait for a parent ask
    /// for themselves when they leave.
    fn list_growth(&self, now: UnixNanos, list: &SubmitList) -> Option<Growth> {
        let share = self.share.as_ref()?;
        let valuation = in_currency(self.own_valuation(now)?, share);
        let measure = self.measure(&valuation);
        let mut added = Money::ZERO;
        let leave_now = match list.contingency {
            Contingency::Oto | Contingency::Bracket => 1,
            _ => list.orders.len(),
        };
        for order in list.orders.iter().take(leave_now) {
            let more = measure.alone(&Added {
                instrument_id: &order.instrument_id,
                strategy_id: &order.strategy_id,
                position_side: order.terms.position_side,
                side: order.side,
                open: order.quantity,
            });
            added = added.checked_add(more.ok()?).ok()?;
        }
        let worst = measure.account().ok()?;
        (added > Money::ZERO).then_some(Growth { worst, added })
    }

    /// Returns the worst case in the currency of an offer, where it can be measured.
    fn worst_in(&self, now: UnixNanos, offer: &ShareOffer) -> Option<Money> {
        let valuation = Valuation {
            base_currency: &offer.currency,
            ..self.own_valuation(now)?
        };
        self.worst_case(&valuation).ok()
    }

    fn worst_case(&self, valuation: &Valuation<'_>) -> Result<Money, MeasureError> {
        self.measure(valuation).account()
    }

    pub(super) fn fold_share(&mut self, event: &Event) {
        if let Event::PlatformShareSet {
            term,
            currency,
            share,
        } = event
        {
            self.share = Some(PlatformShare {
                term: *term,
                currency: currency.clone(),
                share: *share,
            });
        }
    }

    /// Returns the term of the last share that was taken.
    pub fn share_term(&self) -> ShareTerm {
        let share = self.share.as_ref();
        share.map(|share| share.term).unwrap_or_default()
    }
}

/// Returns the same valuation in the currency of the share.
pub(super) fn in_currency<'a>(valuation: Valuation<'a>, share: &'a PlatformShare) -> Valuation<'a> {
    Valuation {
        base_currency: &share.currency,
        ..valuation
    }
}

/// Returns the share that an account takes. One that shrinks keeps what its worst case needs, up
/// to what it had; where that cannot be measured it keeps all of it, since it may need it.
fn accepted(change: ShareChange, known: Option<Money>, worst: Option<Money>) -> Option<Money> {
    match (change, known) {
        (ShareChange::Lift, _) => None,
        (ShareChange::Confirm, Some(known)) => Some(known),
        (ShareChange::Confirm, None) => Some(worst.unwrap_or(Money::ZERO)),
        (ShareChange::Set(offered), Some(known)) if offered < known => {
            Some(offered.max(worst.unwrap_or(known).min(known)))
        }
        (ShareChange::Set(offered), _) => Some(offered),
    }
}

fn growth(wide: Option<Wide>) -> Option<Growth> {
    let PlatformReach { reach, .. } = wide?.platform?;
    let (worst, after) = reach.ok()?;
    let added = after.checked_sub(worst).ok()?;
    (added > Money::ZERO).then_some(Growth { worst, added })
}
