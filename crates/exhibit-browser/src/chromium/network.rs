//! Owns the record of a page's network traffic, in the HTTP Archive format (HAR 1.2): what was
//! asked for, what was answered, when. Bodies are not kept, and of headers that carry secrets only
//! the names.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::events::{Request, Response};
use crate::secret::REDACTED;
use crate::settings::presentable_text;
use exhibit_verify::moment::rfc3339_millis;

/// Most requests kept; more are counted by the page's facts all the same.
const LIMIT: usize = 5_000;
/// Words of the names of headers whose values are secrets, in lower case.
const SECRET_WORDS: &[&str] = &[
    "auth",
    "bearer",
    "key",
    "nonce",
    "otp",
    "pass",
    "pin",
    "pwd",
    "session",
    "sessionid",
    "sid",
    "sig",
];
/// What the name of such a header has in it.
const SECRET_PARTS: &[&str] = &[
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "csrf",
    "jwt",
    "passwd",
    "password",
    "secret",
    "signature",
    "token",
    "xsrf",
];
/// Headers that are no secret, whatever they are called.
const PLAIN: &[&str] = &["proxy-authenticate", "sec-websocket-key", "www-authenticate"];
/// A list of names by which scripts hand over tokens, since they can set no other header there.
const SUBPROTOCOL: &str = "sec-websocket-protocol";
/// Schemes of authentication (RFC 9110, 11), in lower case.
const SCHEMES: &[&str] = &[
    "aws4-hmac-sha256",
    "basic",
    "bearer",
    "digest",
    "dpop",
    "hawk",
    "hoba",
    "negotiate",
    "ntlm",
    "token",
];

/// The requests of a page, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct NetworkLog {
    entries: Vec<HarEntry>,
    /// The entry of each request under way, by its id.
    under_way: HashMap<String, usize>,
    /// Names of the headers the caller added: their values are the caller's secrets.
    secret: Vec<String>,
}

#[derive(Debug)]
struct HarEntry {
    /// Seconds since the epoch.
    began: f64,
    /// Monotonic seconds of its beginning, its answer and its end.
    times: [Option<f64>; 3],
    kind: String,
    method: String,
    url: String,
    headers: Value,
    answer: Value,
    received: Option<u64>,
    error: Option<String>,
}

impl NetworkLog {
    /// Of these headers, too, only the names are kept.
    pub(super) fn keep_secret(&mut self, headers: impl Iterator<Item = String>) {
        self.secret.extend(headers.map(|name| name.to_lowercase()));
    }

    /// A request began, at monotonic `now` and `wall` seconds since the epoch.
    pub(super) fn began(&mut self, id: &str, kind: &str, request: &Request, now: f64, wall: f64) {
        if self.entries.len() >= LIMIT {
            return;
        }
        self.under_way.insert(id.to_owned(), self.entries.len());
        self.entries.push(HarEntry {
            began: wall,
            times: [Some(now), None, None],
            kind: kind.to_lowercase(),
            method: request.method.clone(),
            url: presentable_text(request.url.clone()),
            headers: self.headers(&request.headers),
            answer: Value::Null,
            received: None,
            error: None,
        });
    }

    /// It was answered.
    pub(super) fn answered(&mut self, id: &str, response: &Response, now: f64) {
        let headers = self.headers(&response.headers);
        let Some(entry) = self.entry(id) else { return };
        entry.times[1] = Some(now);
        entry.answer = json!({
            "status": response.status,
            "statusText": response.status_text,
            "httpVersion": response.protocol.as_deref().unwrap_or("unknown"),
            "headers": headers,
            "mimeType": response.mime_type,
            "serverIPAddress": response.remote_ip_address,
            "fromServiceWorker": response.from_service_worker,
            "serviceWorkerResponseSource": response.service_worker_response_source,
        });
    }

    /// It ended, with so many bytes on the wire, or with an error.
    pub(super) fn ended(
        &mut self,
        id: &str,
        received: Option<f64>,
        error: Option<&str>,
        now: Option<f64>,
    ) {
        if let Some(entry) = self.entry(id) {
            entry.times[2] = now;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a length")]
            let bytes = received.map(|bytes| bytes.max(0.0) as u64);
            entry.received = bytes;
            entry.error = error.map(str::to_owned);
        }
        self.under_way.remove(id);
    }

    /// The address of the first request.
    pub(super) fn first(&self) -> Option<&str> {
        self.entries.first().map(|entry| entry.url.as_str())
    }

    /// The addresses of pictures that did not come: what came in their place is none.
    pub(super) fn failed_pictures(&self) -> Vec<String> {
        let failed = self.entries.iter().filter(|entry| {
            let status = entry.answer["status"].as_u64().unwrap_or(0);
            let kind = entry.answer["mimeType"].as_str().unwrap_or_default();
            entry.kind == "image"
                && (entry.error.is_some() || status >= 400 && !kind.starts_with("image/"))
        });
        failed.map(|entry| entry.url.clone()).collect()
    }

    fn entry(&mut self, id: &str) -> Option<&mut HarEntry> {
        self.under_way.get(id).and_then(|at| self.entries.get_mut(*at))
    }

    /// Headers in HAR's form, secrets left out.
    fn headers(&self, headers: &Map<String, Value>) -> Value {
        let shown = |(name, value): (&String, &Value)| {
            let lower = name.to_lowercase();
            let value = value.as_str().unwrap_or_default();
            let secret = self.secret.contains(&lower) || is_secret(&lower, value);
            let value = if secret { REDACTED } else { value };
            json!({ "name": name, "value": value })
        };
        headers.iter().map(shown).collect()
    }

    /// The archive; `browser` is the browser's own word for itself.
    pub(super) fn archive(&self, browser: &str) -> Value {
        let entries: Vec<Value> = self.entries.iter().map(HarEntry::archived).collect();
        json!({ "log": {
            "version": "1.2",
            "creator": { "name": "exhibit", "version": env!("CARGO_PKG_VERSION") },
            "browser": { "name": "Chromium", "version": browser },
            "comment": "Bodies are not kept; secrets are replaced by a mark.",
            "entries": entries,
        } })
    }
}

impl HarEntry {
    fn archived(&self) -> Value {
        let between = |from: usize, to: usize| match (self.times[from], self.times[to]) {
            (Some(from), Some(to)) => ((to - from) * 1_000_000.0).round() / 1_000.0,
            // HAR's word for not known.
            _ => -1.0,
        };
        let answer = &self.answer;
        let text = |name: &str| answer[name].as_str().unwrap_or_default();
        let mut archived = json!({
            "startedDateTime": began_at(self.began),
            "time": between(0, 2),
            "request": {
                "method": self.method,
                "url": self.url,
                "httpVersion": answer["httpVersion"].as_str().unwrap_or("unknown"),
                "headers": self.headers,
                "queryString": query(&self.url),
                "cookies": [],
                "headersSize": -1,
                "bodySize": -1,
            },
            "response": {
                "status": answer["status"].as_u64().unwrap_or(0),
                "statusText": text("statusText"),
                "httpVersion": answer["httpVersion"].as_str().unwrap_or("unknown"),
                "headers": answer["headers"].as_array().cloned().unwrap_or_default(),
                "cookies": [],
                "content": { "size": -1, "mimeType": text("mimeType") },
                "redirectURL": "",
                "headersSize": -1,
                "bodySize": self.received.map_or(json!(-1), |bytes| json!(bytes)),
                "_error": self.error,
            },
            "cache": {},
            "timings": { "send": 0, "wait": between(0, 1), "receive": between(1, 2) },
            "serverIPAddress": text("serverIPAddress"),
            "_resourceType": self.kind,
        });
        if answer["fromServiceWorker"] == true {
            archived["_fromServiceWorker"] = json!(true);
            archived["_serviceWorkerResponseSource"] =
                answer["serviceWorkerResponseSource"].clone();
        }
        archived
    }
}

/// Whether a header, its name in lower case, tells a secret: by its name, or by what it says.
fn is_secret(name: &str, value: &str) -> bool {
    if PLAIN.contains(&name) || name.starts_with([':']) || name.starts_with("access-control-") {
        return false;
    }
    let mut words = name.split(['-', '_', '.']);
    name == SUBPROTOCOL
        || words.any(|word| SECRET_WORDS.contains(&word))
        || SECRET_PARTS.iter().any(|part| name.contains(part))
        || is_credential(value)
}

/// Whether a value is one by which somebody is known: one behind the name of a scheme, or a token
/// that was signed (RFC 7519).
fn is_credential(value: &str) -> bool {
    let scheme = value.trim_start().split_once(' ').map(|(scheme, _)| scheme.to_ascii_lowercase());
    let mut words = value.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
    scheme.is_some_and(|scheme| SCHEMES.contains(&scheme.as_str()))
        || words.any(|word| word.starts_with("eyJ") && word.matches('.').count() >= 2)
}

fn began_at(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds since the epoch")]
    let millis = (seconds * 1_000.0) as i64;
    Timestamp::from_millisecond(millis).map(rfc3339_millis).unwrap_or_default()
}

fn query(url: &str) -> Value {
    let Ok(url) = url.parse::<url::Url>() else { return json!([]) };
    url.query_pairs().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        let headers =
            json!({ "Accept": "*/*", "Authorization": "Bearer hunter2", "X-Mine": "hunter2" });
        let request =
            json!({ "url": "http://a.example/?q=1", "method": "GET", "headers": headers });
        serde_json::from_value(request).expect("a request")
    }

    fn response() -> Response {
        let headers = json!({ "Set-Cookie": "s=hunter2", "Server": "x" });
        let response = json!({
            "url": "http://a.example/", "status": 200, "statusText": "OK", "mimeType": "text/html",
            "remoteIPAddress": "10.0.0.1", "headers": headers, "protocol": "h2",
        });
        serde_json::from_value(response).expect("a response")
    }

    #[test]
    fn an_exchange_is_told_without_its_secrets() {
        let mut log = NetworkLog::default();
        log.keep_secret(["X-Mine".to_owned()].into_iter());
        log.began("1", "Document", &request(), 10.0, 1_790_000_000.25);
        log.answered("1", &response(), 10.1);
        log.ended("1", Some(512.0), None, Some(10.25));
        let archive = log.archive("1.0");
        let entry = &archive["log"]["entries"][0];
        assert_eq!(entry["startedDateTime"], "2026-09-21T14:13:20.250Z");
        assert_eq!((&entry["time"], &entry["timings"]["wait"]), (&json!(250.0), &json!(100.0)));
        assert_eq!(
            (&entry["response"]["status"], &entry["response"]["bodySize"]),
            (&json!(200), &json!(512))
        );
        assert_eq!(entry["request"]["queryString"][0]["name"], "q");
        let text = archive.to_string();
        assert!(!text.contains("hunter2") && text.matches(REDACTED).count() == 3, "{text}");
        assert_eq!(entry["request"]["headers"][0], json!({ "name": "Accept", "value": "*/*" }));
    }

    #[test]
    fn headers_that_tell_secrets_are_known_by_name_and_by_value() {
        let secret = [
            "authorization",
            "proxy-authorization",
            "cookie",
            "set-cookie",
            "x-api-key",
            "api-key",
            "x-auth-token",
            "x-csrf-token",
            "x-xsrf-token",
            "x-amz-security-token",
            "x-goog-api-key",
            "ocp-apim-subscription-key",
            "x-session-id",
            "x_client_secret",
            "sec-websocket-protocol",
            "x-hub-signature-256",
            "authentication-token",
            "x-amz-credential",
        ];
        for name in secret {
            assert!(is_secret(name, "x"), "{name}");
        }
        let plain = [
            ":authority",
            "accept",
            "content-type",
            "sec-websocket-key",
            "access-control-allow-credentials",
            "x-author",
            "x-requested-with",
            "etag",
            "passive",
            "keep-alive",
        ];
        for name in plain {
            assert!(!is_secret(name, "x"), "{name}");
        }
        assert!(!is_secret("www-authenticate", "Bearer realm=\"x\""));
        for value in ["Bearer abc", "basic dXNlcjpw", "a=eyJhbGciOiJI.eyJzdWIi.c2ln; b"] {
            assert!(is_secret("x-whatever", value), "{value}");
        }
        for value in ["basically nothing", "eyJhbGciOiJI", "text/html", "Basic"] {
            assert!(!is_secret("x-whatever", value), "{value}");
        }
    }

    #[test]
    fn what_failed_or_never_ended_is_told_as_such() {
        let mut log = NetworkLog::default();
        log.began("1", "Image", &request(), 1.0, 0.0);
        log.began("2", "Image", &request(), 1.0, 0.0);
        log.ended("1", None, Some("net::ERR_FAILED"), Some(2.0));
        log.ended("unknown", None, None, None);
        let archive = log.archive("1.0");
        let entries = archive["log"]["entries"].as_array().expect("a list");
        assert_eq!(entries[0]["response"]["_error"], "net::ERR_FAILED");
        assert_eq!(
            (&entries[1]["time"], &entries[1]["response"]["status"]),
            (&json!(-1.0), &json!(0))
        );
    }

    #[test]
    fn a_flood_stops_at_the_limit() {
        let mut log = NetworkLog::default();
        for id in 0..=LIMIT {
            log.began(&id.to_string(), "Fetch", &request(), 0.0, 0.0);
        }
        assert_eq!(log.entries.len(), LIMIT);
    }
}
