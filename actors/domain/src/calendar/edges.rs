//! The moments at which regular trade, and trade before and after it, begins and ends.

use super::{Calendar, Session, SessionKind};
use crate::time::UnixNanos;
use crate::venue::SessionEdge;

impl Calendar {
    /// Returns true when regular trade ever stops, so that there are openings and closes. A
    /// market whose days follow each other without a break has none, whatever its days are.
    pub fn has_breaks(&self) -> bool {
        self.stretches.len() > 1
    }

    /// Returns the first opening or close of regular trade after `ts`, which at `ts` itself is
    /// past. Where one session follows the other without a break nothing opens or closes between
    /// them. `None` for an instant outside the range of calendars, and behind the last edge.
    pub fn next_edge(&self, ts: UnixNanos) -> Option<(UnixNanos, SessionEdge)> {
        self.check_instant(ts).ok()?;
        let over = self.stretches.partition_point(|(_, close)| *close <= ts);
        let (open, close) = *self.stretches.get(over)?;
        if open > ts {
            Some((open, SessionEdge::Open))
        } else {
            Some((close, SessionEdge::Close))
        }
    }

    /// Returns the edge that `ts` stands behind: open from an opening on, closed from a close on.
    /// `None` for an instant outside the range of calendars.
    pub fn edge_before(&self, ts: UnixNanos) -> Option<SessionEdge> {
        Some(match self.next_edge(ts)?.1 {
            SessionEdge::Open => SessionEdge::Close,
            _ => SessionEdge::Open,
        })
    }
}

impl Calendar {
    /// As [`Calendar::next_edge`], with the edges of extended hours among them. Where regular
    /// trade begins or ends at the very end or begin of extended hours, its own edge is the one
    /// that is told; that extended hours follow a close is said by
    /// [`Calendar::is_extended`] at that instant.
    pub fn next_edge_of_all(&self, ts: UnixNanos) -> Option<(UnixNanos, SessionEdge)> {
        self.check_instant(ts).ok()?;
        let over = self.sessions.partition_point(|one| one.close <= ts);
        let mut rest = self.sessions.get(over..)?.iter();
        let session = rest.next()?;
        if session.kind == SessionKind::Regular {
            return self.next_edge(ts);
        }
        if session.open > ts {
            return Some((session.open, SessionEdge::ExtendedOpen));
        }
        // Extended hours may be of several parts that touch.
        let mut close = session.close;
        for next in rest {
            if next.open != close {
                break;
            }
            if next.kind == SessionKind::Regular {
                return Some((close, SessionEdge::Open));
            }
            close = next.close;
        }
        Some((close, SessionEdge::ExtendedClose))
    }

    /// As [`Calendar::edge_before`], with the edges of extended hours among them.
    pub fn edge_of_all_before(&self, ts: UnixNanos) -> Option<SessionEdge> {
        if self.is_extended(ts) {
            return Some(SessionEdge::ExtendedOpen);
        }
        self.edge_before(ts)
    }

    /// Returns true within extended hours: while the market trades, and not in a regular session.
    pub fn is_extended(&self, ts: UnixNanos) -> bool {
        let session = self.session_at(ts).ok().flatten();
        session.is_some_and(|session| session.kind != SessionKind::Regular)
    }
}

/// Joins sessions that follow each other without a break.
pub(super) fn stretches(regular: &[Session]) -> Vec<(UnixNanos, UnixNanos)> {
    let mut stretches: Vec<(UnixNanos, UnixNanos)> = Vec::with_capacity(regular.len());
    for session in regular {
        match stretches.last_mut() {
            Some((_, close)) if *close == session.open => *close = session.close,
            _ => stretches.push((session.open, session.close)),
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use crate::calendar::{Calendar, parse_instant};
    use crate::venue::SessionEdge;

    /// Returns the edges that follow an instant, in local time.
    fn edges(calendar: &str, from: &str, count: usize) -> Vec<String> {
        let calendar = Calendar::builtin(calendar).unwrap();
        let mut at = parse_instant(from).unwrap();
        let mut edges = Vec::new();
        while let Some((ts, edge)) = calendar.next_edge(at).filter(|_| edges.len() < count) {
            edges.push(format!("{edge:?} {}", calendar.local(ts)));
            at = ts;
        }
        edges
    }

    #[test]
    fn a_day_opens_and_closes_by_the_markets_own_clock() {
        // A half day; summer time began in New York on 2024-03-10, in London on 2024-03-31.
        let cases = [
            (
                "XNYS",
                "2024-07-03T09:30:00-04:00",
                [
                    "Close 2024-07-03T13:00:00-04:00",
                    "Open 2024-07-05T09:30:00-04:00",
                ],
            ),
            (
                "XNYS",
                "2024-03-08T12:00:00-05:00",
                [
                    "Close 2024-03-08T16:00:00-05:00",
                    "Open 2024-03-11T09:30:00-04:00",
                ],
            ),
            (
                "XLON",
                "2024-03-28T12:00:00+00:00",
                [
                    "Close 2024-03-28T16:30:00+00:00",
                    "Open 2024-04-02T08:00:00+01:00",
                ],
            ),
            (
                "FX",
                "2024-03-05T12:00:00-05:00",
                [
                    "Close 2024-03-08T17:00:00-05:00",
                    "Open 2024-03-10T17:00:00-04:00",
                ],
            ),
        ];
        for (calendar, from, expected) in cases {
            assert_eq!(edges(calendar, from, 2), expected, "{calendar} {from}");
        }
    }

    #[test]
    fn extended_hours_have_edges_where_they_do_not_touch_the_regular_session() {
        let calendar = Calendar::builtin("XNYS").unwrap();
        let mut at = parse_instant("2024-07-03T03:00:00-04:00").unwrap();
        let mut edges = Vec::new();
        for _ in 0..6 {
            let (ts, edge) = calendar.next_edge_of_all(at).unwrap();
            let goes_on = if calendar.is_extended(ts) {
                " extended"
            } else {
                ""
            };
            edges.push(format!("{edge:?} {}{goes_on}", &calendar.local(ts)[5..16]));
            at = ts;
        }
        // A half day, then a holiday.
        let expected = [
            "ExtendedOpen 07-03T04:00 extended",
            "Open 07-03T09:30",
            "Close 07-03T13:00 extended",
            "ExtendedClose 07-03T17:00",
            "ExtendedOpen 07-05T04:00 extended",
            "Open 07-05T09:30",
        ];
        assert_eq!(edges, expected);
        let late = parse_instant("2024-07-03T16:59:59-04:00").unwrap();
        let before = calendar.edge_of_all_before(late);
        assert_eq!(before, Some(SessionEdge::ExtendedOpen));
        // Elsewhere they are the regular ones.
        for name in ["XLON", "FX", "CRYPTO"] {
            let calendar = Calendar::builtin(name).unwrap();
            assert_eq!(
                calendar.next_edge_of_all(at),
                calendar.next_edge(at),
                "{name}"
            );
            assert_eq!(
                calendar.edge_of_all_before(at),
                calendar.edge_before(at),
                "{name}"
            );
        }
    }

    #[test]
    fn what_never_closes_has_no_edges() {
        let crypto = Calendar::builtin("CRYPTO").unwrap();
        assert!(!crypto.has_breaks());
        assert!(Calendar::builtin("FX").unwrap().has_breaks());
        assert!(edges("XNYS", "1999-12-31T12:00:00-05:00", 1).is_empty());
    }
}
