//! What a person wants to know of a Redis server before a node uses it.

use super::{TIMEOUT, address, build, start, unavailable};
use crate::StorageError;
use crate::blocking::Waiter;
use fred::interfaces::ClientLike;
use std::collections::BTreeMap;

/// A server as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// `host:port`.
    pub name: String,
    /// Of the server's program, as it states it; empty where it states none.
    pub version: String,
    /// What may be used, in bytes; 0 is as much as the machine has.
    pub memory_limit_bytes: u64,
    pub memory_used_bytes: u64,
    /// What goes when the limit is reached: `noeviction` refuses writes instead.
    pub eviction_policy: String,
    /// It copies another server, and takes no writes.
    pub is_replica: bool,
}

impl ServerFacts {
    /// Returns true when a write would be refused for want of memory.
    pub fn is_full(&self) -> bool {
        self.memory_limit_bytes > 0
            && self.memory_used_bytes >= self.memory_limit_bytes
            && self.eviction_policy == "noeviction"
    }
}

/// Asks a server what it is. Waits some seconds at most.
///
/// # Errors
/// `Setting` when the URL is none; `Unavailable` when the server does not answer or refuses the
/// password.
pub fn inspect(url: &str) -> Result<ServerFacts, StorageError> {
    let config = address::parse(url)?;
    let name = super::name_of(&config);
    let waiter = Waiter::start("apex-redis")?;
    let client = build(&config, TIMEOUT).map_err(|error| unavailable(&name, &error))?;
    let asked = name.clone();
    let said: String = waiter.wait(async move {
        start(&client, &asked).await?;
        let said = client.info(None).await;
        let _ = client.quit().await;
        said.map_err(|error| unavailable(&asked, &error))
    })?;
    Ok(read(name, &said))
}

/// Reads the answer to `INFO`: lines of `key:value`.
fn read(name: String, said: &str) -> ServerFacts {
    let pairs = said.lines().filter_map(|line| line.split_once(':'));
    let pairs: BTreeMap<&str, &str> = pairs.map(|(key, value)| (key, value.trim())).collect();
    let text = |key: &str| (*pairs.get(key).unwrap_or(&"")).to_owned();
    let number = |key: &str| text(key).parse().unwrap_or(0);
    ServerFacts {
        name,
        version: text("redis_version"),
        memory_limit_bytes: number("maxmemory"),
        memory_used_bytes: number("used_memory"),
        eviction_policy: text("maxmemory_policy"),
        is_replica: text("role") == "slave",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Redis, here};

    #[test]
    fn a_server_says_what_it_is() {
        let Some(redis) = here(Redis::start()) else {
            return;
        };
        let facts = inspect(&redis.url()).expect("it answers");
        assert_eq!(facts.name, format!("127.0.0.1:{}", redis.port()));
        assert!(facts.version.contains('.'), "{facts:?}");
        assert_eq!(facts.eviction_policy, "noeviction");
        assert_eq!((facts.is_replica, facts.is_full()), (false, false));
        for command in ["CONFIG SET maxmemory 1", "REPLICAOF 127.0.0.1 1"] {
            assert_eq!(redis.ask(command).expect("it answers"), "+OK");
        }
        let facts = inspect(&redis.url()).expect("it answers");
        assert_eq!((facts.is_replica, facts.is_full()), (true, true));
        assert_eq!(facts.memory_limit_bytes, 1);
        assert_eq!(
            redis
                .ask("CONFIG SET maxmemory-policy allkeys-lru")
                .expect("it answers"),
            "+OK"
        );
        let facts = inspect(&redis.url()).expect("it answers");
        assert_eq!(facts.eviction_policy, "allkeys-lru");
        assert!(!facts.is_full(), "it makes room by itself");
    }
}
