//! Owns the browser's session that reports every new window and every shared worker before its first
//! request. A new window waits until it is told to go on: one of a recorded page is handed to whoever
//! records that, any other goes on at once. A shared worker goes on when it is watched. A browser has one such session: whichever of several resumes a window first
//! resumes it for all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use tokio::sync::mpsc;

use super::page::Page;
use super::pipe::{CallError, Connection, Events, RawEvent};
use super::shared_workers::SharedWorkers;
use super::watcher::Line;
use crate::tasks::Tasks;

/// What hears of all windows of a browser.
#[derive(Debug)]
pub(super) struct Hub {
    connection: Connection,
    windows: Mutex<Windows>,
    workers: SharedWorkers,
    tasks: Tasks,
}

#[derive(Debug, Default)]
struct Windows {
    /// Who records the windows of which context.
    recorded: HashMap<String, Recorder>,
    /// Target and context of every window there is, by the session that waits on it.
    there: HashMap<String, (String, String)>,
}

/// Who records the windows of a context.
#[derive(Debug)]
struct Recorder {
    /// The page that opens them: no window of its own, though the browser may tell of it late.
    page: String,
    changes: mpsc::UnboundedSender<Change>,
}

/// What became of the windows of a context.
#[derive(Debug)]
pub(super) enum Change {
    /// There is one more.
    Opened(Newcomer),
    /// The target is gone.
    Gone(String),
}

/// A window that waits. It goes on when this is dropped, at the latest.
#[derive(Debug)]
pub(super) struct Newcomer {
    /// Its target.
    pub(super) target: String,
    line: Line,
    tasks: Tasks,
    waits: bool,
}

impl Newcomer {
    /// Let it go on.
    pub(super) async fn go_on(mut self) {
        self.waits = false;
        resume(&self.line).await;
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        if self.waits {
            let line = self.line.clone();
            drop(self.tasks.spawn(async move { resume(&line).await }));
        }
    }
}

async fn resume(line: &Line) {
    let resumed = line.call::<IgnoredAny>("Runtime.runIfWaitingForDebugger", json!({})).await;
    if let Err(error) = resumed {
        tracing::debug!(%error, "a window was gone before it could go on");
    }
}

/// The windows of a context, until this is dropped.
#[derive(Debug)]
pub(super) struct Arrivals {
    hub: Arc<Hub>,
    context: String,
    changes: mpsc::UnboundedReceiver<Change>,
}

impl Arrivals {
    /// The next change; none when the browser is gone.
    pub(super) async fn next(&mut self) -> Option<Change> {
        self.changes.recv().await
    }

    /// A change that has come about already.
    pub(super) fn known(&mut self) -> Option<Change> {
        self.changes.try_recv().ok()
    }

    /// Hear of no more windows: all there were are among the changes.
    pub(super) fn close(&mut self) {
        self.hub.windows().recorded.remove(&self.context);
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.close();
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attached {
    session_id: String,
    target_info: TargetInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TargetInfo {
    target_id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    browser_context_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    session_id: String,
}

impl Hub {
    /// Hear of the windows of a browser from now on.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn start(
        connection: &Connection,
        tasks: &Tasks,
    ) -> Result<Arc<Self>, CallError> {
        // A session of its own with the browser, whose events are nobody else's.
        let browser = Line { connection: connection.clone(), session: String::new() };
        let own: Session = browser.call("Target.attachToBrowserTarget", json!({})).await?;
        let events = connection.subscribe(&own.session_id);
        let line = Line { connection: connection.clone(), session: own.session_id };
        let (windows, workers) = (Mutex::default(), SharedWorkers::default());
        let (connection, tasks) = (connection.clone(), tasks.clone());
        let hub = Arc::new(Self { connection, windows, workers, tasks: tasks.clone() });
        drop(tasks.spawn(Arc::clone(&hub).run(events)));
        let params = json!({
            "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true,
            "filter": [{ "type": "page" }, { "type": "shared_worker" }],
        });
        line.call::<IgnoredAny>("Target.setAutoAttach", params).await?;
        Ok(hub)
    }

    /// Watch the shared workers of the context of `page` with it.
    pub(super) fn watch_workers_of(&self, page: &Page) {
        self.workers.follow(page);
    }

    /// Hear of the windows of `context` but for its page `first`, those that are there included.
    pub(super) fn follow(self: &Arc<Self>, context: &str, first: &str) -> Arrivals {
        let (sender, changes) = mpsc::unbounded_channel();
        let mut windows = self.windows();
        for (session, (target, of)) in &windows.there {
            if of == context && target != first {
                // The other end is below.
                drop(sender.send(Change::Opened(self.newcomer(session, target))));
            }
        }
        let recorder = Recorder { page: first.to_owned(), changes: sender };
        windows.recorded.insert(context.to_owned(), recorder);
        Arrivals { hub: Arc::clone(self), context: context.to_owned(), changes }
    }

    async fn run(self: Arc<Self>, mut events: Events) {
        while let Some(event) = events.next().await {
            match event.method.as_str() {
                "Target.attachedToTarget" => self.attached(&event),
                "Target.detachedFromTarget" => self.detached(&event),
                _ => {}
            }
            if events.newly_lost() > 0 {
                tracing::error!("windows may wait for ever: too many events at once");
            }
        }
        // Whoever records windows hears that there are none any more.
        self.windows().recorded.clear();
    }

    fn attached(&self, event: &RawEvent) {
        let Some(Attached { session_id, target_info }) = event.read() else { return };
        let TargetInfo { target_id, kind, browser_context_id: context } = target_info;
        if kind == "shared_worker" && self.workers.adopt(&context, event) {
            return;
        }
        let newcomer = self.newcomer(&session_id, &target_id);
        if kind != "page" {
            // Nobody watches it any more; it goes on, as what is dropped does.
            return;
        }
        let mut windows = self.windows();
        windows.there.insert(session_id, (target_id, context.clone()));
        let recorder = windows.recorded.get(&context);
        if let Some(recorder) = recorder.filter(|recorder| recorder.page != newcomer.target) {
            // Where nobody listens, it goes on.
            drop(recorder.changes.send(Change::Opened(newcomer)));
        }
    }

    fn detached(&self, event: &RawEvent) {
        let Some(Session { session_id }) = event.read() else { return };
        let mut windows = self.windows();
        let Some((target, context)) = windows.there.remove(&session_id) else { return };
        if let Some(recorder) = windows.recorded.get(&context) {
            drop(recorder.changes.send(Change::Gone(target)));
        }
    }

    fn newcomer(&self, session: &str, target: &str) -> Newcomer {
        let line = Line { connection: self.connection.clone(), session: session.to_owned() };
        Newcomer { target: target.to_owned(), line, tasks: self.tasks.clone(), waits: true }
    }

    fn windows(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
