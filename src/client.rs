//! Owns talking to the daemon, for the command line and the demonstration: over its Unix socket,
//! or over TCP with a key. It knows the API's paths and nothing of what happens behind them.

use std::io::{self, Write as _};
use std::path::Path;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Body, Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::artifact::Artifact;
use crate::digest::Digest;
use crate::disk::OnceFile;
use crate::error::{Code, Problem};
use crate::id::RunId;
use crate::receipt::Receipt;
use crate::run::{Recorded, RunSpec};
use crate::secret::Secret;

/// The header that tells the status of a captured page.
const PAGE_STATUS: &str = "x-exhibit-page-status";

/// A way to a daemon.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: Option<Secret<String>>,
    /// How messages name the daemon's address.
    place: String,
}

/// A picture and where it is on record.
#[derive(Clone, Debug)]
pub struct CapturedPicture {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// `evidence` of the answer.
    pub evidence: Value,
    /// The HTTP status of the page; none where there was none.
    pub status: Option<u16>,
}

impl Client {
    /// The daemon behind a Unix socket.
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn unix(socket: &Path) -> Result<Self, Problem> {
        let http = crate::http::client().unix_socket(socket);
        Self::new(http, "http://exhibit".to_owned(), None, socket.display().to_string())
    }

    /// The daemon at a base address, `http://127.0.0.1:8420`, with an API key.
    ///
    /// # Errors
    /// When that is no address, or the HTTP client cannot be made.
    pub fn tcp(base: &str, key: Option<Secret<String>>) -> Result<Self, Problem> {
        let is_http = |url: &url::Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        if !base.parse().is_ok_and(|url| is_http(&url)) {
            let message =
                format!("`--url` is `{base}`, which is no address; write http://HOST:PORT");
            return Err(Problem::new(Code::InvalidField, message).field("url"));
        }
        let base = base.trim_end_matches('/').to_owned();
        Self::new(crate::http::client(), base.clone(), key, base)
    }

    fn new(
        http: reqwest::ClientBuilder,
        base: String,
        key: Option<Secret<String>>,
        place: String,
    ) -> Result<Self, Problem> {
        let http = http.no_proxy().redirect(reqwest::redirect::Policy::none()).build();
        let http = http.map_err(|error| Problem::internal("making the HTTP client", error))?;
        Ok(Self { http, base, key, place })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.header("x-api-key", key.expose()),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Problem> {
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body: Value = response.json().await.unwrap_or_default();
        let problem = rebuilt(status.as_u16(), &body);
        if problem.code == Code::Unauthorized {
            return Err(self.unknown_key());
        }
        Err(problem)
    }

    /// Why the daemon does not know who calls, said to whoever typed the command.
    fn unknown_key(&self) -> Problem {
        let message = match &self.key {
            None => "the daemon asks for an API key; give one with --key or EXHIBIT_KEY",
            Some(_) => {
                "the daemon does not know this API key; give another with --key or EXHIBIT_KEY"
            }
        };
        let hint = "the operator makes one with `exhibit keys add NAME`";
        Problem::new(Code::Unauthorized, message).field("key").hint(hint)
    }

    fn unreachable(&self, error: reqwest::Error) -> Problem {
        let place = &self.place;
        let denied = causes(&error).any(|cause| cause.kind() == io::ErrorKind::PermissionDenied);
        if denied {
            let message = format!(
                "this user may not use the socket {place}; have the operator add it to the socket's \
                 group (`ls -l` names it, exhibit-callers where systemd makes the socket: usermod \
                 -aG GROUP USER), and log in again"
            );
            return Problem::new(Code::DaemonUnreachable, message).because(error);
        }
        let message = format!(
            "no daemon answers at {place}; start it with `exhibit serve`, or name another with \
             --socket, --url or --config"
        );
        Problem::new(Code::DaemonUnreachable, message).because(error)
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Problem> {
        let response = self.send(request).await?;
        let body = response.json().await;
        body.map_err(|error| Problem::internal("reading the daemon's answer", error))
    }

    /// Get the text at `path`, below the API's base.
    ///
    /// # Errors
    /// What the daemon says; `daemon_unreachable`. So for all that follow.
    pub async fn text(&self, path: &str) -> Result<String, Problem> {
        let answer = self.send(self.request(Method::GET, &format!("/api/v1{path}"))).await?;
        let text = answer.text().await;
        text.map_err(|error| Problem::internal("reading the daemon's answer", error))
    }

    /// Have `runs` as a bundle in the file `path`, which must not exist: its digest and length.
    ///
    /// # Errors
    /// As [`Client::text`]; when the file cannot be written.
    pub async fn bundle(&self, runs: &[RunId], path: &Path) -> Result<(Digest, u64), Problem> {
        let request = self.request(Method::POST, "/api/v1/bundles").json(&json!({ "runs": runs }));
        self.save(request, path).await
    }

    /// Have the kept bundle of another store with this digest in the file `path`, which must not
    /// exist: the digest and length of what came.
    ///
    /// # Errors
    /// As [`Client::bundle`].
    pub async fn import(&self, sha256: Digest, path: &Path) -> Result<(Digest, u64), Problem> {
        let request = self.request(Method::GET, &format!("/api/v1/imports/{sha256}"));
        self.save(request, path).await
    }

    /// Have what is answered to `request` in the file `path`.
    async fn save(&self, request: RequestBuilder, path: &Path) -> Result<(Digest, u64), Problem> {
        let mut answer = self.send(request).await?;
        let unwritable = |error: std::io::Error| {
            let message = format!("{} cannot be written; name another file", path.display());
            Problem::new(Code::InvalidField, message).field("out").because(error)
        };
        let mut file = OnceFile::create(path).map_err(unwritable)?;
        let taken = loop {
            match answer.chunk().await {
                Ok(None) => break Ok(()),
                Ok(Some(bytes)) => {
                    if let Err(error) = file.write_all(&bytes) {
                        break Err(unwritable(error));
                    }
                }
                Err(error) => break Err(Problem::internal("reading the daemon's answer", error)),
            }
        };
        if let Err(problem) = taken {
            file.discard();
            return Err(problem);
        }
        file.finish().map_err(unwritable)
    }

    /// Get the bytes at `path`, below the API's base.
    ///
    /// # Errors
    /// As [`Client::text`].
    pub async fn bytes(&self, path: &str) -> Result<Vec<u8>, Problem> {
        let answer = self.send(self.request(Method::GET, &format!("/api/v1{path}"))).await?;
        let bytes = answer.bytes().await;
        let bytes =
            bytes.map_err(|error| Problem::internal("reading the daemon's answer", error))?;
        Ok(bytes.to_vec())
    }

    /// Get the JSON at `path`, below the API's base.
    ///
    /// # Errors
    /// As [`Client::text`].
    pub async fn get(&self, path: &str) -> Result<Value, Problem> {
        self.json(self.request(Method::GET, &format!("/api/v1{path}"))).await
    }

    /// Send `body` to `path`, below the API's base.
    ///
    /// # Errors
    /// As [`Client::text`].
    pub async fn post(&self, path: &str, body: impl Into<Body>) -> Result<Value, Problem> {
        self.json(self.request(Method::POST, &format!("/api/v1{path}")).body(body)).await
    }

    /// Open a run.
    ///
    /// # Errors
    /// What the daemon says; `daemon_unreachable`. So for all that follow.
    pub async fn open_run(&self, spec: &RunSpec) -> Result<RunId, Problem> {
        #[derive(serde::Deserialize)]
        struct Opened {
            run: RunId,
        }
        let opened = serde_json::from_value(self.open(spec).await?);
        let opened: Opened =
            opened.map_err(|error| Problem::internal("reading the answer", error))?;
        Ok(opened.run)
    }

    /// Open a run; all of the answer, with what its workflow still needs.
    ///
    /// # Errors
    /// As [`Client::open_run`].
    pub async fn open(&self, spec: &RunSpec) -> Result<Value, Problem> {
        self.json(self.request(Method::POST, "/api/v1/runs").json(spec)).await
    }

    /// Add events to a run; each is an object with `kind`, `level`, `message`, `data`.
    ///
    /// # Errors
    /// As [`Client::open_run`].
    pub async fn log(&self, run: RunId, events: &[Value]) -> Result<Vec<Recorded>, Problem> {
        #[derive(serde::Deserialize)]
        struct Answer {
            recorded: Vec<Recorded>,
        }
        let path = format!("/api/v1/runs/{run}/events");
        let request = self.request(Method::POST, &path).json(events);
        self.json::<Answer>(request).await.map(|answer| answer.recorded)
    }

    /// Take a capture of `kind` (`screenshot`, `pdf`), as part of a run or alone; `body` holds the
    /// fields of the API.
    ///
    /// # Errors
    /// As [`Client::open_run`].
    pub async fn capture(
        &self,
        kind: &str,
        run: Option<RunId>,
        stage: Option<&str>,
        mut body: Value,
    ) -> Result<CapturedPicture, Problem> {
        use base64::Engine as _;
        let path = match run {
            Some(run) => {
                body["type"] = json!(kind);
                format!("/api/v1/runs/{run}/captures")
            }
            None => format!("/api/v1/{kind}"),
        };
        body["response_type"] = json!("json");
        if let Some(stage) = stage {
            body["stage"] = json!(stage);
        }
        let response = self.send(self.request(Method::POST, &path).json(&body)).await?;
        let status = response.headers().get(PAGE_STATUS);
        let status = status.and_then(|status| status.to_str().ok()?.parse().ok());
        let answer = response.json().await;
        let mut answer: Value =
            answer.map_err(|error| Problem::internal("reading the daemon's answer", error))?;
        let data = answer["data"].as_str().unwrap_or_default();
        let bytes = base64::engine::general_purpose::STANDARD.decode(data);
        let bytes = bytes.map_err(|error| Problem::internal("reading the picture", error))?;
        Ok(CapturedPicture { bytes, evidence: answer["evidence"].take(), status })
    }

    /// Call an endpoint of the hosted API (`/sequence`, `/video`, `/sessions`) as part of a run or
    /// alone; the answer. A step that failed is told inside it.
    ///
    /// # Errors
    /// As [`Client::open_run`].
    pub async fn call(
        &self,
        endpoint: &str,
        run: Option<RunId>,
        body: Value,
    ) -> Result<Value, Problem> {
        let request = self.request(Method::POST, &format!("/api/v1{endpoint}")).json(&body);
        let request = match run {
            Some(run) => request.header("x-exhibit-run", run.to_string()),
            None => request,
        };
        self.json(request).await
    }

    /// Close a session; that is on record in `run`.
    ///
    /// # Errors
    /// As [`Client::open_run`].
    pub async fn close_session(&self, run: RunId, session: &str) -> Result<(), Problem> {
        let request = self.request(Method::DELETE, &format!("/api/v1/sessions/{session}"));
        self.send(request.header("x-exhibit-run", run.to_string())).await.map(drop)
    }

    /// Add a file to a run.
    ///
    /// # Errors
    /// As [`Client::open_run`].
    pub async fn attach(
        &self,
        run: RunId,
        name: &str,
        media_type: &str,
        body: impl Into<Body>,
    ) -> Result<Artifact, Problem> {
        #[derive(serde::Deserialize)]
        struct Answer {
            artifact: Artifact,
        }
        let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        let path = format!("/api/v1/runs/{run}/attachments?name={name}");
        let request = self.request(Method::POST, &path).header(CONTENT_TYPE, media_type).body(body);
        self.json::<Answer>(request).await.map(|answer| answer.artifact)
    }

    /// Seal a run.
    ///
    /// # Errors
    /// As [`Client::open_run`].
    pub async fn seal(
        &self,
        run: RunId,
        outcome: Option<&str>,
        reason: Option<&str>,
    ) -> Result<Receipt, Problem> {
        let body = json!({ "outcome": outcome, "reason": reason });
        let path = format!("/api/v1/runs/{run}/seal");
        self.json(self.request(Method::POST, &path).json(&body)).await
    }

    /// The caller's runs; `query` holds pairs like `("workflow", "refund")`.
    ///
    /// # Errors
    /// As [`Client::open_run`].
    pub async fn runs(&self, query: &[(&str, String)]) -> Result<Value, Problem> {
        let query: String =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        self.json(self.request(Method::GET, &format!("/api/v1/runs?{query}"))).await
    }

    /// One run.
    ///
    /// # Errors
    /// As [`Client::open_run`].
    pub async fn run(&self, run: RunId) -> Result<Value, Problem> {
        self.json(self.request(Method::GET, &format!("/api/v1/runs/{run}"))).await
    }

    /// A link that signs in to the web page: `url`, and for how many seconds it works.
    ///
    /// # Errors
    /// As [`Client::open_run`].
    pub async fn sign_in_link(&self) -> Result<Value, Problem> {
        self.json(self.request(Method::POST, "/ui/links")).await
    }

    /// How the daemon fares.
    ///
    /// # Errors
    /// As [`Client::open_run`].
    pub async fn status(&self) -> Result<Value, Problem> {
        self.json(self.request(Method::GET, "/api/v1/status")).await
    }
}

/// What the system said that led to `error`.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &io::Error> {
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |cause| cause.source())
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
}

/// The problem that the daemon told of.
fn rebuilt(status: u16, body: &Value) -> Problem {
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let code = text("code").and_then(|code| Code::from_name(&code)).unwrap_or(Code::Internal);
    let message = text("error")
        .unwrap_or_else(|| format!("the daemon answered {status} without saying why; see its log"));
    let mut problem = Problem::new(code, message);
    problem.field = text("field");
    problem.hint = text("hint");
    if let Some(run) = body["evidence"]["run"].as_str() {
        let recorded = format!("the attempt is on record in run {run}");
        problem.hint = Some(match problem.hint {
            Some(hint) => format!("{hint}; {recorded}"),
            None => recorded,
        });
    }
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_survives_the_wire() {
        let sent =
            Problem::new(Code::SelectorNotFound, "`selector` …; correct it").field("selector");
        let mut body = json!(sent);
        body["evidence"] = json!({ "run": "019ab2f0" });
        let problem = rebuilt(422, &body);
        assert_eq!((problem.code, problem.message), (sent.code, sent.message));
        assert_eq!(problem.field.as_deref(), Some("selector"));
        assert_eq!(problem.hint.as_deref(), Some("the attempt is on record in run 019ab2f0"));
        assert_eq!(rebuilt(502, &Value::Null).code, Code::Internal);
    }

    #[test]
    fn an_address_has_a_scheme_and_a_host() {
        for base in ["127.0.0.1:8420", "localhost:8420", "http://", "ftp://host", ""] {
            let problem = Client::tcp(base, None).expect_err(base);
            assert!(problem.message.contains("write http://HOST:PORT"), "{problem}");
        }
        Client::tcp("http://127.0.0.1:8420/", None).expect("an address");
    }

    #[tokio::test]
    async fn a_daemon_that_is_not_there_is_named_with_the_remedy() {
        let folder = tempfile::tempdir().expect("a folder");
        let client = Client::unix(&folder.path().join("none.sock")).expect("a client");
        let problem = client.status().await.expect_err("nobody there");
        assert_eq!(problem.code, Code::DaemonUnreachable);
        assert!(problem.message.contains("exhibit serve"), "{problem}");
    }
}
