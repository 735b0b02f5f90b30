//! Panics of shells: one whose state must not be seen half changed ends the process, another one
//! starts again.

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

/// Runs a task of a shell that may start again, and returns what its panic said if it panics. The
/// caller drops or renews whatever the task may have left half changed.
pub async fn caught<T>(task: impl Future<Output = T>) -> Result<T, String> {
    let ended = AssertUnwindSafe(task).catch_unwind().await;
    ended.map_err(|panic| said(&*panic))
}

fn failure(name: &str, panic: &(dyn Any + Send)) -> Abort {
    Abort {
        name: name.into(),
        reason: said(panic),
    }
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "broken invariant".to_owned())
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
    async fn a_task_that_panics_gives_what_it_said() {
        let broken: Result<(), String> = caught(async { panic!("gone") }).await;
        assert_eq!(broken, Err("gone".to_owned()));
        assert_eq!(caught(async { 7 }).await, Ok(7));
    }
}
