//! Settings: defaults, then the settings file, then the environment, then flags.

mod alerts;
mod edge;
mod recording;

use anyhow::{Context, Result, anyhow, bail};
use apex_domain::matching::Model;
use apex_node::alerts::AlertSettings;
use apex_node::backup::S3Options;
use apex_node::edge::Edge;
use apex_node::recorder::Retention;
use apex_node::stores::{JournalSettings, ServerSettings};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Every key, as in the settings file; in the environment `APEX_` and upper case.
const KEYS: &[&str] = &[
    "listen",
    "data_dir",
    "log",
    "log_format",
    "gateway",
    "database_url",
    "timescale_url",
    "redis_url",
    "s3_endpoint",
    "s3_bucket",
    "s3_access_key",
    "s3_secret_key",
    "record_trades_days",
    "record_quotes_days",
    "record_bars_days",
    "journal_segment_bytes",
    "journal_keep_bytes",
    "journal_snapshot_events",
    "hosts",
    "origins",
    "trusted_proxies",
    "reflection",
];

/// The bucket for backups: all of these, or none.
const S3: [&str; 4] = ["s3_endpoint", "s3_bucket", "s3_access_key", "s3_secret_key"];

/// How long the server of the bucket may give no sign of life; it is asked twice. Longer than a busy
/// server pauses, short enough that a person still waits.
const S3_TIMEOUT: Duration = Duration::from_secs(15);

/// The table of the settings file with the venue's models, and what their names begin with
/// elsewhere.
const SIMULATION: &str = "simulation";

/// Where traces would go, by the name that every program gives it.
const TRACES: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Settings of the tests, which may run the product with their own environment.
const TEST_KEYS: &[&str] = &[
    "test_data",
    "soak",
    "kills",
    "strace_answers",
    "sim_seeds",
    "away_seconds",
    "freeze_seconds",
];

/// What runs the process, after all sources were put together.
#[derive(Clone, Debug)]
pub struct Settings {
    pub listen: String,
    /// Where the client commands find the gateway.
    pub gateway: String,
    pub data_dir: PathBuf,
    /// True when the folder was set somewhere and is not the default.
    pub data_dir_given: bool,
    pub servers: ServerSettings,
    /// Where `backup --to s3` and `restore --from s3` find their bucket.
    pub s3: Option<S3Options>,
    /// For how long market data of a live run is kept.
    pub record: Retention,
    /// How alerts are told.
    pub alerts: AlertSettings,
    /// What stands in front of the gateway.
    pub edge: Edge,
    pub log: String,
    pub log_format: Option<String>,
    /// Models of the simulated venue, in words that were not looked at yet.
    pub simulation: Vec<(Model, String)>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Number(i64),
    Flag(bool),
    Table(BTreeMap<String, Value>),
}

/// Reads the settings.
///
/// Errors: a file that cannot be read, a key that is not known (with the nearest one that is),
/// and a connection to a server that this build cannot use.
pub fn load(file: Option<&Path>) -> Result<Settings> {
    let mut values = match file {
        Some(path) => read_file(path)?,
        None if Path::new("apextrade.toml").exists() => read_file(Path::new("apextrade.toml"))?,
        None => BTreeMap::new(),
    };
    values.extend(from_environment(std::env::vars())?);
    no_traces(std::env::var_os(TRACES).as_deref())?;
    settings(&values)
}

fn no_traces(endpoint: Option<&OsStr>) -> Result<()> {
    if endpoint.is_some_and(|endpoint| !endpoint.is_empty()) {
        bail!("{TRACES} is set, but this build sends no traces: unset it");
    }
    Ok(())
}

fn settings(values: &BTreeMap<String, String>) -> Result<Settings> {
    let get = |key: &str, default: &str| {
        values
            .get(key)
            .cloned()
            .unwrap_or_else(|| default.to_owned())
    };
    let s3 = s3(values)?;
    Ok(Settings {
        listen: get("listen", "127.0.0.1:8000"),
        gateway: get("gateway", "http://127.0.0.1:8000"),
        data_dir: PathBuf::from(get("data_dir", "./data")),
        data_dir_given: values.contains_key("data_dir"),
        servers: ServerSettings {
            database_url: values.get("database_url").cloned(),
            timescale_url: values.get("timescale_url").cloned(),
            redis_url: values.get("redis_url").cloned(),
            // Never a setting that stays: a start asks for it.
            take_over_without_reserve: false,
            s3: s3.clone(),
            journal: journal(values)?,
        },
        s3,
        record: recording::read(values)?,
        alerts: alerts::read(values)?,
        edge: edge::read(values)?,
        log: get("log", "info"),
        log_format: values.get("log_format").cloned(),
        simulation: Model::ALL
            .into_iter()
            .filter_map(|model| Some((model, values.get(&model_key(model))?.clone())))
            .collect(),
    })
}

/// Errors: some of the bucket's settings are there and others are not.
fn s3(values: &BTreeMap<String, String>) -> Result<Option<S3Options>> {
    let [endpoint, bucket, access_key, secret_key] = S3.map(|key| values.get(key).cloned());
    match (endpoint, bucket, access_key, secret_key) {
        (None, None, None, None) => Ok(None),
        (Some(endpoint), Some(bucket), Some(access_key), Some(secret_key)) => Ok(Some(S3Options {
            endpoint,
            bucket,
            access_key,
            secret_key,
            timeout: S3_TIMEOUT,
        })),
        _ => {
            let is_missing = |key: &&str| !values.contains_key(*key);
            let missing = S3.into_iter().filter(is_missing).map(environment_name);
            let missing: Vec<_> = missing.collect();
            bail!(
                "a bucket is set in part, {} is missing: set it, or unset the others",
                missing.join(", ")
            )
        }
    }
}

/// Errors: a size that is no number, or out of range.
fn journal(values: &BTreeMap<String, String>) -> Result<JournalSettings> {
    let number = |key: &str, form: &str, fits: fn(u64) -> bool| {
        let Some(text) = values.get(key) else {
            return Ok(None);
        };
        let number = text.parse().ok().filter(|number| fits(*number));
        let name = environment_name(key);
        number
            .map(Some)
            .ok_or_else(|| anyhow!("{name} is \"{text}\": it must be {form}"))
    };
    Ok(JournalSettings {
        segment_bytes: number(
            "journal_segment_bytes",
            "a power of two from 4096 to 67108864 (64 MiB)",
            |bytes| bytes.is_power_of_two() && (4_096..=64 << 20).contains(&bytes),
        )?,
        keep_bytes: number(
            "journal_keep_bytes",
            "a number of bytes up to 1099511627776 (1 TiB)",
            |bytes| bytes <= 1 << 40,
        )?,
        snapshot_events: number(
            "journal_snapshot_events",
            "a number of events from 100 to 10000000",
            |events| (100..=10_000_000).contains(&events),
        )?,
    })
}

fn read_file(path: &Path) -> Result<BTreeMap<String, String>> {
    use figment::providers::{Format, Toml};
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read settings file \"{}\"", path.display()))?;
    let table: BTreeMap<String, Value> = figment::Figment::from(Toml::string(&text))
        .extract()
        .map_err(|error| {
            let error = without_lines(&error.to_string());
            anyhow!("settings file \"{}\": {error}", path.display())
        })?;
    flat(table).with_context(|| format!("settings file \"{}\"", path.display()))
}

/// Returns what is wrong in a file without the lines of it that the library quotes: one may hold a
/// password.
fn without_lines(error: &str) -> String {
    let is_quoted = |line: &&str| {
        let line = line.trim_start();
        let line = line.trim_start_matches(|c: char| c.is_ascii_digit());
        line.trim_start().starts_with('|')
    };
    let kept = error.lines().filter(|line| !is_quoted(line));
    kept.map(str::trim).collect::<Vec<_>>().join(": ")
}

/// Brings the settings of a file under the names that the environment has too.
fn flat(table: BTreeMap<String, Value>) -> Result<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) if [SIMULATION, alerts::TABLE].contains(&key.as_str()) => {
                let table = key;
                for (name, value) in inner {
                    let key = format!("{table}_{name}");
                    known(&key).with_context(|| format!("[{table}] {name}"))?;
                    values.insert(key, text(&name, value)?);
                }
            }
            value => {
                known(&key)?;
                values.insert(key.clone(), text(&key, value)?);
            }
        }
    }
    Ok(values)
}

fn text(key: &str, value: Value) -> Result<String> {
    match value {
        Value::Text(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Flag(flag) => Ok(flag.to_string()),
        Value::Table(_) => bail!("setting \"{key}\" is a table, write one value"),
    }
}

fn model_key(model: Model) -> String {
    format!("{SIMULATION}_{}", model.name().replace('-', "_"))
}

fn from_environment(
    variables: impl Iterator<Item = (String, String)>,
) -> Result<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    for (name, value) in variables {
        let Some(key) = name.strip_prefix("APEX_").map(str::to_ascii_lowercase) else {
            continue;
        };
        if TEST_KEYS.contains(&key.as_str()) || value.is_empty() {
            continue;
        }
        if let Some(key) = key.strip_suffix("_file") {
            known(key).with_context(|| format!("environment variable {name}"))?;
            let secret = std::fs::read_to_string(&value)
                .with_context(|| format!("cannot read the file that {name} names"))?;
            values.insert(key.to_owned(), secret.trim_end().to_owned());
        } else {
            known(&key).with_context(|| format!("environment variable {name}"))?;
            values.insert(key, value);
        }
    }
    Ok(values)
}

fn known(key: &str) -> Result<()> {
    let models = Model::ALL.map(model_key);
    let keys = || {
        KEYS.iter()
            .chain(alerts::KEYS)
            .copied()
            .chain(models.iter().map(String::as_str))
    };
    if keys().any(|known| known == key) {
        return Ok(());
    }
    let nearest = keys()
        .min_by_key(|known| distance(known, key))
        .unwrap_or_default();
    bail!("unknown setting \"{key}\", the nearest known one is \"{nearest}\"")
}

fn environment_name(key: &str) -> String {
    format!("APEX_{}", key.to_ascii_uppercase())
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Result<BTreeMap<String, String>> {
        from_environment(
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
        )
    }

    #[test]
    fn an_unknown_setting_names_the_nearest_known_one() {
        let error = environment(&[("APEX_LISTN", "x")]).unwrap_err();
        assert!(format!("{error:#}").contains("\"listen\""), "{error:#}");
    }

    #[test]
    fn traces_that_are_asked_for_are_not_silently_left_out() {
        let error = no_traces(Some(OsStr::new("http://x"))).unwrap_err();
        assert!(error.to_string().contains(TRACES), "{error}");
        assert!(no_traces(Some(OsStr::new(""))).is_ok());
    }

    #[test]
    fn a_bucket_is_set_whole_or_not_at_all() {
        assert!(settings(&BTreeMap::new()).unwrap().s3.is_none());
        let some = [("APEX_S3_ENDPOINT", "http://x"), ("APEX_S3_BUCKET", "b")];
        let error = settings(&environment(&some).unwrap()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("APEX_S3_ACCESS_KEY, APEX_S3_SECRET_KEY"),
            "{error}"
        );
        let rest = [("APEX_S3_ACCESS_KEY", "k"), ("APEX_S3_SECRET_KEY", "s")];
        let all: Vec<_> = some.into_iter().chain(rest).collect();
        let s3 = settings(&environment(&all).unwrap()).unwrap().s3.unwrap();
        assert_eq!((s3.bucket.as_str(), s3.secret_key.as_str()), ("b", "s"));
    }

    #[test]
    fn sizes_of_journals_are_checked_and_named() {
        let usual = settings(&BTreeMap::new()).unwrap().servers.journal;
        assert_eq!(usual, JournalSettings::default());
        let set = |name, value| settings(&environment(&[(name, value)]).unwrap());
        let name = "APEX_JOURNAL_SEGMENT_BYTES";
        let sizes = set(name, "65536").unwrap().servers.journal;
        assert_eq!(sizes.segment_bytes, Some(65_536));
        for wrong in ["65537", "2048", "134217728", "-1", "64k"] {
            let error = set(name, wrong).unwrap_err().to_string();
            assert!(
                error.contains(name) && error.contains("power of two"),
                "{error}"
            );
        }
        let keep = set("APEX_JOURNAL_KEEP_BYTES", "0").unwrap();
        assert_eq!(keep.servers.journal.keep_bytes, Some(0));
        let error = set("APEX_JOURNAL_KEEP_BYTES", "1 GB").unwrap_err();
        assert!(error.to_string().contains("1 TiB"), "{error}");
        let name = "APEX_JOURNAL_SNAPSHOT_EVENTS";
        let events = set(name, "100").unwrap().servers.journal;
        assert_eq!(events.snapshot_events, Some(100));
        for wrong in ["99", "10000001", ""] {
            let known = BTreeMap::from([(name[5..].to_ascii_lowercase(), wrong.to_owned())]);
            let error = settings(&known).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    fn file(text: &str) -> Result<Settings> {
        use figment::providers::{Format, Toml};
        let table = figment::Figment::from(Toml::string(text)).extract()?;
        settings(&flat(table)?)
    }

    #[test]
    fn models_are_a_table_of_the_file_and_a_prefix_of_the_environment() {
        let of_file = file("log = \"debug\"\n[simulation]\nbar_path = \"low-first\"").unwrap();
        let expected = [(Model::BarPath, "low-first".to_owned())];
        assert_eq!(of_file.simulation, expected);
        assert_eq!(of_file.log, "debug");
        let of_environment = environment(&[("APEX_SIMULATION_BAR_PATH", "low-first")]).unwrap();
        assert_eq!(settings(&of_environment).unwrap().simulation, expected);
        for (text, nearest) in [
            ("[simulation]\nlatncy = \"1ms\"", "\"simulation_latency\""),
            (
                "[simulaton]\nlatency = \"1ms\"",
                "unknown setting \"simulaton\"",
            ),
            ("[log]\nx = 1", "\"log\" is a table"),
        ] {
            let error = format!("{:#}", file(text).unwrap_err());
            assert!(error.contains(nearest), "{error}");
        }
    }

    #[test]
    fn a_settings_file_with_a_fault_is_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.toml");
        for text in [
            "database_url = postgres://a:hush@h/d\n",
            "log = \"info\"\nredis_url = \"redis://:hush@h",
        ] {
            std::fs::write(&path, text).unwrap();
            let error = format!("{:#}", read_file(&path).unwrap_err());
            assert!(
                error.contains("line ") && error.contains("x.toml"),
                "{error}"
            );
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn a_server_is_taken_from_its_variable_or_a_file_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        let url = "scheme://a:secret@h/d";
        std::fs::write(&file, format!("{url}\n")).unwrap();
        let path = file.display().to_string();
        for name in ["APEX_DATABASE_URL", "APEX_TIMESCALE_URL", "APEX_REDIS_URL"] {
            for (name, value) in [(name, url), (&format!("{name}_FILE"), path.as_str())] {
                let settings = settings(&environment(&[(name, value)]).unwrap()).unwrap();
                let servers = &settings.servers;
                let urls = [
                    &servers.database_url,
                    &servers.timescale_url,
                    &servers.redis_url,
                ];
                let set: Vec<_> = urls.into_iter().flatten().collect();
                assert_eq!(set, [url], "{name}");
                assert!(!format!("{settings:?}").contains("secret"));
            }
        }
    }

    #[test]
    fn the_environment_is_read_by_prefix_and_empty_values_are_as_unset() {
        let values = environment(&[
            ("APEX_LISTEN", "127.0.0.1:1"),
            ("APEX_LOG", ""),
            ("PATH", "x"),
        ])
        .unwrap();
        assert_eq!(values.len(), 1);
        assert_eq!(settings(&values).unwrap().listen, "127.0.0.1:1");
    }
}
