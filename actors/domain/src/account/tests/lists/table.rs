//! The whole table of lists, through the account: every contingency, role and event, with and
//! without cascade, for both release rules. What an account does has to be what the table says.

use super::*;
use crate::order::OrderStatus;
use crate::order::lists::{Action, MemberEvent, Role, action};

/// The order whose event it is, and the others of its list.
const MEMBER: &str = "m";
const OTHERS: [&str; 2] = ["o1", "o2"];

/// The part of 10 that [`MemberEvent::FilledPart`] trades.
const PART: i64 = 4;

#[derive(Clone, Copy, Debug)]
struct Case {
    contingency: Contingency,
    role: Role,
    event: MemberEvent,
    release: ReleaseRule,
    cascade: bool,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (contingency, role) in [
        (Contingency::Oco, Role::Peer),
        (Contingency::Ouo, Role::Peer),
        (Contingency::Oto, Role::Parent),
        (Contingency::Oto, Role::Child),
        (Contingency::Bracket, Role::Parent),
        (Contingency::Bracket, Role::Child),
    ] {
        for event in MemberEvent::ALL {
            for release in [ReleaseRule::Full, ReleaseRule::Partial] {
                for cascade in [true, false] {
                    cases.push(Case {
                        contingency,
                        role,
                        event,
                        release,
                        cascade,
                    });
                }
            }
        }
    }
    cases
}

impl Case {
    /// An order that can meet the event: only a conditional one triggers.
    fn member(&self) -> SubmitOrder {
        let triggers = self.event == MemberEvent::Triggered;
        match (self.role, triggers) {
            (Role::Parent, false) => limit(MEMBER, PERP, Side::Buy, 10, 10_000),
            (Role::Parent, true) => SubmitOrder {
                side: Side::Buy,
                ..stop(MEMBER, 10_500)
            },
            (_, false) => exit(MEMBER, 11_000),
            (_, true) => stop(MEMBER, 9_500),
        }
    }

    /// A list in which everything that can work does, and the member waits for nothing but its
    /// event.
    fn world(&self) -> World {
        let others = [exit(OTHERS[0], 12_000), exit(OTHERS[1], 13_000)];
        let mut orders = vec![self.member()];
        orders.extend(others);
        if self.role == Role::Child {
            orders.insert(0, limit("e", PERP, Side::Buy, 10, 10_000));
        }
        let mut world = match self.role {
            Role::Peer => held_position(),
            _ => World::small(),
        };
        world.submit_list(SubmitList {
            release: self.release,
            cascade: self.cascade,
            ..list(self.contingency, orders)
        });
        if self.role == Role::Child {
            world.step("accept e");
            world.step("fill e 10");
        }
        if self.role != Role::Parent {
            for other in OTHERS {
                world.accept(other);
            }
        }
        // The venue refuses what it has not taken.
        if self.event != MemberEvent::Refused {
            world.accept(MEMBER);
        }
        world
    }

    fn happen(&self, world: &mut World) {
        let step = match self.event {
            MemberEvent::FilledPart => format!("fill {MEMBER} {PART}"),
            MemberEvent::FilledWhole => format!("fill {MEMBER} 10"),
            MemberEvent::Triggered => format!("triggered {MEMBER}"),
            MemberEvent::Ended => format!("ended {MEMBER} 0"),
            MemberEvent::Refused => format!("reject {MEMBER}"),
        };
        world.step(&step);
    }

    /// What the table's action comes to for each of the others.
    fn expected(&self) -> Effect {
        let whole = self.event == MemberEvent::FilledWhole;
        match action(self.contingency, self.role, self.event) {
            Action::Nothing => Effect::Stays,
            Action::EndOthers => Effect::Ends,
            Action::Cascade if self.cascade => Effect::Ends,
            Action::Cascade => Effect::Stays,
            // Nothing is left for them.
            Action::Resize if whole => Effect::Ends,
            Action::Resize => Effect::Shrinks(10 - PART),
            Action::Release if whole => Effect::Leaves(10),
            Action::Release if self.release == ReleaseRule::Partial => Effect::Leaves(PART),
            Action::Release => Effect::Stays,
            // It ended without a fill here; with one, see below.
            Action::ReleaseOrEnd => Effect::Ends,
        }
    }
}

/// What became of an order by what the account decided in the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Stays,
    /// Canceled here, or asked to be at the venue.
    Ends,
    Shrinks(i64),
    /// For the venue, with this quantity.
    Leaves(i64),
}

fn effect(world: &World, client: &str) -> Effect {
    let command = world
        .commands()
        .iter()
        .find(|command| command.client_order_id() == Some(&cid(client)));
    match command {
        Some(VenueCommand::Cancel { .. }) => Effect::Ends,
        Some(VenueCommand::Amend { quantity, .. }) => Effect::Shrinks(quantity.0),
        Some(VenueCommand::New(new)) => Effect::Leaves(new.quantity.0),
        Some(other) => panic!("{other:?}"),
        None if world.state(client) == OrderStatus::Canceled => Effect::Ends,
        None => Effect::Stays,
    }
}

#[test]
fn an_account_does_for_every_pair_what_the_table_says() {
    for case in cases() {
        let mut world = case.world();
        case.happen(&mut world);
        for other in OTHERS {
            assert_eq!(effect(&world, other), case.expected(), "{other}: {case:?}");
        }
        for client in [MEMBER, OTHERS[0], OTHERS[1]] {
            crate::invariant::check_order(&world.order(client)).unwrap();
        }
        // Looking again asks for nothing twice.
        world.apply(AccountInput::Tick);
        for other in OTHERS {
            assert_eq!(effect(&world, other), {
                let ended_here = world.state(other) == OrderStatus::Canceled;
                if ended_here {
                    Effect::Ends
                } else {
                    Effect::Stays
                }
            });
        }
        world.assert_recovers();
    }
}

#[test]
fn children_of_a_parent_that_traded_before_it_ended_leave_for_as_much() {
    for contingency in [Contingency::Oto, Contingency::Bracket] {
        for release in [ReleaseRule::Full, ReleaseRule::Partial] {
            let case = Case {
                contingency,
                role: Role::Parent,
                event: MemberEvent::Ended,
                release,
                cascade: true,
            };
            assert_eq!(
                action(contingency, Role::Parent, MemberEvent::Ended),
                Action::ReleaseOrEnd
            );
            let mut world = case.world();
            world.step(&format!("fill {MEMBER} {PART}"));
            let first = effect(&world, OTHERS[0]);
            world.step(&format!("ended {MEMBER} {PART}"));
            let then = effect(&world, OTHERS[0]);
            let expected = match release {
                ReleaseRule::Full => (Effect::Stays, Effect::Leaves(PART)),
                ReleaseRule::Partial => (Effect::Leaves(PART), Effect::Stays),
            };
            assert_eq!((first, then), expected, "{case:?}");
        }
    }
}
