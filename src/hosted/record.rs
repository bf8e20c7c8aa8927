//! Owns what is kept of an exchange with the hosted service: the request without its secrets, the
//! answer's headers that tell something, digest and time.

use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use url::Url;

use crate::backend::BackendName;
use crate::digest::Digest;
use crate::secret::{REDACTED, Secret};
use crate::settings::{presentable, presentable_text};

/// The headers of an answer that are kept: who answered, when, and what it counts.
const KEPT: &[&str] = &[
    "cf-ray",
    "content-length",
    "content-type",
    "date",
    "retry-after",
    "server",
    "via",
    "x-exhibit-run",
    "x-exhibit-sha256",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-request-id",
    "x-usage-current",
    "x-usage-limit",
];

/// An exchange under way.
pub(super) struct Exchange {
    base_url: String,
    endpoint: &'static str,
    request: Value,
    /// The last answer; null while there is none.
    pub(super) response: Value,
    /// The tries that failed.
    pub(super) attempts: Vec<Value>,
    begun: Instant,
}

impl Exchange {
    /// An exchange that begins now.
    pub(super) fn begin(base_url: &Url, endpoint: &'static str, body: &Value) -> Self {
        Self {
            base_url: presentable(base_url),
            endpoint,
            request: without_secrets(body),
            response: Value::Null,
            attempts: Vec::new(),
            begun: Instant::now(),
        }
    }

    /// Another try begins.
    pub(super) fn forget_answer(&mut self) {
        self.response = Value::Null;
    }

    /// An answer begins to arrive. It may quote the key.
    pub(super) fn answered(&mut self, status: u16, headers: &HeaderMap, key: &Secret<String>) {
        let kept = KEPT.iter().filter_map(|name| {
            let value = String::from_utf8_lossy(headers.get(*name)?.as_bytes()).into_owned();
            let value = value.replace(key.expose().as_str(), REDACTED);
            Some(((*name).to_owned(), json!(value.chars().take(200).collect::<String>())))
        });
        let headers: Map<String, Value> = kept.collect();
        self.response = json!({ "status": status, "headers": headers });
    }

    /// The answer is there, whole.
    pub(super) fn delivered(&mut self, bytes: &[u8]) {
        self.response["sha256"] = json!(Digest::of(bytes));
        self.response["size_bytes"] = json!(bytes.len());
    }

    /// All of it, as it is put on record.
    pub(super) fn record(&self) -> Value {
        json!({
            "backend": BackendName::Hosted,
            "base_url": self.base_url,
            "endpoint": self.endpoint,
            "request": self.request,
            "response": self.response,
            "timing_ms": u64::try_from(self.begun.elapsed().as_millis()).ok(),
            "attempts": self.attempts,
            "freshness": "unknown",
        })
    }
}

/// A request as it may be kept: values of headers, cookies and storage are replaced by a mark, and
/// so is what is typed; of documents, styles and scripts of the caller's there is digest and length.
fn without_secrets(body: &Value) -> Value {
    let Value::Object(fields) = body else { return json!(REDACTED) };
    let field = |(name, value): (&String, &Value)| (name.clone(), shown(name, value));
    Value::Object(fields.iter().map(field).collect())
}

fn shown(name: &str, value: &Value) -> Value {
    match (name, value) {
        (
            "html" | "markdown" | "html_a" | "html_b" | "injectJs" | "injectCss",
            Value::String(text),
        ) => {
            json!({ "sha256": Digest::of(text.as_bytes()), "size_bytes": text.len() })
        }
        ("headers", Value::Object(headers)) => {
            let names = headers.keys().map(|name| (name.clone(), json!(REDACTED)));
            Value::Object(names.collect())
        }
        ("cookies", Value::Array(cookies)) => cookies.iter().map(cookie).collect(),
        ("headers" | "cookies" | "authorization" | "value" | "credentials", _) => json!(REDACTED),
        (_, Value::Object(_)) => without_secrets(value),
        (_, Value::Array(items)) => items.iter().map(|item| shown("", item)).collect(),
        (_, Value::String(text)) => json!(presentable_text(text.clone())),
        _ => value.clone(),
    }
}

fn cookie(cookie: &Value) -> Value {
    match cookie {
        Value::String(text) => {
            let name = text.split_once('=').map_or("", |(name, _)| name);
            json!(format!("{name}={REDACTED}"))
        }
        other => without_secrets(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_a_request_is_kept() {
        let body = json!({
            "url": "https://desk.example/", "logo": "https://a:hunter2@b.example/l.png", "width": 9,
            "headers": { "X-Token": "hunter2" }, "authorization": "Bearer hunter2",
            "cookies": ["sid=hunter2", "hunter2", { "name": "a", "value": "hunter2", "path": "/p" }],
            "authState": {
                "cookies": [{ "name": "b", "value": "hunter2" }],
                "localStorage": [{ "origin": "https://o.example", "items": [
                    { "name": "token", "value": "hunter2" }
                ] }],
            },
            "injectJs": "token = 'hunter2'", "html": "<p>hunter2",
            "steps": [{ "action": "fill", "selector": "#pin", "value": "hunter2" }],
        });
        let kept = without_secrets(&body);
        let text = kept.to_string();
        assert!(!text.contains("hunter2"), "{text}");
        for told in ["desk.example", "X-Token", "sid=", "/p", "o.example", "token", "#pin"] {
            assert!(text.contains(told), "{told} is missing: {text}");
        }
        assert_eq!((&kept["width"], &kept["injectJs"]["size_bytes"]), (&json!(9), &json!(17)));
        assert_eq!(without_secrets(&json!("hunter2")), json!(REDACTED));
    }

    #[test]
    fn of_an_answer_only_telling_headers_are_kept_and_never_the_key() {
        let key = Secret::new("pf_live_1".to_owned());
        let mut exchange =
            Exchange::begin(&"https://a.example".parse().expect("an address"), "/pdf", &json!({}));
        let headers = [("server", "for pf_live_1"), ("set-cookie", "sid=1"), ("x-other", "1")];
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
            .collect();
        exchange.answered(200, &headers, &key);
        exchange.delivered(b"%PDF");
        let record = exchange.record();
        assert_eq!(record["response"]["headers"], json!({ "server": "for [redacted]" }));
        assert_eq!(record["response"]["size_bytes"], 4);
        assert_eq!(record["freshness"], "unknown");
    }
}
