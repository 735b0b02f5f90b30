//! What happens again and again: clients ask, the market moves, prices are shown.

use super::{Action, World};
use crate::member::Member;
use crate::venue::Mood;
use apex_domain::account::AccountInput;
use apex_domain::time::NANOS_PER_MILLI;
use rand::Rng;

impl World {
    pub(super) fn client(&mut self, member: usize) {
        let Member {
            clients,
            node,
            is_up,
            ..
        } = &mut self.members[member];
        if *is_up && !self.healing {
            let (input, question) = clients.next(self.now, &node.account, &mut self.rng);
            self.apply(member, input, question);
        }
        self.push_within(member, Action::Client, 300 * NANOS_PER_MILLI);
    }

    pub(super) fn market(&mut self, member: usize) {
        let venue_now = self.venue_now();
        if !self.healing {
            let mood = Mood {
                second_thoughts: self.setting.second_thoughts(&self.faults),
                foreign: self.setting.foreign,
                heard: self.members[member].node.durable_venue_sequence,
            };
            self.venue.act(member, venue_now, mood, &mut self.rng);
        }
        self.venue.ledgers[member].expire(venue_now);
        self.push_within(member, Action::Market, 300 * NANOS_PER_MILLI);
    }

    pub(super) fn price(&mut self, member: usize) {
        let chosen = self.rng.random_range(0..self.instruments.len());
        let instrument_id = self.instruments.keys().nth(chosen).cloned();
        let own = &mut self.members[member];
        let view = own.clients.market_view(self.now, &mut self.rng);
        if let Some(instrument_id) = instrument_id.filter(|_| own.is_up) {
            let input = AccountInput::Market {
                instrument_id,
                view,
            };
            self.apply(member, input, None);
        }
        self.push_within(member, Action::Price, 400 * NANOS_PER_MILLI);
    }
}
