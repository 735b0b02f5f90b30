//! Telemetry of every role: logs on standard error and metrics in the Prometheus text format.
//!
//! What is not here: what a metric means to trading; each role fills in its own figures.
//!
//! Start reading at [`logs`] and [`metrics`].

pub mod logs;
pub mod metrics;
