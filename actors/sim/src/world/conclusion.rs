//! The end of a run: when it is quiet, and what must be so then.

use super::{FAULTY_NS, World};
use crate::check;
use crate::instruments;
use crate::member::Member;
use apex_domain::account::{AccountInput, InstrumentSplit};
use apex_domain::invariant;
use apex_domain::order::OrderStatus;
use apex_domain::time::NANOS_PER_SECOND;
use rand::Rng;

/// How long after the faults nothing counts as settled yet.
const SETTLING_NS: i64 = 10 * NANOS_PER_SECOND;

impl World {
    pub(super) fn is_quiet(&self) -> bool {
        self.now.since(self.setting.start) > FAULTY_NS + SETTLING_NS
            && self.members.iter().all(|own| own.node.is_idle())
            && !self.queue.values().any(|(_, action)| action.is_message())
            && self.open_questions().next().is_none()
    }

    /// Returns the working orders whose outcome is open, the closings that have not ended, and
    /// what differs from the venue's snapshot. What is held here waits for as long as it takes,
    /// and is none of them.
    pub(super) fn open_questions(&self) -> impl Iterator<Item = String> {
        let members = self.members.iter();
        members.flat_map(|own| {
            let open = unsettled_orders(own);
            let closing = own
                .last_close
                .filter(|taken| own.node.disk.closed(*taken).is_none());
            let closing = closing.map(|taken| format!("closing {taken} has not ended"));
            open.chain(closing)
                .chain(self.moments(own))
                .chain(self.differences(own))
        })
    }

    /// Returns the orders whose opening or close has come and that neither left nor are over: where
    /// trading stays halted that takes a minute.
    fn moments(&self, own: &Member) -> impl Iterator<Item = String> {
        let due = own.node.account.release_times();
        due.take_while(|(at, _)| *at <= self.now)
            .map(|(at, id)| format!("an order of {id} waits since its moment, {at:?}"))
    }

    fn differences(&self, own: &Member) -> Vec<String> {
        if self.setting.snapshots.is_none() {
            return Vec::new();
        }
        let since = self.setting.start.plus(FAULTY_NS + SETTLING_NS);
        let found = check::differences(&own.node.account, since);
        found.unwrap_or_else(|| vec!["no snapshot yet".to_owned()])
    }

    pub(super) fn conclude(&mut self, member: usize) -> Result<(), String> {
        let own = &self.members[member];
        let (account, disk) = (&own.node.account, &own.node.disk);
        check::both_sides_agree(account, &self.venue.ledgers[member], disk)?;
        check::answered_orders_are_there(account, &own.clients)?;
        check::none_waits_too_long(account, self.now)?;
        check::nothing_is_made_up(disk, &self.setting)?;
        check::closed_positions_are_flat(own, &self.setting)?;
        if account.doomed_orders() > 0 {
            return Err("orders of a session that was cut still work".to_owned());
        }
        self.split(member)?;
        let own = &self.members[member];
        let (account, disk) = (&own.node.account, &own.node.disk);
        if disk.recover(false)? != *account {
            return Err("the journal gives another account than the one that wrote it".to_owned());
        }
        self.report.state_hashes.push(account.state_hash());
        self.report.events += account.sequence();
        self.report.orders += account.orders().len();
        self.report.fills += account.executions().len();
        self.report.resent += disk.resent();
        self.report.busts += self.venue.ledgers[member].busts;
        self.report.lists += own.clients.lists.len();
        self.report.held += disk.held();
        self.report.coverage.add(&own.node.coverage);
        Ok(())
    }

    /// After the close of the market one instrument is split: each position of it has as many
    /// units more, at the same cost, and its working orders are to be canceled.
    fn split(&mut self, member: usize) -> Result<(), String> {
        if !self.rng.random_bool(0.1) {
            return Ok(());
        }
        let ids = [instruments::SPOT, instruments::PERP];
        let instrument_id = instruments::id(ids[self.rng.random_range(0..2)]);
        let numerator = self.rng.random_range(2..5);
        let before = self.members[member].node.account.clone();
        let input = AccountInput::Split(InstrumentSplit {
            request_id: None,
            instrument_id: instrument_id.clone(),
            numerator,
            denominator: 1,
        });
        let own = &mut self.members[member];
        own.node.apply(self.now, input, None);
        own.node.flush();
        let account = &own.node.account;
        invariant::check_account(account).map_err(|violation| violation.to_string())?;
        let whole = |net: i64| net * i64::from(numerator);
        let (old, new) = (
            before.portfolio().net(&instrument_id),
            account.portfolio().net(&instrument_id),
        );
        if new.quantity != whole(old.quantity) || new.open_cost != old.open_cost {
            return Err(format!(
                "{instrument_id} was {old:?}, split {numerator}:1 {new:?}"
            ));
        }
        Ok(())
    }
}

fn unsettled_orders(own: &Member) -> impl Iterator<Item = String> {
    let settled = |status| {
        matches!(
            status,
            OrderStatus::Accepted
                | OrderStatus::PartiallyFilled
                | OrderStatus::Triggered
                | OrderStatus::PendingNew
        )
    };
    let open = own.node.account.working_orders();
    open.filter(move |order| !settled(order.status))
        .map(|order| format!("{order:?}"))
}
