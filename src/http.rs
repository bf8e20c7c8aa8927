//! Owns the making of HTTP clients: the one place that says which cryptography TLS uses.

use std::sync::Once;

/// A client to be configured. Its TLS trusts what the host trusts.
pub fn client() -> reqwest::ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // It fails when somebody else has installed one, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder()
}
