//! Owns the hosted backend: a service with the hosted screenshot API that takes the picture in
//! place of the local browser. What it says is its word: nothing of the page was seen here, and
//! whether the picture is fresh is not known.
//!
//! `call` (one request, tried again where that does no harm) → `answer` (whether that is what was
//! asked for) → `record` (what of both is kept) → `steps` (a sequence's answer, step by step).

mod answer;
mod call;
mod content;
mod record;
mod steps;

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use self::answer::{Expected, Made};
use self::call::{Call, Delivered};
use self::content::Unfit;
use self::record::Exchange;
use crate::backend::{
    Backend, BackendName, CaptureRequest, CaptureResult, Failed, Pending, Sent, SequenceRequest,
    SessionRequest, Snapshots, StepReport,
};
use crate::backend::{CaptureError, ErrorKind};
use crate::config::{self, Config};
use crate::http;
use crate::id::SessionId;
use crate::tasks::Tasks;

/// A hosted service. It follows the configuration, and is off where that names none.
#[derive(Clone, Debug)]
pub struct Hosted {
    client: reqwest::Client,
    config: watch::Receiver<Arc<Config>>,
    tasks: Tasks,
}

impl Hosted {
    /// The service that `config` names, if it names one. Nothing is sent before something is asked.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(config: watch::Receiver<Arc<Config>>, tasks: Tasks) -> Result<Self, CaptureError> {
        // A redirect is never followed: the key would follow it. Nor is a proxy of the environment
        // used, which nobody here named.
        let client = http::client()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("exhibit/", env!("CARGO_PKG_VERSION")))
            .build();
        let client =
            client.map_err(|error| CaptureError::internal("making an HTTP client", error))?;
        Ok(Self { client, config, tasks })
    }

    /// What is passed on, answered; and what is on record of that.
    async fn ask(
        &self,
        sent: Option<Sent>,
        expected: Expected,
        deadline: Instant,
        harmless: bool,
    ) -> Result<(Made, Value), Box<Failed>> {
        let settings = self.config.borrow().backend.hosted.clone();
        let metadata = matches!(expected, Expected::Capture { metadata: true, .. });
        let Some(base_url) = settings.base_url.clone() else { return Err(not_configured().into()) };
        let Some(Sent { endpoint, body }) = sent else {
            return Err(CaptureError::internal("passing on the request", "it was not kept").into());
        };
        let key = settings.read_key().map_err(|why| {
            let message = format!("the hosted service's key cannot be used: {why}; correct it");
            CaptureError::new(ErrorKind::BackendFailed, message).field("backend.hosted.key_file")
        })?;
        let mut exchange = Exchange::begin(&base_url, endpoint, &body);
        let call = Call {
            client: &self.client,
            settings: &settings,
            key: &key,
            host: base_url.host_str().unwrap_or_default(),
            url: format!("{}/api/v1{endpoint}", base_url.as_str().trim_end_matches('/')),
            body: &body,
            deadline,
            harmless,
        };
        let made = match call.carry_out(&mut exchange).await {
            Ok(delivered) => self.read(expected, delivered).await.map_err(|why| call.unfit(why)),
            Err(miss) => Err(miss),
        };
        match made {
            Ok(made) => {
                if let (Some(told), true) = (&made.told, metadata) {
                    exchange.response["metadata"] = told.clone();
                }
                Ok((made, exchange.record()))
            }
            Err(miss) => {
                let down = miss.down && (harmless || miss.untouched);
                let browser = Some(exchange.record());
                Err(Box::new(Failed { browser, down, ..Failed::from(miss.problem) }))
            }
        }
    }

    /// What was delivered, if it will do. Pictures are decoded for that, off the async threads.
    async fn read(&self, expected: Expected, delivered: Delivered) -> Result<Made, Unfit> {
        let reading = self.tasks.spawn_blocking(move || answer::read(&expected, delivered));
        let stopped = |_| Err("answered what brings its reader to a stop".to_owned().into());
        reading.await.unwrap_or_else(stopped)
    }

    async fn capture(&self, mut request: CaptureRequest) -> Result<CaptureResult, Box<Failed>> {
        if request.settings.page.session.is_some() {
            return Err(no_sessions().into());
        }
        if request.settings.altered_by().contains(&EXPAND) {
            return Err(no_expanding().into());
        }
        // What it says of the page it says beside the picture only.
        if let (true, Some(sent)) = (request.metadata, &mut request.sent) {
            Arc::make_mut(&mut sent.body)["response_type"] = json!("json");
        }
        let expected = Expected::Capture {
            product: request.settings.product.clone(),
            viewport: request.settings.page.viewport,
            max_pixels: request.max_pixels,
            metadata: request.metadata,
        };
        let (made, browser) = self.ask(request.sent, expected, request.deadline, true).await?;
        Ok(CaptureResult {
            by: BackendName::Hosted,
            pixels: made.pixels(),
            product: made.bytes.into(),
            original: None,
            companions: made.companions,
            facts: None,
            told: made.told,
            console: Vec::new(),
            network: Value::Null,
            snapshots: Snapshots::default(),
            browser,
            failed_attempts: Vec::new(),
        })
    }

    async fn steps(
        &self,
        request: SequenceRequest,
        reports: mpsc::Sender<StepReport>,
    ) -> Result<Value, Box<Failed>> {
        if request.page.session.is_some() {
            return Err(no_sessions().into());
        }
        // What steps did to an application cannot be undone: they are sent again only when the
        // service cannot have begun.
        let sent = request.sent.clone();
        let (made, browser) = self.ask(sent, Expected::Sequence, request.deadline, false).await?;
        let (told, by) = (made.told.unwrap_or_default(), browser.clone());
        let reading = self.tasks.spawn_blocking(move || steps::reports(&request, &told, &by));
        let read =
            reading.await.map_err(|error| CaptureError::internal("reading the steps", error))?;
        for report in read {
            if reports.send(report).await.is_err() {
                break;
            }
        }
        Ok(browser)
    }
}

impl Backend for Hosted {
    fn take(&self, request: CaptureRequest) -> Pending<'_, Result<CaptureResult, Box<Failed>>> {
        Box::pin(self.capture(request))
    }

    fn sequence(
        &self,
        request: SequenceRequest,
        reports: mpsc::Sender<StepReport>,
    ) -> Pending<'_, Result<Value, Box<Failed>>> {
        Box::pin(self.steps(request, reports))
    }

    fn open_session(&self, _: SessionRequest) -> Pending<'_, Result<(), CaptureError>> {
        Box::pin(async { Err(no_sessions()) })
    }

    fn close_session(&self, _: SessionId) -> Pending<'_, ()> {
        Box::pin(async {})
    }

    fn provenance(&self) -> Value {
        let settings: config::Hosted = self.config.borrow().backend.hosted.clone();
        json!({
            "backend": BackendName::Hosted,
            "base_url": settings.base_url.as_ref().map(crate::settings::presentable),
            "fallback": settings.fallback.word(),
        })
    }

    fn ready(&self) -> Result<(), String> {
        let configured = self.config.borrow().backend.hosted.base_url.is_some();
        if configured { Ok(()) } else { Err("no hosted backend is configured".to_owned()) }
    }
}

/// The hosted backend is asked for and is off.
pub fn not_configured() -> CaptureError {
    let message = "the hosted backend is not configured; the operator sets `base_url` in \
                   [backend.hosted], or ask with `X-Exhibit-Backend: chromium`";
    CaptureError::new(ErrorKind::BackendNotConfigured, message).field("x-exhibit-backend")
}

/// What only the local browser does.
const EXPAND: &str = "expandScrollers";

fn no_expanding() -> CaptureError {
    let message = "the hosted backend does not know `expandScrollers`; ask with `X-Exhibit-Backend: \
                   chromium`, or leave it out";
    CaptureError::new(ErrorKind::NotSupported, message).field(EXPAND)
}

/// Sessions are the local browser's.
pub fn no_sessions() -> CaptureError {
    let message = "the hosted backend has no sessions here; ask with `X-Exhibit-Backend: chromium`";
    CaptureError::new(ErrorKind::NotSupported, message).field("session_id")
}
