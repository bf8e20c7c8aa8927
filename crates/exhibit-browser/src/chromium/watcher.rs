//! Owns what runs beside each session of a page: it takes note of its events, and acts on the few
//! that need it.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use chromiumoxide_cdp::cdp::browser_protocol::page;
use chromiumoxide_cdp::cdp::browser_protocol::target::SetAutoAttachParams;
use futures_util::future::join_all;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::events::ScreencastFrame;
use super::injected::on_every_document;
use super::limits::QUICK;
use super::observe::{Observed, PAGE, Reaction};
use super::pipe::{CallError, Connection, Events, RawEvent};
use crate::masks::Masks;
use crate::tasks::Tasks;
use crate::video::{Frame, Message};

/// What a page was seen doing, and a signal that it did something.
pub(super) struct PageActivity {
    observed: Mutex<Observed>,
    /// Where frames go while the page is recorded.
    frames: Mutex<Option<Sender<Message>>>,
    /// The parts of the page with sessions of their own.
    parts: Mutex<Vec<Line>>,
    /// What each of them is told before it begins.
    commands: Mutex<Vec<CdpCommand>>,
    pub(super) changed: watch::Sender<()>,
}

impl PageActivity {
    pub(super) fn new(observed: Observed) -> Self {
        let (observed, changed) = (Mutex::new(observed), watch::Sender::new(()));
        let (frames, parts, commands) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { observed, frames, parts, commands, changed }
    }

    /// What was seen. Not to be held across an await.
    pub(super) fn observed(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The parts of the page with sessions of their own. Not to be held across an await.
    pub(super) fn parts(&self) -> MutexGuard<'_, Vec<Line>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What each part is told before it begins. Not to be held across an await.
    pub(super) fn commands(&self) -> MutexGuard<'_, Vec<CdpCommand>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where frames go. Not to be held across an await.
    pub(super) fn frames(&self) -> MutexGuard<'_, Option<Sender<Message>>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command without an answer of interest, with its parameters.
pub(super) type CdpCommand = (&'static str, Value);

/// The way to call a page, for what runs beside it.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) connection: Connection,
    pub(super) session: String,
}

impl Line {
    /// Call a command on the page and read its answer.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
    ) -> Result<T, CallError> {
        let answer = self.connection.call_raw(&self.session, method, params, QUICK).await?;
        serde_json::from_str(answer.get())
            .map_err(|source| CallError::Malformed { method: method.to_owned(), source })
    }
}

impl Line {
    /// Call all `commands`, in this order and without waiting for the answers in between: who waits for
    /// the last may answer none before. Not every kind of part knows all of them, and one that is gone
    /// needs none.
    pub(super) async fn send_all(&self, commands: Vec<CdpCommand>) {
        let calls = commands.into_iter().map(|(method, params)| async move {
            if let Err(error) = self.call::<IgnoredAny>(method, params).await {
                tracing::debug!(method, %error, "a part of a page does not do as it is told");
            }
        });
        join_all(calls).await;
    }
}

/// What runs beside a session of a page: takes note of each event and acts on the few that need
/// it.
pub(super) struct Watch {
    line: Line,
    /// [`PAGE`], or the number of the part.
    number: u32,
    seen: Arc<PageActivity>,
    tasks: Tasks,
}

impl Watch {
    /// What watches a page itself.
    pub(super) fn of_page(line: Line, seen: Arc<PageActivity>, tasks: &Tasks) -> Self {
        Self { line, number: PAGE, seen, tasks: tasks.clone() }
    }

    pub(super) async fn run(self, mut events: Events) {
        let mut parts = 0;
        let mut silenced: Option<Instant> = None;
        while let Some(event) = events.next().await {
            if event.method == "Page.screencastFrame" {
                self.frame(&event);
                continue;
            }
            let flooding = events.newly_flooding();
            let (reaction, forbidden) = {
                let mut observed = self.seen.observed();
                observed.facts.events_lost += events.newly_lost();
                if flooding {
                    observed.console_flooded();
                }
                let before = observed.may_be_shown().is_err();
                let reaction = observed.note(self.number, &event, Instant::now());
                (reaction, observed.may_be_shown().is_err() && !before)
            };
            // What is under way when it is silenced still arrives.
            if flooding && silenced.is_none_or(|at| at.elapsed() > QUICK) {
                silenced = Some(Instant::now());
                self.silence();
            }
            if forbidden && let Some(frames) = &*self.seen.frames() {
                // The answer is told of before anything that is made of it is shown.
                let _ = frames.send(Message::Forbid);
            }
            match reaction {
                Reaction::None => {}
                Reaction::Crashed => self.line.connection.end_session(&self.line.session),
                Reaction::AnswerDialog(accept) => {
                    let params = page::HandleJavaScriptDialogParams::new(accept);
                    if let Err(error) =
                        self.line.connection.call(&self.line.session, params, QUICK).await
                    {
                        tracing::debug!(%error, "a dialog was not answered");
                    }
                }
                Reaction::LetLoad(id) => {
                    self.answer("Fetch.continueRequest", json!({ "requestId": id }));
                }
                Reaction::Block(id) => {
                    let reason = json!({ "requestId": id, "errorReason": "BlockedByClient" });
                    self.answer("Fetch.failRequest", reason);
                }
                Reaction::Attach(session) => {
                    parts += 1;
                    // Numbers need only differ within one page; frames within frames share few.
                    let number = self.number * 1_000 + parts;
                    self.watch_part(session, number);
                }
            }
            self.seen.changed.send_replace(());
        }
        if self.number == PAGE {
            // Whoever records the page hears that there is nothing more to come.
            let frames = self.seen.frames().take();
            drop(frames.map(|frames| frames.send(Message::Gone)));
        } else {
            self.seen.parts().retain(|part| part.session != self.line.session);
            self.seen.observed().part_ended(self.number, Instant::now());
        }
        self.seen.changed.send_replace(());
    }

    /// Hand a frame on to whoever records the page; the browser is told when it was taken.
    fn frame(&self, event: &RawEvent) {
        let Some(frame) = event.read::<ScreencastFrame>() else { return };
        let number = frame.session_id;
        let (line, tasks) = (self.line.clone(), self.tasks.clone());
        let taken = move || {
            drop(tasks.spawn(async move {
                let params = json!({ "sessionId": number });
                let done = line.call::<IgnoredAny>("Page.screencastFrameAck", params);
                if let Err(error) = done.await {
                    tracing::debug!(%error, "a frame was not acknowledged");
                }
            }));
        };
        // Of use to nobody, but the browser waits for the word.
        let Some(at) = frame.metadata.timestamp else { return taken() };
        if let Some(frames) = &*self.seen.frames() {
            let frame = Frame { jpeg: frame.data, at, taken: Box::new(taken) };
            // A recording that has ended by itself takes no more.
            let _ = frames.send(Message::Frame(frame));
        }
    }

    /// Have the browser tell no more of the console of a session that floods it: all pages share one
    /// pipe. What goes over the network is told all the same.
    fn silence(&self) {
        tracing::warn!(
            session = self.line.session,
            "a console floods and is not listened to any more"
        );
        let line = self.line.clone();
        drop(self.tasks.spawn(async move {
            let (runtime, log) = tokio::join!(
                line.call::<IgnoredAny>("Runtime.disable", json!({})),
                line.call::<IgnoredAny>("Log.disable", json!({})),
            );
            if let Err(error) = runtime.and(log) {
                tracing::debug!(%error, "a console that floods was not silenced");
            }
        }));
    }

    /// Tell the browser what becomes of a request that waits; other events need not wait for it.
    fn answer(&self, method: &'static str, params: Value) {
        let line = self.line.clone();
        drop(self.tasks.spawn(async move {
            if let Err(error) = line.call::<IgnoredAny>(method, params).await {
                tracing::debug!(%error, "a request that waited was not answered");
            }
        }));
    }

    /// Watch a part of the page from its first request on: it waits until told to go on.
    fn watch_part(&self, session: String, number: u32) {
        let (connection, tasks) = (self.line.connection.clone(), self.tasks.clone());
        let events = connection.subscribe(&session);
        let seen = Arc::clone(&self.seen);
        let (blocking, masks) = {
            let seen = seen.observed();
            (seen.is_blocking(), seen.masks())
        };
        let line = Line { connection, session };
        seen.parts().push(line.clone());
        let commands = introduction(&seen.commands(), blocking, &masks);
        let part = Self { line: line.clone(), number, seen, tasks };
        drop(self.tasks.spawn(Box::pin(part.run(events))));
        drop(self.tasks.spawn(async move { line.send_all(commands).await }));
    }
}

/// A page, as long as it is there, for parts of it that others hear of.
pub(super) struct Owner {
    line: Line,
    seen: Weak<PageActivity>,
    tasks: Tasks,
}

impl Owner {
    pub(super) fn of(line: Line, seen: &Arc<PageActivity>, tasks: &Tasks) -> Self {
        Self { line, seen: Arc::downgrade(seen), tasks: tasks.clone() }
    }

    /// Whether the page is there.
    pub(super) fn is_there(&self) -> bool {
        self.seen.strong_count() > 0
    }

    /// Watch the part that `event` tells of as one of the page's; false when the page is gone.
    pub(super) fn adopt(&self, event: &RawEvent, number: u32) -> bool {
        let Some(seen) = self.seen.upgrade() else { return false };
        let reaction = seen.observed().note(PAGE, event, Instant::now());
        let Reaction::Attach(session) = reaction else { return false };
        Watch::of_page(self.line.clone(), seen, &self.tasks).watch_part(session, number);
        true
    }
}

/// What a part of a page is told before it begins, in this order; last of all, to begin.
fn introduction(of_page: &[CdpCommand], blocking: bool, masks: &Masks) -> Vec<CdpCommand> {
    let mut commands = Vec::new();
    if blocking {
        commands.push(("Fetch.enable", json!({})));
    }
    // A frame tells of its downloads, too.
    commands.push(("Network.enable", json!({})));
    commands.push(("Page.enable", json!({})));
    if !masks.rules().is_empty() {
        let add = "Page.addScriptToEvaluateOnNewDocument";
        commands.extend(on_every_document(masks).map(|script| (add, script)));
    }
    commands.extend_from_slice(of_page);
    commands
        .push(("Target.setAutoAttach", serde_json::to_value(auto_attach()).unwrap_or_default()));
    commands.push(("Runtime.enable", json!({})));
    commands.push(("Runtime.runIfWaitingForDebugger", json!({})));
    commands
}

/// Parts of a page with sessions of their own come to us, and wait until they are watched.
pub(super) fn auto_attach() -> SetAutoAttachParams {
    SetAutoAttachParams {
        auto_attach: true,
        wait_for_debugger_on_start: true,
        flatten: Some(true),
        filter: None,
    }
}
