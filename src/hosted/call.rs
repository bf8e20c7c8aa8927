//! Owns one request to the hosted service: sending it, reading the answer within its limits, and
//! sending it again where that does no harm. The key goes to the configured address and nowhere
//! else.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::content::Unfit;
use super::record::Exchange;
use crate::backend::{CaptureError, ErrorKind};
use crate::config;
use crate::error::chain;
use crate::secret::{REDACTED, Secret};
use crate::shown::shown_within;
use crate::spans;

/// The pause before the second try; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause, whatever the service asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How much of a refusal is read.
const REFUSAL: u64 = 64 * 1024;
/// How much of a refusal is told, in characters.
const TOLD: usize = 300;

/// A request.
pub(super) struct Call<'a> {
    pub(super) client: &'a reqwest::Client,
    pub(super) settings: &'a config::Hosted,
    pub(super) key: &'a Secret<String>,
    pub(super) host: &'a str,
    pub(super) url: String,
    pub(super) body: &'a Value,
    pub(super) deadline: Instant,
    /// Whether it does no harm when the service carries it out twice.
    pub(super) harmless: bool,
}

/// An answer that arrived whole.
pub(super) struct Delivered {
    /// Media type, without parameters.
    pub(super) media_type: String,
    pub(super) bytes: Vec<u8>,
}

/// Why there is no answer.
pub(super) struct Miss {
    pub(super) problem: CaptureError,
    /// Whether the service is down, in contrast to having refused or answered something else.
    pub(super) down: bool,
    /// Whether it cannot have begun.
    pub(super) untouched: bool,
    /// Whether another try may help.
    again: bool,
    /// The pause it asks for.
    pause: Option<Duration>,
    status: Option<StatusCode>,
}

impl Miss {
    /// The service answered, and not what it was asked for.
    pub(super) fn broken(problem: CaptureError) -> Self {
        let (down, untouched, again) = (false, false, false);
        Self { problem, down, untouched, again, pause: None, status: None }
    }

    fn down(problem: CaptureError) -> Self {
        Self { down: true, ..Self::broken(problem) }
    }
}

impl Call<'_> {
    /// Send it, again where that may help, and read the answer.
    pub(super) async fn carry_out(&self, exchange: &mut Exchange) -> Result<Delivered, Miss> {
        let mut pause = FIRST_PAUSE;
        let mut tries_left = self.settings.retries;
        loop {
            let begun = Instant::now();
            let until = self.deadline.min(begun + self.settings.timeout);
            let tried = tokio::time::timeout_at(until, self.once(exchange)).await;
            let miss = match tried {
                Ok(Ok(delivered)) => return Ok(delivered),
                Ok(Err(miss)) => miss,
                Err(_) => Miss::down(self.too_slow(until)),
            };
            let wait = miss.pause.unwrap_or(pause).min(LONGEST_PAUSE);
            let again = miss.again
                && (self.harmless || miss.untouched)
                && tries_left > 0
                && Instant::now() + wait < self.deadline;
            exchange.attempts.push(json!({
                "status": miss.status.map(|status| status.as_u16()),
                "code": miss.problem.kind,
                "message": miss.problem.message,
                "duration_ms": u64::try_from(begun.elapsed().as_millis()).ok(),
                "waited_ms": again.then(|| u64::try_from(wait.as_millis()).ok()).flatten(),
            }));
            if !again {
                return Err(miss);
            }
            tracing::warn!(host = self.host, wait_ms = spans::millis(wait), error = %miss.problem, "the hosted service is asked again");
            tokio::time::sleep(wait).await;
            tries_left -= 1;
            pause *= 2;
        }
    }

    async fn once(&self, exchange: &mut Exchange) -> Result<Delivered, Miss> {
        exchange.forget_answer();
        let mut key = HeaderValue::from_str(self.key.expose()).map_err(|error| {
            let message = "the hosted service's key cannot be sent; write it without blanks";
            Miss::broken(CaptureError::new(ErrorKind::BackendFailed, message).because(error))
        })?;
        key.set_sensitive(true);
        let request = self.client.post(&self.url).header("x-api-key", key).header(ACCEPT, "*/*");
        let response = request.json(self.body).send().await.map_err(|error| {
            let untouched = error.is_connect();
            let what = if untouched { "cannot be reached" } else { "broke off the connection" };
            let problem = self.failed(what).because(error.without_url());
            Miss { again: true, untouched, ..Miss::down(problem) }
        })?;
        let status = response.status();
        exchange.answered(status.as_u16(), response.headers(), self.key);
        if status.is_redirection() {
            return Err(Miss { status: Some(status), ..self.redirected(response.headers()) });
        }
        if !status.is_success() {
            return Err(self.refused(response).await);
        }
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.and_then(|value| value.split(';').next()).unwrap_or_default();
        let media_type = media_type.trim().to_ascii_lowercase();
        let bytes = self.read(response, self.settings.max_response).await;
        let bytes = bytes.map_err(|miss| Miss { status: Some(status), ..miss })?;
        exchange.delivered(&bytes);
        Ok(Delivered { media_type, bytes })
    }

    /// Read the body, up to `limit` bytes and not one more.
    async fn read(&self, mut response: Response, limit: u64) -> Result<Vec<u8>, Miss> {
        let declared = response.content_length();
        let too_large = || {
            let what = format!("answered more than `backend.hosted.max_response` ({limit} bytes)");
            Miss::broken(self.failed(&what))
        };
        if declared.is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let cut_short = || self.failed("broke off in the middle of its answer");
        let mut bytes = Vec::new();
        loop {
            let chunk = response.chunk().await;
            let chunk =
                chunk.map_err(|error| Miss::down(cut_short().because(error.without_url())))?;
            let Some(chunk) = chunk else { break };
            if bytes.len() as u64 + chunk.len() as u64 > limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        if declared.is_some_and(|length| length != bytes.len() as u64) {
            return Err(Miss::down(cut_short()));
        }
        Ok(bytes)
    }

    fn redirected(&self, headers: &HeaderMap) -> Miss {
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let base = self.url.parse::<Url>().ok();
        let target = base.and_then(|base| base.join(location?).ok());
        let other = target.as_ref().and_then(Url::host_str).unwrap_or("nowhere");
        let what =
            format!("redirects to {other}, which is not followed, so that the key stays here");
        Miss::broken(self.problem(&what, "correct `base_url` in [backend.hosted]"))
    }

    async fn refused(&self, response: Response) -> Miss {
        let status = response.status();
        let pause = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let pause = pause.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let body = self.read(response, REFUSAL).await.unwrap_or_default();
        let said = self.refusal_cause(&body);
        let what = format!("answered {status}{said}");
        let remedy = match status.as_u16() {
            401 | 403 => "check the key in [backend.hosted]",
            402 => "its quota is used up: wait, raise it, or use the local browser",
            429 | 500..=599 => "ask again later, or use the local browser",
            _ => "correct the request, or use the local browser",
        };
        let problem = self.problem(&what, remedy);
        let busy = status == StatusCode::TOO_MANY_REQUESTS;
        let (down, again) =
            (busy || status.is_server_error(), matches!(status.as_u16(), 429 | 502 | 503 | 504));
        Miss { problem, down, untouched: busy, again, pause, status: Some(status) }
    }

    /// What a refusal says of its cause, short enough for a sentence; it may quote the key.
    fn refusal_cause(&self, body: &[u8]) -> String {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let Some(said) = body["error"].as_str() else { return String::new() };
        let said = said.replace(self.key.expose().as_str(), REDACTED);
        format!(": “{}”", shown_within(&said, TOLD).replace('”', "\\”"))
    }

    fn too_slow(&self, until: Instant) -> CaptureError {
        let key = if until < self.deadline { "backend.hosted.timeout" } else { "capture.deadline" };
        let host = self.host;
        let message = format!(
            "the hosted service at {host} did not answer within `{key}`; ask for less, or raise it"
        );
        CaptureError::new(ErrorKind::RequestTimeout, message)
    }

    /// The service did `what`.
    pub(super) fn failed(&self, what: &str) -> CaptureError {
        self.problem(what, "ask again later, or use the local browser")
    }

    /// It answered what will not do.
    pub(super) fn unfit(&self, Unfit { kind, what }: Unfit) -> Miss {
        let mut problem = self.failed(&what);
        problem.kind = kind;
        Miss::broken(problem)
    }

    fn problem(&self, what: &str, remedy: &str) -> CaptureError {
        let message = format!("the hosted service at {} {what}; {remedy}", self.host);
        let problem = CaptureError::new(ErrorKind::BackendFailed, message);
        tracing::debug!(error = chain(&problem), "the hosted service failed");
        problem
    }
}
