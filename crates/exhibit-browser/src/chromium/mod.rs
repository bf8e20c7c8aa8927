//! The local Chromium as a backend. This file owns its life: one browser is kept running and is
//! replaced when it dies, hangs or grows old; a capture that lost its browser is tried once more.
//! Nothing of Chromium's protocol leaves this folder.

mod act;
mod aria;
mod bound;
mod cut;
mod document;
mod downloads;
mod edit;
mod element;
mod emulate;
mod ends;
mod error;
mod events;
pub mod find;
mod frames;
mod hub;
mod injected;
mod instance;
mod launch;
mod limits;
mod load;
mod look;
mod mask;
mod nearest;
mod net_error;
mod network;
mod observe;
mod outline;
mod page;
mod picture;
mod pipe;
mod print;
mod product;
mod product_request;
mod record;
mod recording;
mod screenshot;
mod script;
mod segments;
mod sessions;
mod settings;
mod shared_workers;
mod shown;
mod snapshot;
mod steps;
mod stream;
mod take;
mod typed;
mod view;
mod watcher;
mod windows;
mod work;

pub use self::settings::BrowserSettings;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::error::unavailable;
use self::instance::Instance;
use self::launch::{Process, Recipe};
use self::pipe::CallError;
use self::sessions::{Held, Sessions};
use crate::backend::{
    Backend, CaptureRequest, CaptureResult, Failed, Pending, Recorded, RecordingRequest,
    SequenceRequest, SessionRequest, StepReport,
};
use crate::error::{CaptureError, ErrorKind};
use crate::tasks::Tasks;
use exhibit_tlog::digest::Digest;
use exhibit_verify::cause::chain;
use exhibit_verify::id::SessionId;

/// Longest wait between two attempts at starting a browser.
const BACK_OFF_LIMIT: Duration = Duration::from_secs(10);
/// How long a browser that is replaced may finish its captures; sessions may take longer.
const RETIRE_LIMIT: Duration = Duration::from_secs(180);
/// A browser that lived this long did not fail because of how it was started.
const STABLE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
enum State {
    Starting,
    Ready(Arc<Instance>),
    /// It cannot be started; it is tried again.
    Down(String),
    Stopped,
}

#[derive(Debug)]
struct Shared {
    recipe: Recipe,
    settings: BrowserSettings,
    tasks: Tasks,
    state: watch::Sender<State>,
    stop: CancellationToken,
    sessions: Sessions,
    /// How long a browser that is replaced may go on.
    retire_limit: Duration,
}

/// The local browser, kept running.
#[derive(Clone, Debug)]
pub struct Chromium(Arc<Shared>);

/// Why a browser's time is over.
enum End {
    Died,
    Hung,
    Replaced,
    Stopped,
}

impl Chromium {
    /// Find the browser and begin to keep one running. A session lives for `session_limit` at
    /// most; `tasks` carries what runs beside it.
    ///
    /// # Errors
    /// `browser_unavailable` when there is none, or when it may not run like this.
    pub fn start(
        settings: &BrowserSettings,
        session_limit: Duration,
        tasks: &Tasks,
    ) -> Result<Self, CaptureError> {
        let binary = find::browser(settings.path.as_deref())?;
        if settings.sandbox && rustix::process::geteuid().is_root() {
            let message = "Chromium's sandbox does not work for root; run the daemon as a user of \
                           its own (systemd/exhibit.service does), or, only on a CI machine, set \
                           `sandbox = false` in [browser]";
            return Err(
                CaptureError::new(ErrorKind::BrowserUnavailable, message).field("browser.sandbox")
            );
        }
        let swept = launch::sweep(&settings.runtime);
        swept.map_err(|error| {
            CaptureError::internal("clearing the browser's runtime folder", error)
        })?;
        let binary_sha256 = digest_of(&binary)?;
        let recipe = Recipe {
            binary,
            binary_sha256,
            sandbox: settings.sandbox,
            runtime: settings.runtime.clone(),
            patience: settings.patience,
        };
        if !recipe.sandbox {
            tracing::warn!(
                "Chromium runs without its sandbox, because the configuration asks for it"
            );
        }
        let shared = Arc::new(Shared {
            recipe,
            settings: settings.clone(),
            tasks: tasks.clone(),
            state: watch::Sender::new(State::Starting),
            stop: CancellationToken::new(),
            sessions: Sessions::default(),
            retire_limit: session_limit.saturating_add(RETIRE_LIMIT),
        });
        drop(tasks.spawn(supervise(Arc::clone(&shared))));
        Ok(Self(shared))
    }

    /// End the browser, once the captures under way are done, and wait for its end.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        let mut state = self.0.state.subscribe();
        let stopped = state.wait_for(|state| matches!(state, State::Stopped)).await;
        if stopped.is_err() {
            tracing::debug!("the browser's supervisor is gone already");
        }
    }

    /// Give up the captures under way, so that what waits for them can go on; then stop.
    pub fn abort(&self) {
        self.0.stop.cancel();
        if let State::Ready(instance) = &*self.0.state.borrow() {
            instance.connection.close();
        }
    }

    /// Completes when the browser takes captures.
    ///
    /// # Errors
    /// `browser_unavailable` when it cannot be started.
    pub async fn started(&self) -> Result<(), CaptureError> {
        let deadline = Instant::now() + self.0.settings.patience * 2;
        self.instance(deadline).await.map(drop)
    }

    /// The browser to use now, waiting for one that is just being started.
    async fn instance(&self, deadline: Instant) -> Result<Arc<Instance>, CaptureError> {
        let mut state = self.0.state.subscribe();
        let settled = state.wait_for(|state| match state {
            State::Ready(instance) => !instance.connection.is_closed(),
            State::Starting => false,
            State::Down(_) | State::Stopped => true,
        });
        let state = match tokio::time::timeout_at(deadline, settled).await {
            Ok(Ok(state)) => state.clone(),
            Ok(Err(_)) => State::Stopped,
            Err(_) => State::Starting,
        };
        match state {
            State::Ready(instance) => Ok(instance),
            State::Down(why) => Err(unavailable(&format!("the browser cannot be started: {why}"))),
            State::Starting => Err(unavailable("the browser did not start in time")),
            State::Stopped => {
                let message = "the daemon is stopping; ask again when it has been started";
                Err(CaptureError::new(ErrorKind::ShuttingDown, message))
            }
        }
    }
}

impl Backend for Chromium {
    fn sequence(
        &self,
        request: SequenceRequest,
        reports: mpsc::Sender<StepReport>,
    ) -> Pending<'_, Result<Value, Box<Failed>>> {
        Box::pin(async move {
            let taken = Box::pin(self.steps(request, reports, None)).await;
            Ok(taken.map(|_| Value::Null)?)
        })
    }

    fn record_sequence(
        &self,
        request: SequenceRequest,
        reports: mpsc::Sender<StepReport>,
        recording: RecordingRequest,
    ) -> Pending<'_, Result<Recorded, CaptureError>> {
        Box::pin(async move {
            let recorded = Box::pin(self.steps(request, reports, Some(recording))).await?;
            recorded.ok_or_else(|| unavailable("nothing was recorded"))
        })
    }

    fn start_recording(
        &self,
        session: SessionId,
        request: RecordingRequest,
    ) -> Pending<'_, Result<(), CaptureError>> {
        Box::pin(async move { self.record(session, request).await })
    }

    fn stop_recording(&self, session: SessionId) -> Pending<'_, Result<Recorded, CaptureError>> {
        Box::pin(async move { self.end_recording(session).await })
    }

    fn take(&self, request: CaptureRequest) -> Pending<'_, Result<CaptureResult, Box<Failed>>> {
        Box::pin(async move { self.take_with_retry(&request).await })
    }

    fn open_session(&self, request: SessionRequest) -> Pending<'_, Result<(), CaptureError>> {
        Box::pin(async move { self.open(request).await })
    }

    fn close_session(&self, id: SessionId) -> Pending<'_, ()> {
        Box::pin(async move {
            let Some(held) = self.0.sessions.release(id).await else { return };
            let Held { page, instance, token, recorder } = held;
            // Whoever records it was to end that before: so that its file is whole.
            if let Some(recorder) = recorder
                && let Err(problem) = recorder.stop(&page).await
            {
                tracing::warn!(%problem, "the recording of a closed session broke");
            }
            self.let_go(page, instance, token);
        })
    }

    fn provenance(&self) -> Value {
        match &*self.0.state.borrow() {
            State::Ready(instance) => instance.provenance.clone(),
            _ => self.0.recipe.provenance(&Value::Null),
        }
    }

    fn ready(&self) -> Result<(), String> {
        match &*self.0.state.borrow() {
            State::Ready(instance) if !instance.connection.is_closed() => Ok(()),
            State::Ready(_) | State::Starting => Err("the browser is being started".to_owned()),
            State::Down(why) => Err(format!("the browser cannot be started: {why}")),
            State::Stopped => Err("the browser is stopped".to_owned()),
        }
    }
}

fn digest_of(binary: &Path) -> Result<Digest, CaptureError> {
    let read = std::fs::File::open(binary).and_then(Digest::of_reader);
    read.map(|(digest, _)| digest)
        .map_err(|error| unavailable(&format!("cannot read {}", binary.display())).because(error))
}

fn boxed(problem: CaptureError) -> Box<Failed> {
    Box::new(problem.into())
}

/// Keep a browser running until told to stop.
async fn supervise(shared: Arc<Shared>) {
    let mut back_off = Duration::from_millis(100);
    let mut retiring: Option<(Process, Arc<Instance>)> = None;
    while !shared.stop.is_cancelled() {
        let launched = tokio::select! {
            launched = Process::launch(&shared.recipe, &shared.tasks) => launched,
            () = shared.stop.cancelled() => break,
        };
        let mut process = match launched {
            Ok(process) => process,
            Err(error) => {
                tracing::error!(error = chain(&error), "the browser cannot be started");
                if retiring.is_none() {
                    shared.state.send_replace(State::Down(chain(&error)));
                }
                pause(&shared, &mut back_off).await;
                continue;
            }
        };
        let provenance = shared.recipe.provenance(&process.version);
        let connection = process.connection.clone();
        let prepared = shared.settings.prepared;
        let instance = Instance::start(connection, provenance, prepared, &shared.tasks);
        let version = process.version["product"].as_str().unwrap_or_default();
        tracing::info!(pid = process.pid(), version, "the browser runs");
        shared.state.send_replace(State::Ready(Arc::clone(&instance)));
        if let Some(old) = retiring.take() {
            drop(shared.tasks.spawn(retire(old, shared.retire_limit)));
        }
        let begun = Instant::now();
        match watch_over(&shared, &mut process, &instance).await {
            End::Replaced => {
                tracing::info!("the browser is replaced by a fresh one");
                retiring = Some((process, instance));
                continue;
            }
            End::Stopped => {
                retiring = Some((process, instance));
                break;
            }
            End::Died => tracing::error!(pid = process.pid(), "the browser died"),
            End::Hung => tracing::error!(pid = process.pid(), "the browser hangs and is killed"),
        }
        shared.state.send_replace(State::Starting);
        process.end().await;
        if begun.elapsed() >= STABLE {
            back_off = Duration::from_millis(100);
        }
        pause(&shared, &mut back_off).await;
    }
    if let Some(last) = retiring {
        retire(last, RETIRE_LIMIT).await;
    }
    shared.state.send_replace(State::Stopped);
}

/// Wait before the next attempt, each time twice as long.
async fn pause(shared: &Shared, back_off: &mut Duration) {
    tokio::select! {
        () = tokio::time::sleep(*back_off) => {}
        () = shared.stop.cancelled() => {}
    }
    *back_off = (*back_off * 2).min(BACK_OFF_LIMIT);
}

/// Let the captures under way finish, then end the browser.
async fn retire((process, instance): (Process, Arc<Instance>), limit: Duration) {
    instance.idle(limit).await;
    process.end().await;
}

/// Completes when the browser's time is over.
async fn watch_over(shared: &Shared, process: &mut Process, instance: &Instance) -> End {
    let connection = process.connection.clone();
    loop {
        tokio::select! {
            _ = process.ended() => return End::Died,
            () = connection.closed() => return End::Died,
            () = instance.successor_wanted() => return End::Replaced,
            () = shared.stop.cancelled() => return End::Stopped,
            () = tokio::time::sleep(shared.settings.probe_every) => {}
        }
        let patience = shared.settings.patience;
        match connection.call_raw("", "Browser.getVersion", json!({}), patience).await {
            Err(CallError::Timeout { .. }) => return End::Hung,
            Err(CallError::Closed) => return End::Died,
            _ => {}
        }
    }
}
