//! Who owns something for a time: the rules, without clock or storage.
//!
//! An **epoch** counts owners. It grows with each claim and with nothing else, so a write that names
//! its epoch is the owner's or stale, whatever any clock says. The **time** of a lease only says when
//! another may claim, by the clock of the store ([`crate::Records::now_ns`]): a database's is one for
//! all nodes. What no store can refuse, such as a request to a venue, an owner sends only while
//! [`super::Hold::is_safe`], by clocks of its own machine ([`super::Moment`]), with a margin larger than
//! the store's clock can be moved.

use serde::{Deserialize, Serialize};

/// A lease, free or held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// Counts owners, from 1.
    pub epoch: u64,
    /// Who holds it; `None` when it was given back.
    pub node: Option<String>,
    /// From here on another may claim it. The last field: an owner's write expects all before it.
    pub until_ns: i64,
}

/// Why a lease is not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Someone holds it, for so long: try again then.
    Held {
        /// The holder.
        node: String,
        /// The end of its time.
        until_ns: i64,
    },
    /// A newer epoch took over, or it was given back: stop.
    Fenced {
        /// The newest epoch.
        found: u64,
    },
}

impl Lease {
    /// Returns the lease of the next owner: of what was never held, was given back, or whose time
    /// is up. A node's own lease is no exception: whoever was started again under the same name
    /// waits, since its predecessor may still run.
    ///
    /// # Errors
    /// `Held`; `Fenced` when there are no more epochs.
    pub fn claim(
        current: Option<&Lease>,
        node: &str,
        now_ns: i64,
        length_ns: i64,
    ) -> Result<Lease, Refusal> {
        if let Some(lease) = current
            && let Some(holder) = &lease.node
            && now_ns < lease.until_ns
        {
            return Err(Refusal::Held {
                node: holder.clone(),
                until_ns: lease.until_ns,
            });
        }
        let found = current.map_or(0, |lease| lease.epoch);
        let epoch = found.checked_add(1).ok_or(Refusal::Fenced { found })?;
        Ok(Lease {
            epoch,
            node: Some(node.to_owned()),
            until_ns: now_ns.saturating_add(length_ns),
        })
    }

    /// Returns the lease with more time, also when its time was up and nobody took it. A clock that
    /// went back takes no time away.
    ///
    /// # Errors
    /// `Fenced`.
    pub fn renew(
        &self,
        node: &str,
        epoch: u64,
        now_ns: i64,
        length_ns: i64,
    ) -> Result<Lease, Refusal> {
        self.owned_by(node, epoch)?;
        Ok(Lease {
            until_ns: self.until_ns.max(now_ns.saturating_add(length_ns)),
            ..self.clone()
        })
    }

    /// Returns the lease given back; its epoch stays, so that the next is a newer one.
    ///
    /// # Errors
    /// `Fenced`.
    pub fn release(&self, node: &str, epoch: u64) -> Result<Lease, Refusal> {
        self.owned_by(node, epoch)?;
        Ok(Lease {
            node: None,
            ..self.clone()
        })
    }

    /// Checks that a write of this node in this epoch is the owner's.
    ///
    /// # Errors
    /// `Fenced`.
    pub fn owned_by(&self, node: &str, epoch: u64) -> Result<(), Refusal> {
        if self.epoch == epoch && self.node.as_deref() == Some(node) {
            return Ok(());
        }
        Err(Refusal::Fenced { found: self.epoch })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lease(epoch: u64, node: &str, until_ns: i64) -> Lease {
        Lease {
            epoch,
            node: (!node.is_empty()).then(|| node.to_owned()),
            until_ns,
        }
    }

    #[test]
    fn a_lease_is_claimed_when_it_is_free_or_its_time_is_up() {
        let held = |until_ns| {
            let node = "a".to_owned();
            Err(Refusal::Held { node, until_ns })
        };
        let max = Err(Refusal::Fenced { found: u64::MAX });
        let cases = [
            (None, 5, Ok(lease(1, "b", 15))),
            (Some(lease(3, "", 100)), 5, Ok(lease(4, "b", 15))),
            (Some(lease(3, "a", 100)), 99, held(100)),
            (Some(lease(3, "a", 100)), 100, Ok(lease(4, "b", 110))),
            (
                Some(lease(3, "a", 100)),
                i64::MAX,
                Ok(lease(4, "b", i64::MAX)),
            ),
            (Some(lease(u64::MAX, "", 0)), 5, max),
        ];
        for (current, now, expected) in cases {
            assert_eq!(
                Lease::claim(current.as_ref(), "b", now, 10),
                expected,
                "{current:?}"
            );
        }
        let own = Lease::claim(Some(&lease(3, "b", 100)), "b", 99, 10);
        assert!(matches!(own, Err(Refusal::Held { .. })), "{own:?}");
    }

    #[test]
    fn a_lease_is_renewed_and_given_back_by_its_owner_alone() {
        let current = lease(3, "a", 100);
        for (node, epoch) in [("a", 2), ("a", 4), ("b", 3), ("", 3)] {
            let fenced = Err(Refusal::Fenced { found: 3 });
            assert_eq!(current.renew(node, epoch, 50, 10), fenced);
            assert_eq!(current.release(node, epoch), fenced);
        }
        assert_eq!(current.renew("a", 3, 200, 10), Ok(lease(3, "a", 210)));
        assert_eq!(
            current.renew("a", 3, 20, 10),
            Ok(current.clone()),
            "no time is lost"
        );
        let free = current.release("a", 3).expect("it is its own");
        assert_eq!(free, lease(3, "", 100));
        assert_eq!(free.owned_by("a", 3), Err(Refusal::Fenced { found: 3 }));
        assert_eq!(free.owned_by("", 3), Err(Refusal::Fenced { found: 3 }));
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Wait(i64),
        Claim(usize),
        Renew(usize),
        Release(usize),
        Write(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..40_i64).prop_map(Step::Wait),
            (0..2_usize).prop_map(Step::Claim),
            (0..2_usize).prop_map(Step::Renew),
            (0..2_usize).prop_map(Step::Release),
            (0..2_usize).prop_map(Step::Write),
        ]
    }

    /// How far apart the store's clock is for the two nodes at the most, such as before and behind a
    /// failover, and the margin for it.
    const SKEW: i64 = 15;
    const LENGTH: i64 = 60;

    proptest! {
        /// Two nodes, each with the store's clock as it sees it and what it last knew of its lease, in
        /// any order.
        #[test]
        fn each_epoch_has_one_owner_and_no_stale_write_is_taken(
            skew in -SKEW..=SKEW,
            steps in prop::collection::vec(step(), 1..120),
        ) {
            let names = ["a", "b"];
            let (mut now, mut stored) = (1_000_i64, None::<Lease>);
            // What each node holds, as it knows, and until when by a clock that nobody sets.
            let mut known: [Option<Lease>; 2] = [None, None];
            let mut until = [0; 2];
            let mut owner_of = std::collections::BTreeMap::new();
            let mut newest_written = 0;
            for step in steps {
                let clock = |node: usize| if node == 0 { now } else { now + skew };
                match step {
                    Step::Wait(ns) => now += ns,
                    Step::Claim(node) => {
                        let claimed = Lease::claim(stored.as_ref(), names[node], clock(node), LENGTH);
                        if let Ok(lease) = claimed {
                            prop_assert!(owner_of.insert(lease.epoch, node).is_none());
                            stored = Some(lease.clone());
                            known[node] = Some(lease);
                            until[node] = now + LENGTH;
                        }
                    }
                    Step::Renew(node) => {
                        let mine = known[node].clone();
                        if let (Some(mine), Some(current)) = (mine, &stored) {
                            match current.renew(names[node], mine.epoch, clock(node), LENGTH) {
                                Ok(lease) => {
                                    stored = Some(lease.clone());
                                    known[node] = Some(lease);
                                    until[node] = now + LENGTH;
                                }
                                Err(_) => known[node] = None,
                            }
                        }
                    }
                    Step::Release(node) => {
                        if let (Some(mine), Some(current)) = (known[node].take(), &stored)
                            && let Ok(lease) = current.release(names[node], mine.epoch)
                        {
                            stored = Some(lease);
                        }
                    }
                    Step::Write(node) => {
                        if let (Some(mine), Some(current)) = (&known[node], &stored)
                            && current.owned_by(names[node], mine.epoch).is_ok()
                        {
                            prop_assert_eq!(owner_of[&mine.epoch], node);
                            prop_assert!(mine.epoch >= newest_written, "a stale write");
                            prop_assert_eq!(mine.epoch, current.epoch);
                            newest_written = mine.epoch;
                        }
                    }
                }
                let safe = |node: usize| known[node].is_some() && now + SKEW < until[node];
                prop_assert!(!(safe(0) && safe(1)), "both may send to a venue");
            }
        }
    }
}
