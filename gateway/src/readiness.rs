//! Whether an order could be answered now, and if not, what is missing.

use apex_bus::handle::{AccountHandle, Platform, RunMode};
use apex_bus::message::JournalHealth;
use futures::future::join_all;
use std::sync::Arc;
use std::time::Duration;

/// Something that the platform needs, and how it is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Dependency {
    /// For example `account paper` or `instruments`.
    pub name: String,
    pub ok: bool,
    /// It does less than it should, and no order waits for that: a node that trades is ready
    /// all the same.
    pub degraded: bool,
    /// In words, for a person.
    pub detail: String,
}

/// What a node needs beyond what the gateway sees by itself. Asked on every probe, so it answers
/// from memory.
pub trait Readiness: Send + Sync {
    fn dependencies(&self) -> Vec<Dependency>;
}

/// A probe must not hang where it should say no: a busy account answers in milliseconds.
const ACCOUNT_TIMEOUT: Duration = Duration::from_secs(2);

/// Returns everything that `SubmitOrder` needs: an account that takes orders, an instrument, and
/// on a simulated market a book.
pub async fn dependencies(platform: &Platform, extra: &[Arc<dyn Readiness>]) -> Vec<Dependency> {
    let accounts = platform.accounts.all();
    let mut found = join_all(accounts.values().map(account)).await;
    if found.is_empty() {
        found.push(dependency("accounts", false, "there is no account"));
    }
    let views = platform.market.views();
    let instruments = format!("{} known", views.len());
    found.push(dependency("instruments", !views.is_empty(), &instruments));
    if platform.mode == RunMode::Simulated {
        let books = views.iter().filter(|view| view.book.is_some()).count();
        found.push(dependency(
            "books",
            books > 0,
            &format!("{books} of {}", views.len()),
        ));
    }
    found.extend(extra.iter().flat_map(|one| one.dependencies()));
    found
}

fn dependency(name: &str, ok: bool, detail: &str) -> Dependency {
    Dependency {
        name: name.to_owned(),
        ok,
        degraded: false,
        detail: detail.to_owned(),
    }
}

/// Returns what is to be done about a journal that takes no new orders.
fn journal(health: JournalHealth) -> Option<&'static str> {
    match health {
        JournalHealth::Ready => None,
        JournalHealth::Reserve => Some("its journal takes no new orders: free disk space"),
        JournalHealth::Away => Some(
            "its journal's database server does not answer: new orders and amends are refused, stops \
             and other orders that come due wait, cancels and reports go on; start that server, or \
             mend what its log says",
        ),
        JournalHealth::Full => Some(
            "its journal takes nothing, not even cancels: free disk space, or start its database \
             server again",
        ),
    }
}

async fn account(handle: &AccountHandle) -> Dependency {
    let name = format!("account {}", handle.account_id());
    let summary = match tokio::time::timeout(ACCOUNT_TIMEOUT, handle.summary()).await {
        Ok(Ok(summary)) => summary,
        Ok(Err(error)) => return dependency(&name, false, &error.to_string()),
        Err(_) => return dependency(&name, false, "no answer within 2 s"),
    };
    if let Some(detail) = journal(summary.journal) {
        return dependency(&name, false, detail);
    }
    if !summary.venue_connected {
        return dependency(&name, false, "its venue is not connected");
    }
    dependency(&name, true, "takes orders")
}
