//! TLS to servers: whose certificates are trusted.

use hyper_rustls::ConfigBuilderExt;
use rustls::ClientConfig;
use rustls::crypto::ring;
use std::sync::Arc;

/// Returns a configuration that trusts what this machine trusts, or what is in the file that
/// `SSL_CERT_FILE` names. The error says why there is nothing to trust.
pub(crate) fn trusting() -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let trusting = builder.with_native_roots().map_err(|error| {
        format!(
            "this machine has no certificates to trust ({error}): install ca-certificates, or name \
             a file of them in SSL_CERT_FILE"
        )
    })?;
    Ok(trusting.with_no_client_auth())
}
