//! `apextrade health`, for container health checks.

use crate::cli::HealthArgs;
use crate::config::Settings;
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

/// A gateway that is alive answers within milliseconds; container engines give up after seconds.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks `GET /health` and fails unless the gateway answers with 200.
pub fn run(args: &HealthArgs, settings: &Settings) -> Result<ExitCode> {
    let gateway = args.gateway.as_ref().unwrap_or(&settings.gateway);
    let asked = get_status(gateway, "/health").and_then(|status| {
        if status != 200 {
            bail!("gateway {gateway} answered /health with status {status}");
        }
        Ok(())
    });
    if !args.json {
        asked?;
        crate::say!("gateway {gateway} is alive");
        return Ok(ExitCode::SUCCESS);
    }
    let error = asked.as_ref().err().map(crate::output::one_line);
    let ok = error.is_none();
    crate::say!(
        "{}",
        json!({ "gateway": gateway, "ok": ok, "error": error })
    );
    Ok(ExitCode::from(u8::from(!ok)))
}

/// Returns the status of a plain GET.
///
/// Errors: an address that cannot be reached or that does not speak HTTP.
pub fn get_status(gateway: &str, path: &str) -> Result<u16> {
    let authority = gateway
        .strip_prefix("http://")
        .with_context(|| {
            format!(
                "gateway \"{gateway}\" is no http:// address: pass one like http://127.0.0.1:8000"
            )
        })?
        .trim_end_matches('/');
    let unreachable =
        || format!("gateway {gateway} cannot be reached: start `apextrade up` or pass --gateway");
    let address = authority
        .to_socket_addrs()
        .with_context(unreachable)?
        .next();
    let address = address.with_context(unreachable)?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).with_context(unreachable)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
    )?;
    let mut head = [0_u8; 12];
    stream.read_exact(&mut head).with_context(unreachable)?;
    std::str::from_utf8(&head)
        .ok()
        .and_then(|line| line.strip_prefix("HTTP/1.1 "))
        .and_then(|status| status.parse().ok())
        .with_context(|| {
            format!("gateway {gateway} does not speak HTTP: pass the address of `apextrade up`")
        })
}
