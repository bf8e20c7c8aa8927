//! The local Chromium as a backend. This file owns its life: one browser is kept running and is
//! replaced when it dies, hangs or grows old; a capture that lost its browser is tried once more.
//! Nothing of Chromium's protocol leaves this folder.

mod act;
mod aria;
mod edit;
mod emulate;
mod events;
pub mod find;
mod instance;
mod launch;
mod load;
mod nearest;
mod network;
mod observe;
mod outline;
mod page;
mod picture;
mod pipe;
mod print;
mod product;
mod script;
mod sessions;
mod snapshot;
mod steps;
mod take;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use self::instance::Instance;
use self::launch::{Process, Recipe};
use self::load::Trouble;
use self::page::Page;
use self::pipe::CallError;
use self::sessions::{Held, Sessions};
use crate::backend::{
    Backend, BackendName, Failed, FailedAttempt, Order, Pending, SequenceOrder, SessionOrder,
    StepReport, Taken,
};
use crate::config;
use crate::digest::Digest;
use crate::error::{Code, Problem, chain};
use crate::id::SessionId;
use crate::tasks::Tasks;

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
    settings: config::Browser,
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
        settings: &config::Browser,
        session_limit: Duration,
        tasks: &Tasks,
    ) -> Result<Self, Problem> {
        let binary = find::browser(settings.path.as_deref())?;
        if settings.sandbox && rustix::process::geteuid().is_root() {
            let message = "Chromium's sandbox does not work for root; run the daemon as a user of \
                           its own (systemd/exhibit.service does), or, only on a CI machine, set \
                           `sandbox = false` in [browser]";
            return Err(Problem::new(Code::BrowserUnavailable, message).field("browser.sandbox"));
        }
        let swept = launch::sweep(&settings.runtime);
        swept.map_err(|error| Problem::internal("clearing the browser's runtime folder", error))?;
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
    pub async fn started(&self) -> Result<(), Problem> {
        let deadline = Instant::now() + self.0.settings.patience * 2;
        self.instance(deadline).await.map(drop)
    }

    /// The browser to use now, waiting for one that is just being started.
    async fn instance(&self, deadline: Instant) -> Result<Arc<Instance>, Problem> {
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
                Err(Problem::new(Code::ShuttingDown, message))
            }
        }
    }

    async fn take_with_retry(&self, order: &Order) -> Result<Taken, Box<Failed>> {
        let mut failed_attempts = Vec::new();
        loop {
            let again = !failed_attempts.is_empty();
            let attempt = self.attempt(order, again).await;
            let failed = match attempt {
                Ok(mut taken) => {
                    taken.failed_attempts = failed_attempts;
                    return Ok(taken);
                }
                Err(failed) => failed,
            };
            let lost =
                matches!(failed.problem.code, Code::RendererCrashed | Code::BrowserUnavailable);
            // What a session's page was like cannot be made again.
            let lost = lost && order.settings.page.session.is_none();
            if !lost || again || Instant::now() >= order.deadline {
                return Err(Box::new(Failed { failed_attempts, ..*failed }));
            }
            tracing::warn!(code = %failed.problem.code, "a capture lost its browser; it is tried again");
            failed_attempts.push(FailedAttempt {
                code: failed.problem.code.as_str(),
                message: failed.problem.message.clone(),
                browser: None,
            });
        }
    }

    /// Take the steps of a sequence, once: what they did to the application cannot be undone, so
    /// they are not tried again.
    async fn steps(
        &self,
        mut order: SequenceOrder,
        reports: mpsc::Sender<StepReport>,
    ) -> Result<(), Problem> {
        let (deadline, session) = (order.deadline, order.page.session);
        let mut run = async |page: &Page, instance: &Instance| {
            order.product = instance.product();
            let run = steps::run(page, instance, &order, &reports);
            let outcome = tokio::time::timeout_at(deadline, run).await;
            outcome.unwrap_or_else(|_| Err(out_of_time().into())).map_err(into_problem)
        };
        if let Some(id) = session {
            let held = self.0.sessions.hold(id, deadline).await?;
            let held = held.as_ref().ok_or_else(|| unavailable("the session is closed"))?;
            return run(&held.page, &held.instance).await;
        }
        let instance = self.instance(deadline).await?;
        let token = instance.under_way();
        let page = tokio::time::timeout_at(deadline, instance.page()).await;
        let page =
            page.map_err(|_| out_of_time())?.ok_or_else(|| unavailable("the browser died"))?;
        let outcome = run(&page, &instance).await;
        self.let_go(page, instance, token);
        outcome
    }

    async fn attempt(&self, order: &Order, again: bool) -> Result<Taken, Box<Failed>> {
        if let Some(id) = order.settings.page.session {
            let held = self.0.sessions.hold(id, order.deadline).await.map_err(boxed)?;
            return match held.as_ref() {
                Some(held) => attempt_on(&held.page, &held.instance, order).await,
                None => Err(boxed(unavailable("the session is closed"))),
            };
        }
        let begun = Instant::now();
        let instance = self.instance(order.deadline).await.map_err(boxed)?;
        let token = instance.under_way();
        let page =
            async { if again { instance.proven_page().await } else { instance.page().await } };
        let page = match tokio::time::timeout_at(order.deadline, page).await {
            Ok(Some(page)) => page,
            Ok(None) => return Err(boxed(unavailable("the browser died"))),
            Err(_) => return Err(boxed(out_of_time())),
        };
        let page_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        page.observed().facts.timings.page_ms = page_ms;
        let result = attempt_on(&page, &instance, order).await;
        self.let_go(page, instance, token);
        result
    }

    /// Open a session's page.
    async fn open(&self, order: SessionOrder) -> Result<(), Problem> {
        let SessionOrder { id, page: settings, deadline, policy } = order;
        let instance = self.instance(deadline).await?;
        let token = instance.under_way();
        let page = tokio::time::timeout_at(deadline, instance.page()).await;
        let page =
            page.map_err(|_| out_of_time())?.ok_or_else(|| unavailable("the browser died"))?;
        page.observed().set_policy(policy);
        match emulate::prepare(&page, &settings, false).await {
            Ok(()) => {
                self.0.sessions.keep(id, Held { page, instance, token });
                Ok(())
            }
            Err(trouble) => {
                self.let_go(page, instance, token);
                Err(into_problem(trouble))
            }
        }
    }

    /// Dispose of a page that was used; its caller need not wait for that.
    fn let_go(&self, page: Page, instance: Arc<Instance>, token: TaskTrackerToken) {
        instance.count_capture(self.0.settings.recycle_after);
        drop(self.0.tasks.spawn(async move {
            close(page, &instance).await;
            drop(token);
        }));
    }
}

/// One attempt at a capture on `page`.
async fn attempt_on(page: &Page, instance: &Instance, order: &Order) -> Result<Taken, Box<Failed>> {
    let browser = instance.product();
    let taking = take::take(page, order, &browser);
    let outcome = tokio::time::timeout_at(order.deadline, taking).await;
    let outcome = outcome.unwrap_or_else(|_| Err(out_of_time().into()));
    match outcome {
        Ok(made) => Ok(Taken {
            by: BackendName::Chromium,
            product: made.bytes,
            pixels: made.pixels,
            companions: made.companions,
            facts: Some(made.facts),
            told: None,
            console: made.console,
            network: made.network,
            snapshots: made.snapshots,
            browser: instance.provenance.clone(),
            failed_attempts: Vec::new(),
        }),
        Err(trouble) => {
            let (mut facts, forbidden) = {
                let seen = page.observed();
                (seen.facts.clone(), seen.forbidden.is_some())
            };
            // A renderer that dies while it is asked to navigate looks like an aborted navigation.
            let died = page.observed().crashed && !matches!(trouble, Trouble::Call(_));
            let trouble = if died { CallError::SessionGone.into() } else { trouble };
            let problem = into_problem(trouble);
            if forbidden || problem.code == Code::TargetForbidden {
                facts.withhold_words();
            }
            let facts = Some(Box::new(facts));
            Err(Box::new(Failed { facts, ..Failed::from(problem) }))
        }
    }
}

async fn close(page: Page, instance: &Instance) {
    if !page.close().await {
        tracing::warn!("a browser that does not let go of its pages is replaced");
        instance.ask_for_successor();
    }
}

impl Backend for Chromium {
    fn sequence(
        &self,
        order: SequenceOrder,
        reports: mpsc::Sender<StepReport>,
    ) -> Pending<'_, Result<Value, Box<Failed>>> {
        Box::pin(async move { Ok(self.steps(order, reports).await.map(|()| Value::Null)?) })
    }

    fn take(&self, order: Order) -> Pending<'_, Result<Taken, Box<Failed>>> {
        Box::pin(async move { self.take_with_retry(&order).await })
    }

    fn open_session(&self, order: SessionOrder) -> Pending<'_, Result<(), Problem>> {
        Box::pin(async move { self.open(order).await })
    }

    fn close_session(&self, id: SessionId) -> Pending<'_, ()> {
        Box::pin(async move {
            if let Some(Held { page, instance, token }) = self.0.sessions.release(id).await {
                self.let_go(page, instance, token);
            }
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

fn digest_of(binary: &Path) -> Result<Digest, Problem> {
    let read = std::fs::File::open(binary).and_then(Digest::of_reader);
    read.map(|(digest, _)| digest)
        .map_err(|error| unavailable(&format!("cannot read {}", binary.display())).because(error))
}

fn boxed(problem: Problem) -> Box<Failed> {
    Box::new(problem.into())
}

fn unavailable(what: &str) -> Problem {
    Problem::new(Code::BrowserUnavailable, format!("{what}; `exhibit doctor` looks for the cause"))
}

fn out_of_time() -> Problem {
    let message = "the capture did not finish within `capture.deadline`; ask for less, or raise it";
    Problem::new(Code::RequestTimeout, message)
}

fn into_problem(trouble: Trouble) -> Problem {
    let call = match trouble {
        Trouble::Problem(problem) => return problem,
        Trouble::Call(call) => call,
    };
    match &call {
        CallError::Closed => unavailable("the browser died").because(call),
        CallError::SessionGone => {
            let message = "the page's renderer died; check the page, or give the host more memory";
            Problem::new(Code::RendererCrashed, message).because(call)
        }
        CallError::Timeout { .. } => {
            let message = "the page's scripts did not let the browser answer; check the page";
            Problem::new(Code::RequestTimeout, message).because(call)
        }
        CallError::Refused { .. } | CallError::Malformed { .. } => {
            let message =
                "the browser could not do what the capture needs; the daemon's log says why";
            Problem::new(Code::NavigationFailed, message).because(call)
        }
    }
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
