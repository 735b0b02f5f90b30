//! The sign to end, as every task of a node watches it.

use tokio::sync::watch;

/// Returns once the process is to end; also when whoever could say so has gone.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The guard that `wait_for` returns must not be held across another wait.
    let _ = stop.wait_for(|stop| *stop).await.is_ok();
}
