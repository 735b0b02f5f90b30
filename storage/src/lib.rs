//! Ports and backends.
