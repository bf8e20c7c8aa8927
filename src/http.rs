//! Owns the making of HTTP clients: the one place that says which cryptography TLS uses; and the one
//! question asked of somebody who only sees a digest.

use std::sync::Once;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use url::Url;

/// A client to be configured. Its TLS trusts what the host trusts.
pub fn client() -> reqwest::ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // It fails when somebody else has installed one, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder()
}

/// Post `body` of the type `kind` to `url`, and read an answer of at most `limit` bytes, within
/// `patience`. Nobody is followed elsewhere, and no proxy of the environment is used, which nobody
/// named.
///
/// # Errors
/// What stood in the way of an answer. An answer that refuses is no error.
pub async fn ask(
    url: &Url,
    kind: &str,
    body: Vec<u8>,
    limit: u64,
    patience: Duration,
) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    let client = client()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(patience)
        .user_agent(concat!("exhibit/", env!("CARGO_PKG_VERSION")))
        .build()?;
    let post = client.post(url.clone()).header(CONTENT_TYPE, kind);
    let mut answer = post.body(body).send().await?;
    let mut text = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        text.extend_from_slice(&chunk);
        anyhow::ensure!(text.len() as u64 <= limit, "its answer is too long");
    }
    Ok((answer.status(), text))
}
