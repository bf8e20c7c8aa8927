//! Owns the browser's own recorder (`Page.startScreenRecording`, experimental). It keeps what it coded
//! to itself for two seconds and more, and for as long as a page does not change: so that a crash
//! cannot take that much, it is stopped and started again each second, which costs nothing to speak
//! of, and each segment is complete in itself. Between two of them lie some 10 to 20 ms.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::page::Page;
use super::pipe::CallError;
use super::watcher::Line;
use crate::backend::WallClock;
use crate::tasks::Tasks;
use crate::video::{Message, Segment, Settings};
use exhibit_verify::moment::Moment;

/// Length of a segment.
const SEGMENT: Duration = Duration::from_secs(1);
/// What the browser says of a page that is about to become another one; no event tells when it has.
const NOT_ACTIVE: &str = "Not attached to an active page";
/// When it is asked again.
const AGAIN: Duration = Duration::from_millis(10);
/// How long it is asked again.
const PATIENCE: Duration = Duration::from_secs(5);
/// Turns that may wait.
const TURNS: usize = 4;
/// Bytes read at once.
const PIECE: u32 = 1024 * 1024;

/// Segments being recorded.
#[derive(Debug)]
pub(super) struct Segments {
    turns: mpsc::Sender<()>,
    recording: JoinHandle<()>,
}

impl Segments {
    /// Begin to record `page`, telling `messages`; none when the browser cannot.
    pub(super) async fn start(
        page: &Page,
        settings: Settings,
        clock: Arc<dyn WallClock>,
        messages: Sender<Message>,
        tasks: &Tasks,
    ) -> Option<Self> {
        let params = json!({
            "maxWidth": settings.width,
            "maxHeight": settings.height,
            "frameRate": settings.frame_rate,
        });
        let camera = Camera { line: page.line(), params, begun: clock.now(), clock };
        let first = match camera.start().await {
            Ok(first) => first,
            Err(error) => {
                tracing::debug!(%error, "the browser does not record by itself");
                return None;
            }
        };
        let (turns, turned) = mpsc::channel(TURNS);
        let recording = tasks.spawn(camera.run(first, turned, messages));
        Some(Self { turns, recording })
    }

    /// Begin another segment now.
    pub(super) fn turn(&self) {
        // One that is full is about to do so.
        let _ = self.turns.try_send(());
    }

    /// End it: everything was told when this returns.
    pub(super) async fn end(self) {
        drop(self.turns);
        if let Err(error) = self.recording.await {
            tracing::warn!(%error, "the last segment of a recording is lost");
        }
    }
}

/// What records a page.
struct Camera {
    line: Line,
    params: Value,
    begun: Moment,
    clock: Arc<dyn WallClock>,
}

/// A segment under way.
struct Open {
    handle: String,
    from: f64,
}

/// The answer to a start: a stream, whatever its field is called.
type Started = std::collections::HashMap<String, String>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    data: String,
    #[serde(default)]
    base64_encoded: bool,
    eof: bool,
}

impl Camera {
    async fn run(self, first: Open, mut turns: mpsc::Receiver<()>, messages: Sender<Message>) {
        let mut open = first;
        let mut before: Option<oneshot::Receiver<()>> = None;
        loop {
            let ended = matches!(tokio::time::timeout(SEGMENT, turns.recv()).await, Ok(None));
            if let Some(taken) = before.take() {
                // Nobody takes it when the recording has ended by itself.
                let _ = taken.await;
            }
            let stopped = self.stop().await;
            let stopped_at = self.now();
            let goes_on = stopped.is_ok() && !ended;
            let next = if goes_on { self.start().await.ok() } else { None };
            let to = next.as_ref().map_or(stopped_at, |next| next.from);
            let bytes = self.read(&open.handle).await;
            let (told, taken) = oneshot::channel();
            before = Some(taken);
            let taken = Box::new(move || {
                // Whoever waits for it may have ended.
                let _ = told.send(());
            });
            let segment = Segment { bytes, from: open.from, to, taken };
            let heard = messages.send(Message::Segment(segment)).is_ok();
            match next {
                Some(next) => open = next,
                None if ended => return,
                // Whoever records the page hears that there is nothing more to come.
                None => return drop(messages.send(Message::Gone)),
            }
            if !heard {
                // The recording has ended by itself: it has reached a limit.
                return drop(self.stop().await);
            }
        }
    }

    /// Seconds since the epoch, by a clock that does not step.
    fn now(&self) -> f64 {
        let since = self.clock.now().monotonic.saturating_sub(self.begun.monotonic);
        self.begun.seconds() + since.as_secs_f64()
    }

    async fn start(&self) -> Result<Open, CallError> {
        let started: Started = self.insist("Page.startScreenRecording", &self.params).await?;
        let handle = started.into_values().next().unwrap_or_default();
        Ok(Open { handle, from: self.now() })
    }

    async fn stop(&self) -> Result<(), CallError> {
        self.insist::<IgnoredAny>("Page.stopScreenRecording", &json!({})).await.map(drop)
    }

    /// Call a command that the browser refuses while a page is about to become another one.
    async fn insist<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &Value,
    ) -> Result<T, CallError> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.line.call(method, params.clone()).await {
                Err(CallError::Refused { message, .. })
                    if message.contains(NOT_ACTIVE) && Instant::now() < until =>
                {
                    tokio::time::sleep(AGAIN).await;
                }
                answer => return answer,
            }
        }
    }

    /// What a segment that has ended holds; as far as it can be read.
    async fn read(&self, handle: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let params = json!({ "handle": handle, "size": PIECE });
            let read = match self.line.call::<Read>("IO.read", params).await {
                Ok(read) => read,
                Err(error) => {
                    tracing::debug!(%error, "a segment of a recording cannot be read to its end");
                    return bytes;
                }
            };
            if read.base64_encoded {
                bytes.extend(STANDARD.decode(&read.data).unwrap_or_default());
            } else {
                bytes.extend(read.data.as_bytes());
            }
            if read.eof {
                break;
            }
        }
        let close = self.line.call::<IgnoredAny>("IO.close", json!({ "handle": handle })).await;
        if let Err(error) = close {
            tracing::debug!(%error, "a segment of a recording was not let go of");
        }
        bytes
    }
}
