//! Owns the transport: Chromium's debugging pipe (`--remote-debugging-pipe`), on which messages of
//! the DevTools protocol are JSON texts ended by NUL. Calls are matched to answers by id, events
//! go to bounded channels by session, every call has a limit, and all of them fail at once when
//! the pipe closes. Knows nothing of pages.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chromiumoxide_types::Command;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::meter::{Meter, is_of_console};
use crate::tasks::Tasks;

mod meter;

/// Messages to the browser that may wait to be written.
const OUTGOING: usize = 256;
/// Events of one session that may wait to be read; more are dropped and counted.
const EVENTS: usize = 8_192;

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// The browser is gone.
    #[error("the browser closed its pipe")]
    Closed,
    /// The session is gone: its page was closed or crashed.
    #[error("the page is gone")]
    SessionGone,
    /// No answer in time.
    #[error("the browser did not answer {method} within {limit:?}")]
    Timeout {
        /// The method called.
        method: String,
        /// How long was waited.
        limit: Duration,
    },
    /// The browser answered with an error.
    #[error("the browser refused {method}: {message}")]
    Refused {
        /// The method called.
        method: String,
        /// JSON-RPC error code.
        code: i64,
        /// The browser's words.
        message: String,
    },
    /// The answer does not have the expected form.
    #[error("the browser's answer to {method} has an unexpected form")]
    Malformed {
        /// The method called.
        method: String,
        /// What the parser says.
        source: serde_json::Error,
    },
}

/// An event of the browser, its parameters not parsed yet.
#[derive(Debug)]
pub(super) struct RawEvent {
    /// `Page.loadEventFired`.
    pub(super) method: String,
    /// JSON object.
    pub(super) params: Box<RawValue>,
}

impl RawEvent {
    /// The parameters as `T`; none, and a line in the log, when they do not have that form.
    pub(super) fn read<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        serde_json::from_str(self.params.get())
            .inspect_err(
                |error| tracing::warn!(method = self.method, %error, "event not understood"),
            )
            .ok()
    }
}

/// The events of one session, in order.
#[derive(Debug)]
pub(super) struct Events {
    receiver: mpsc::Receiver<RawEvent>,
    lost: Arc<AtomicU64>,
    flooding: Arc<AtomicBool>,
}

impl Events {
    /// The next event; none when the session or the browser is gone.
    pub(super) async fn next(&mut self) -> Option<RawEvent> {
        self.receiver.recv().await
    }

    /// How many events were dropped since this was last asked, because nobody read them in time.
    pub(super) fn newly_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    /// Whether its console has said more than anybody reads since this was last asked: what came
    /// beyond that was dropped.
    pub(super) fn newly_flooding(&self) -> bool {
        self.flooding.swap(false, Ordering::Relaxed)
    }
}

struct Subscriber {
    sender: mpsc::Sender<RawEvent>,
    lost: Arc<AtomicU64>,
    flooding: Arc<AtomicBool>,
    console: Meter,
}

impl Subscriber {
    /// Hand an event of so many bytes on, if it can be read in time. The first event of a flood still
    /// is, so that whoever reads hears of it.
    fn deliver(&mut self, event: RawEvent, bytes: usize) {
        let floods = is_of_console(&event.method) && self.console.is_over(bytes, Instant::now());
        let dropped = floods && self.flooding.swap(true, Ordering::Relaxed);
        if dropped || self.sender.try_send(event).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

type Answer = Result<Box<RawValue>, CallError>;

#[derive(Default)]
struct Routes {
    pending: HashMap<u64, Waiting>,
    /// By session id; the browser's own events under the empty name.
    subscribers: HashMap<String, Subscriber>,
}

struct Waiting {
    session: String,
    method: String,
    answer: oneshot::Sender<Answer>,
}

struct Shared {
    next_id: AtomicU64,
    routes: Mutex<Routes>,
    outgoing: mpsc::Sender<Vec<u8>>,
    closed: CancellationToken,
}

impl Shared {
    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fail every call and end every event stream.
    fn close(&self) {
        self.closed.cancel();
        let routes = std::mem::take(&mut *self.routes());
        for waiting in routes.pending.into_values() {
            // A caller that left meanwhile needs no answer.
            let _ = waiting.answer.send(Err(CallError::Closed));
        }
    }

    /// Fail every call of `session` and end its event stream.
    fn end_session(&self, session: &str) {
        let mut routes = self.routes();
        routes.subscribers.remove(session);
        let gone = routes.pending.extract_if(|_, waiting| waiting.session == session);
        for (_, waiting) in gone {
            let _ = waiting.answer.send(Err(CallError::SessionGone));
        }
    }

    fn deliver(&self, message: &[u8]) {
        let envelope: Envelope = match serde_json::from_slice(message) {
            Ok(envelope) => envelope,
            Err(error) => return tracing::warn!(%error, "message of the browser not understood"),
        };
        if let Some(id) = envelope.id {
            let waiting = self.routes().pending.remove(&id);
            if let Some(waiting) = waiting {
                let answer = envelope.answer(&waiting.method);
                let _ = waiting.answer.send(answer);
            }
            return;
        }
        let (Some(method), params) = (envelope.method, envelope.params.unwrap_or_default()) else {
            return tracing::warn!("message of the browser with neither id nor method");
        };
        let event = RawEvent { method, params };
        if event.method == "Target.detachedFromTarget"
            && let Some(detached) = event.read::<Detached>()
        {
            self.end_session(&detached.session_id);
        }
        let session = envelope.session_id.unwrap_or_default();
        if let Some(subscriber) = self.routes().subscribers.get_mut(&session) {
            subscriber.deliver(event, message.len());
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    id: Option<u64>,
    session_id: Option<String>,
    method: Option<String>,
    params: Option<Box<RawValue>>,
    result: Option<Box<RawValue>>,
    error: Option<Refusal>,
}

impl Envelope {
    fn answer(self, method: &str) -> Answer {
        match self.error {
            None => Ok(self.result.unwrap_or_default()),
            Some(Refusal { code, message }) => {
                Err(CallError::Refused { method: method.to_owned(), code, message })
            }
        }
    }
}

#[derive(Deserialize)]
struct Refusal {
    code: i64,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detached {
    session_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Call<'a, P> {
    id: u64,
    method: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    session_id: &'a str,
    params: P,
}

/// The connection to one browser. Cheap to clone.
#[derive(Clone)]
pub(super) struct Connection(Arc<Shared>);

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

impl Connection {
    /// Talk through our ends of the browser's two pipes: what it reads and what it writes.
    ///
    /// # Errors
    /// When the descriptors are no pipes.
    pub(super) fn open(to: OwnedFd, from: OwnedFd, tasks: &Tasks) -> std::io::Result<Self> {
        let sender = pipe::Sender::from_owned_fd(to)?;
        let receiver = pipe::Receiver::from_owned_fd(from)?;
        let (outgoing, messages) = mpsc::channel(OUTGOING);
        let shared = Arc::new(Shared {
            next_id: AtomicU64::new(1),
            routes: Mutex::default(),
            outgoing,
            closed: CancellationToken::new(),
        });
        drop(tasks.spawn(write(sender, messages, shared.closed.clone())));
        drop(tasks.spawn(read(receiver, Arc::clone(&shared))));
        Ok(Self(shared))
    }

    /// Call a typed command; `session` is empty for the browser itself.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn call<C: Command>(
        &self,
        session: &str,
        command: C,
        limit: Duration,
    ) -> Result<C::Response, CallError> {
        let method = command.identifier();
        let answer = self.exchange(session, &method, &command, limit).await?;
        serde_json::from_str(answer.get())
            .map_err(|source| CallError::Malformed { method: method.into_owned(), source })
    }

    /// Call a command the typed protocol does not have, or whose answer is read more leniently.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn call_raw(
        &self,
        session: &str,
        method: &str,
        params: Value,
        limit: Duration,
    ) -> Result<Box<RawValue>, CallError> {
        self.exchange(session, method, &params, limit).await
    }

    async fn exchange(
        &self,
        session: &str,
        method: &str,
        params: &impl Serialize,
        limit: Duration,
    ) -> Answer {
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        let call = Call { id, method, session_id: session, params };
        let mut message = serde_json::to_vec(&call)
            .map_err(|source| CallError::Malformed { method: method.to_owned(), source })?;
        message.push(0);
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { session: session.to_owned(), method: method.to_owned(), answer };
        self.0.routes().pending.insert(id, waiting);
        // However this call ends, nobody waits for its answer afterwards.
        let _forget = Forget { shared: &self.0, id };
        let exchange = async {
            if self.0.outgoing.send(message).await.is_err() || self.is_closed() {
                return Err(CallError::Closed);
            }
            answered.await.unwrap_or(Err(CallError::Closed))
        };
        let late = || CallError::Timeout { method: method.to_owned(), limit };
        tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_| Err(late()))
    }

    /// Listen to a session's events from now on; to the browser's own under the empty name.
    pub(super) fn subscribe(&self, session: &str) -> Events {
        let (sender, receiver) = mpsc::channel(EVENTS);
        let lost = Arc::new(AtomicU64::new(0));
        let flooding = Arc::new(AtomicBool::new(false));
        let subscriber = Subscriber {
            sender,
            lost: Arc::clone(&lost),
            flooding: Arc::clone(&flooding),
            console: Meter::new(Instant::now()),
        };
        self.0.routes().subscribers.insert(session.to_owned(), subscriber);
        if self.is_closed() {
            self.0.routes().subscribers.clear();
        }
        Events { receiver, lost, flooding }
    }

    /// Fail every call under way on `session`: its renderer is known to be dead.
    pub(super) fn end_session(&self, session: &str) {
        self.0.end_session(session);
    }

    /// Whether the browser closed the pipe.
    pub(super) fn is_closed(&self) -> bool {
        self.0.closed.is_cancelled()
    }

    /// Completes when the browser has closed the pipe.
    pub(super) async fn closed(&self) {
        self.0.closed.cancelled().await;
    }

    /// Close our side: the browser takes that as the order to end.
    pub(super) fn close(&self) {
        self.0.close();
    }
}

struct Forget<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.shared.routes().pending.remove(&self.id);
    }
}

async fn write(
    mut pipe: pipe::Sender,
    mut messages: mpsc::Receiver<Vec<u8>>,
    closed: CancellationToken,
) {
    let writing = async {
        while let Some(message) = messages.recv().await {
            if let Err(error) = pipe.write_all(&message).await {
                return tracing::debug!(%error, "the browser reads no more");
            }
        }
    };
    tokio::select! {
        () = writing => {}
        () = closed.cancelled() => {}
    }
}

async fn read(mut pipe: pipe::Receiver, shared: Arc<Shared>) {
    let reading = async {
        let mut buffer = Vec::with_capacity(64 * 1024);
        // Everything before this index is known to hold no NUL.
        let mut searched = 0;
        loop {
            match pipe.read_buf(&mut buffer).await {
                Ok(0) => return tracing::debug!("the browser closed its pipe"),
                Err(error) => return tracing::debug!(%error, "the browser's pipe broke"),
                Ok(_) => {}
            }
            let mut start = 0;
            while let Some(length) = buffer[searched..].iter().position(|byte| *byte == 0) {
                let end = searched + length;
                shared.deliver(&buffer[start..end]);
                start = end + 1;
                searched = start;
            }
            buffer.drain(..start);
            searched = buffer.len();
            buffer.reserve(64 * 1024);
        }
    };
    let closed = shared.closed.clone();
    tokio::select! {
        () = reading => {}
        () = closed.cancelled() => {}
    }
    shared.close();
}

#[cfg(test)]
mod tests;
