//! What the account sees of the market, and what strategies see of the account.

use super::{LockStep, Stage};
use crate::account_view::AccountView;
use crate::mark::Mark;
use apex_domain::InstrumentId;
use apex_domain::account::AccountInput;
use apex_domain::market::MarketEvent;
use apex_domain::risk::MarketView;
use std::collections::VecDeque;

impl LockStep {
    /// Returns true when a strategy subscribed to the account. It is then to be told by
    /// [`LockStep::set_account`] before the start, and when [`Due::Account`](super::Due) says so: not in
    /// between, where the market of its driver may be ahead of what strategies were shown.
    pub fn wants_account(&self) -> bool {
        let mut runners = self.runners.iter();
        runners.any(|runner| runner.subscriptions().account)
    }

    /// Tells the strategies that subscribed to it how the account stands.
    pub fn set_account(&mut self, account: &AccountView) {
        self.is_account_told = true;
        for runner in &mut self.runners {
            if runner.subscriptions().account {
                runner.ledger_mut().set_account(account.clone());
            }
        }
    }

    /// Returns the markets as they were last seen, in order of instrument.
    pub fn markets(&self) -> impl Iterator<Item = (InstrumentId, MarketView)> {
        let marks = self.marks.iter();
        marks.filter_map(|(id, mark)| Some((id.clone(), mark.view()?)))
    }

    /// Returns what the account sees of an event, in order: nothing of one without a price, or
    /// where it needs none.
    pub(super) fn views(&self, event: &MarketEvent) -> VecDeque<MarketView> {
        let id = event.instrument_id();
        if !self.interest.wants(id) {
            return VecDeque::new();
        }
        let mut mark = self.marks.get(id).copied().unwrap_or_default();
        match event {
            MarketEvent::Bar(bar) => mark.views_through(bar).into(),
            MarketEvent::Quote(_) | MarketEvent::Trade(_) => {
                mark.observe(event);
                mark.view().into_iter().collect()
            }
            MarketEvent::Book(_) | MarketEvent::Snapshot(_) | MarketEvent::FeedState(_) => {
                VecDeque::new()
            }
        }
    }

    pub(super) fn show_account(&mut self, instrument_id: InstrumentId, view: MarketView) {
        let input = AccountInput::Market {
            instrument_id,
            view,
        };
        self.inputs.push_back((input, None));
    }

    pub(super) fn move_marks(&mut self) {
        self.stage = Stage::Strategies;
        self.is_account_told = false;
        let Some(event) = self.queue.front() else {
            return;
        };
        match self.marks.get_mut(event.instrument_id()) {
            Some(mark) => mark.observe(event),
            None => {
                let mut mark = Mark::default();
                mark.observe(event);
                self.marks.insert(event.instrument_id().clone(), mark);
            }
        }
    }
}
