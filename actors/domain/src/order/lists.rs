//! The lists of an account: what each event of one order means for the others of its list.
//!
//! [`action`] is the table; it says all that there is to say for every contingency, role and
//! event. What follows from it is carried out by the account: at once, and in the same atomic
//! unit of the journal as the event itself.

use super::{Contingency, ListDefinition};
use crate::id::{ClientOrderId, OrderListId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The part that an order plays in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Its fill sends the rest.
    Parent,
    /// Sent when the parent trades.
    Child,
    /// One of equals.
    Peer,
}

#[cfg(test)]
impl Role {
    pub const ALL: [Role; 3] = [Role::Parent, Role::Child, Role::Peer];
}

/// What happened to an order, as far as its list is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberEvent {
    /// An execution that leaves quantity unfilled.
    FilledPart,
    /// An execution with which nothing is left.
    FilledWhole,
    /// Its condition was met.
    Triggered,
    /// Canceled or expired.
    Ended,
    /// Denied here or rejected by the venue.
    Refused,
}

#[cfg(test)]
impl MemberEvent {
    pub const ALL: [MemberEvent; 5] = [
        MemberEvent::FilledPart,
        MemberEvent::FilledWhole,
        MemberEvent::Triggered,
        MemberEvent::Ended,
        MemberEvent::Refused,
    ];
}

/// What an event of one order does to the rest of its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    Nothing,
    /// The children leave, as far as the release rule says.
    Release,
    /// Children that wait end; of a parent that traded before it ended, they leave for as much.
    ReleaseOrEnd,
    /// The others end.
    EndOthers,
    /// The others end where the list cascades.
    Cascade,
    /// The others lose the quantity that traded.
    Resize,
}

/// Returns what `event` of an order in `role` does in a list of `contingency`. Roles that a
/// contingency does not have do nothing.
pub fn action(contingency: Contingency, role: Role, event: MemberEvent) -> Action {
    use Action as A;
    let row = match (contingency, role) {
        // FilledPart, FilledWhole, Triggered, Ended, Refused. A leg that triggers is about to
        // trade for all that is left: what another one could still do is ended first.
        (Contingency::Oco, Role::Peer) => [
            A::EndOthers,
            A::EndOthers,
            A::EndOthers,
            A::Cascade,
            A::Cascade,
        ],
        (Contingency::Ouo, Role::Peer) => {
            [A::Resize, A::Resize, A::EndOthers, A::Cascade, A::Cascade]
        }
        (Contingency::Oto | Contingency::Bracket, Role::Parent) => [
            A::Release,
            A::Release,
            A::Nothing,
            A::ReleaseOrEnd,
            A::ReleaseOrEnd,
        ],
        // A leg that was refused leaves the other one to protect the position.
        (Contingency::Bracket, Role::Child) => {
            [A::Resize, A::Resize, A::EndOthers, A::Cascade, A::Nothing]
        }
        (Contingency::Oto, Role::Child)
        | (Contingency::None, _)
        | (Contingency::Oco | Contingency::Ouo, _)
        | (_, Role::Peer) => [A::Nothing; 5],
    };
    row[event as usize]
}

/// A list and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrderList {
    pub definition: ListDefinition,
    /// Set once it was decided that its orders end.
    pub ending: Option<Ending>,
}

/// The end of a list that was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ending {
    /// The order that may go on: the first one that traded.
    pub survivor: Option<ClientOrderId>,
}

impl OrderList {
    pub fn role(&self, client_order_id: &ClientOrderId) -> Role {
        match self.definition.contingency {
            Contingency::None | Contingency::Oco | Contingency::Ouo => Role::Peer,
            Contingency::Oto | Contingency::Bracket => {
                if self.definition.members.first() == Some(client_order_id) {
                    Role::Parent
                } else {
                    Role::Child
                }
            }
        }
    }

    /// Returns true when the members take quantity from each other.
    pub fn shares_quantity(&self) -> bool {
        matches!(
            self.definition.contingency,
            Contingency::Ouo | Contingency::Bracket
        )
    }

    /// Takes over what an event of a member means.
    fn take(&mut self, client_order_id: &ClientOrderId, event: MemberEvent) {
        let role = self.role(client_order_id);
        let survivor = match action(self.definition.contingency, role, event) {
            Action::EndOthers => Some(client_order_id.clone()),
            Action::Cascade if self.definition.cascade => None,
            _ => return,
        };
        if self.ending.is_none() {
            self.ending = Some(Ending { survivor });
        }
    }
}

/// All lists by id, and which order belongs to which.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lists {
    lists: BTreeMap<OrderListId, OrderList>,
    by_client: BTreeMap<ClientOrderId, OrderListId>,
}

impl Lists {
    pub fn insert(&mut self, definition: ListDefinition) {
        for client_order_id in &definition.members {
            let id = definition.list_id.clone();
            self.by_client.insert(client_order_id.clone(), id);
        }
        let list = OrderList {
            definition,
            ending: None,
        };
        self.lists.insert(list.definition.list_id.clone(), list);
    }

    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    pub fn get(&self, list_id: &OrderListId) -> Option<&OrderList> {
        self.lists.get(list_id)
    }

    /// Returns the list that an order belongs to.
    pub fn of(&self, client_order_id: &ClientOrderId) -> Option<OrderListId> {
        self.by_client.get(client_order_id).cloned()
    }

    /// Takes over what an event of an order means for its list.
    pub fn take(&mut self, client_order_id: &ClientOrderId, event: MemberEvent) {
        let list = self.by_client.get(client_order_id);
        if let Some(list) = list.and_then(|id| self.lists.get_mut(id)) {
            list.take(client_order_id, event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTINGENCIES: [Contingency; 5] = [
        Contingency::None,
        Contingency::Oco,
        Contingency::Oto,
        Contingency::Ouo,
        Contingency::Bracket,
    ];

    /// Every combination that does something, written a second time as plain text.
    const EXPECTED: &[(Contingency, Role, &str)] = &[
        (
            Contingency::Oco,
            Role::Peer,
            "FilledPart EndOthers, FilledWhole EndOthers, Triggered EndOthers, Ended Cascade, \
             Refused Cascade",
        ),
        (
            Contingency::Ouo,
            Role::Peer,
            "FilledPart Resize, FilledWhole Resize, Triggered EndOthers, Ended Cascade, \
             Refused Cascade",
        ),
        (
            Contingency::Oto,
            Role::Parent,
            "FilledPart Release, FilledWhole Release, Triggered Nothing, Ended ReleaseOrEnd, \
             Refused ReleaseOrEnd",
        ),
        (
            Contingency::Bracket,
            Role::Parent,
            "FilledPart Release, FilledWhole Release, Triggered Nothing, Ended ReleaseOrEnd, \
             Refused ReleaseOrEnd",
        ),
        (
            Contingency::Bracket,
            Role::Child,
            "FilledPart Resize, FilledWhole Resize, Triggered EndOthers, Ended Cascade, \
             Refused Nothing",
        ),
    ];

    #[test]
    fn every_contingency_role_and_event_does_what_is_written() {
        for contingency in CONTINGENCIES {
            for role in Role::ALL {
                let found: Vec<String> = MemberEvent::ALL
                    .into_iter()
                    .map(|event| format!("{event:?} {:?}", action(contingency, role, event)))
                    .collect();
                let expected = EXPECTED
                    .iter()
                    .find(|(c, r, _)| (*c, *r) == (contingency, role))
                    .map_or_else(
                        || {
                            let idle = MemberEvent::ALL.map(|event| format!("{event:?} Nothing"));
                            idle.join(", ")
                        },
                        |(_, _, text)| (*text).to_owned(),
                    );
                assert_eq!(found.join(", "), expected, "{contingency:?} {role:?}");
            }
        }
    }

    #[test]
    fn the_events_stand_in_the_order_of_their_columns() {
        for (index, event) in MemberEvent::ALL.into_iter().enumerate() {
            assert_eq!(event as usize, index);
        }
    }
}
