//! For shells whose state must not be seen half changed: a panic ends the process.

use super::supervisor::{Abort, AbortHook};
use futures::FutureExt;
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs one step of the shell `name`, and calls `abort` when it panics: its state may be half
/// changed, and a failing actor discards the mailbox that others count on. With the real hook it
/// does not return then.
pub fn whole(name: &str, abort: &AbortHook, step: impl FnOnce()) {
    // Nobody looks at the state after a panic, so that it may be broken.
    if let Err(panic) = catch_unwind(AssertUnwindSafe(step)) {
        abort(&failure(name, &*panic));
    }
}

/// As [`whole`], for a shell that is a task.
pub async fn whole_task(name: &str, abort: &AbortHook, task: impl Future<Output = ()>) {
    if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
        abort(&failure(name, &*panic));
    }
}

fn failure(name: &str, panic: &(dyn Any + Send)) -> Abort {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let reason = text
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "broken invariant".to_owned());
    Abort {
        name: name.into(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    fn recorder() -> (AbortHook, Arc<Mutex<Vec<String>>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let into = seen.clone();
        let hook: AbortHook = Arc::new(move |abort: &Abort| {
            into.lock()
                .unwrap()
                .push(format!("{}: {}", abort.name, abort.reason));
        });
        (hook, seen)
    }

    #[test]
    fn a_panic_is_told_with_the_shell_and_the_reason() {
        let (hook, seen) = recorder();
        whole("market", &hook, || panic!("book {} crossed", 7));
        whole("market", &hook, || {});
        assert_eq!(*seen.lock().unwrap(), ["market: book 7 crossed"]);
    }

    #[tokio::test]
    async fn a_task_that_panics_is_told_as_well() {
        let (hook, seen) = recorder();
        whole_task("link", &hook, async { panic!("gone") }).await;
        whole_task("link", &hook, async {}).await;
        assert_eq!(*seen.lock().unwrap(), ["link: gone"]);
    }
}
