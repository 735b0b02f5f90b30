//! What reconciliation tells operators.

use apex_domain::UnixNanos;
use apex_domain::account::Account;
use apex_domain::reconcile::{DifferenceState, Found, ReconcileReport, Resolution};

/// Lines for one snapshot. An account whose venue lost everything would otherwise write ten
/// thousand at once; the counts tell the rest.
const LINES: usize = 100;

/// Returns the venue's time of the last snapshot that was taken, and whether the account agreed.
pub fn last(account: &Account) -> (Option<UnixNanos>, bool) {
    let report = account.reconciler().report();
    (
        report.map(|report| report.venue_ts),
        account.is_reconciled(),
    )
}

/// Writes what the last snapshot came to, unless it is the one `before`.
pub fn tell(account: &Account, before: (Option<UnixNanos>, bool)) {
    let (Some(account_id), Some(report)) = (account.account_id(), account.reconciler().report())
    else {
        return;
    };
    if before.0 == Some(report.venue_ts) {
        return;
    }
    for found in report.found.iter().filter(|it| is_news(it)).take(LINES) {
        let kind = found.difference.kind().as_str();
        let (subject, resolution) = (found.difference.subject(), found.resolution);
        let (state, age_ms) = (found.state, found.age_ns / 1_000_000);
        tracing::warn!(
            %account_id, kind, subject, ?state, ?resolution, age_ms,
            "account differs from its venue"
        );
    }
    let (differences, omitted) = (open(report), report.omitted);
    if report.is_reconciled && !before.1 {
        tracing::info!(%account_id, "account agrees with its venue, trading may begin");
    } else if differences > 0 || omitted > 0 {
        tracing::warn!(%account_id, differences, omitted, "account is not reconciled yet");
    }
}

/// A difference is told when it is first seen, while nothing is done about it, and when it ends.
fn is_news(found: &Found) -> bool {
    found.is_new
        || found.resolution == Resolution::Alarmed
        || found.state == DifferenceState::Resolved
}

fn open(report: &ReconcileReport) -> usize {
    let open = report.found.iter();
    open.filter(|it| it.state != DifferenceState::Resolved && it.resolution.is_open())
        .count()
}
