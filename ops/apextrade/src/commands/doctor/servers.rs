//! What the servers say that are set.

use super::Check;
use apex_node::stores::{
    self, DATABASE_URL, REDIS_URL, ServerFacts, ServerSettings, TIMESCALE_URL,
};

pub(super) fn database(servers: &ServerSettings) -> Check {
    const NAME: &str = "database";
    let Some(url) = &servers.database_url else {
        return Check::good(
            NAME,
            format!("{DATABASE_URL} is not set: everything is in the data folder"),
        );
    };
    match stores::check(url) {
        Ok(detail) => Check::good(NAME, detail),
        Err(error) => Check::failed(NAME, &error),
    }
}

pub(super) fn series(servers: &ServerSettings) -> Check {
    const NAME: &str = "series";
    let Some(url) = &servers.timescale_url else {
        let place = match servers.database_url {
            Some(_) => "in the database of the journals",
            None => "in the data folder",
        };
        let detail = format!("{TIMESCALE_URL} is not set: time series are {place}");
        return Check::good(NAME, detail);
    };
    match stores::check_series_database(url) {
        Ok(detail) => Check::good(NAME, detail),
        Err(error) => Check::failed(NAME, &error),
    }
}

pub(super) fn redis(servers: &ServerSettings) -> Check {
    const NAME: &str = "redis";
    let Some(url) = &servers.redis_url else {
        let detail = format!("{REDIS_URL} is not set: no hot values are written for others");
        return Check::good(NAME, detail);
    };
    match stores::check_redis(url) {
        Ok(facts) => redis_server(NAME, &facts),
        Err(error) => Check::failed(NAME, &error),
    }
}

/// A server that answers, and takes no writes, degrades a node for as long as it does so.
fn redis_server(name: &'static str, facts: &ServerFacts) -> Check {
    let limit = match facts.memory_limit_bytes {
        0 => "no memory limit".to_owned(),
        bytes => format!("{} of {bytes} bytes used", facts.memory_used_bytes),
    };
    let said = format!(
        "{} answers, version {}, {limit}, maxmemory-policy {}",
        facts.name, facts.version, facts.eviction_policy
    );
    if facts.is_replica {
        let fix = format!("name the primary in {REDIS_URL}, or make this one a primary");
        return Check::bad(name, format!("{said}, a read-only replica"), fix);
    }
    if facts.is_full() {
        let fix = "raise maxmemory, or set a maxmemory-policy that evicts";
        return Check::bad(name, format!("{said}: full"), fix.to_owned());
    }
    Check::good(name, said)
}

/// Writes, reads, lists and deletes an object of its own.
pub(super) fn bucket(servers: &ServerSettings) -> Check {
    const NAME: &str = "s3";
    let Some(options) = &servers.s3 else {
        return Check::good(
            NAME,
            "APEX_S3_* are not set: checkpoints of the audit are in the data folder, and old records \
             stay where they are"
                .to_owned(),
        );
    };
    match stores::check_bucket(options) {
        Ok(facts) => Check::good(
            NAME,
            match facts.kept {
                None => format!("{} takes, gives, lists and deletes objects", facts.name),
                // What the audit's checkpoints want; only `backup --keep` deletes.
                Some(why) => format!(
                    "{} takes, gives and lists objects, and lets none be deleted: {why}",
                    facts.name
                ),
            },
        ),
        Err(error) => Check::failed(NAME, &error),
    }
}
