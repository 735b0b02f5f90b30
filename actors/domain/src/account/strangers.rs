//! Client order ids that the venue knows from orders that this account does not know.
//!
//! A journal that was brought back to an earlier time has forgotten orders that the venue has, and
//! ids are made by counting: a strategy's, a closing's and an iceberg's go on where the journal ends,
//! so the next one may be one of theirs. The venue would refuse it as repeated, which says that it
//! has the order from an earlier send, and the account would take the other order's fills for those
//! of its own. So no order gets such an id. The venue's reports since the journal's end and its list of
//! open orders, which come before an order may leave, name all that traded or may trade.

use super::machine::Account;
use crate::id::ClientOrderId;
use std::collections::BTreeSet;

/// Ids that the venue named by executions. Made again from those, so that an account decides the same
/// from a snapshot and from its journal. The id of an order that ended without one is not kept: the
/// venue ends an order that repeats it as it ended that, and nothing trades.
#[derive(Clone, Debug, Default)]
pub(super) struct Strangers {
    traded: BTreeSet<ClientOrderId>,
}

impl PartialEq for Strangers {
    fn eq(&self, _: &Strangers) -> bool {
        true
    }
}

impl Eq for Strangers {}

impl Strangers {
    /// Notes the id of an execution that is of no order of the account.
    pub fn traded(&mut self, client_order_id: &ClientOrderId) {
        self.traded.insert(client_order_id.clone());
    }

    /// Returns true for the id of such an execution.
    pub fn has_traded(&self, client_order_id: &ClientOrderId) -> bool {
        self.traded.contains(client_order_id)
    }
}

impl Account {
    /// Returns true for the id of an order at the venue, working or ended, that this account does not
    /// know: no order of its own may get it.
    pub(super) fn is_strangers_id(&self, client_order_id: &ClientOrderId) -> bool {
        let works = |order: &crate::reconcile::VenueOpenOrder| {
            order.client_order_id.as_ref() == Some(client_order_id)
        };
        self.strangers.has_traded(client_order_id)
            || self.reconciler.external_orders().iter().any(works)
    }

    /// Returns the ids of such orders that begin so: whoever makes ids by counting goes on behind
    /// them.
    pub fn strangers_ids(&self, prefix: &str) -> Vec<ClientOrderId> {
        let working = self.reconciler.external_orders().iter();
        let working = working.filter_map(|order| order.client_order_id.as_ref());
        let ids = self.strangers.traded.iter().chain(working);
        ids.filter(|id| id.as_str().starts_with(prefix))
            .cloned()
            .collect()
    }
}
