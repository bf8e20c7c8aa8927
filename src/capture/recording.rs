//! Owns the recordings of sessions' pages, which go on for as long as their caller wants. Bytes are on
//! disk as they are made; what a recording was is on record when it ends, however it ends.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::footage::{Filming, Footage, Seats, Take};
use super::{Captures, Refused};
use crate::error::{Code, Problem};
use crate::id::{RunId, SessionId};
use crate::request::RecordingRequest;
use crate::run::{Caller, Event};
use crate::settings::Stage;

/// Recordings of sessions under way.
#[derive(Debug, Default)]
pub(super) struct Recordings {
    under_way: Mutex<HashMap<(RunId, u32), Active>>,
    seats: Seats,
}

/// A recording of a session under way.
#[derive(Debug)]
struct Active {
    session: SessionId,
    /// Tells it to end; it answers with what is on record.
    stop: oneshot::Sender<oneshot::Sender<Result<Value, Problem>>>,
}

impl Recordings {
    /// The recordings under way, counted: of sessions and others.
    pub(super) fn seats(&self) -> &Seats {
        &self.seats
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(RunId, u32), Active>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Captures {
    /// Begin to record a session's page into a run; the answer.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn start_recording(
        &self,
        caller: Caller,
        run: RunId,
        body: Value,
    ) -> Result<Value, Box<Refused>> {
        let RecordingRequest { session, frame_rate } = RecordingRequest::read(body)?;
        self.check_not_stopping()?;
        let work = self.0.runs.work(run, &caller).await?;
        let viewport = self.0.sessions.viewport(session, &caller)?;
        let seat = self.seat()?;
        let take = Take::new(work, Stage::during(), self.0.runs.clock().now(), None);
        let settings = self.recording_settings(viewport, frame_rate);
        let (order, filming) = self.begin_filming(&take, settings).await?;
        let data = json!({
            "recording": take.name, "session_id": session, "width": settings.width,
            "height": settings.height, "framerate": frame_rate,
        });
        let started = Event::exhibit("recording.started", data);
        let recorded = self.0.runs.record(&take.work, vec![started]).await?;
        if let Err(problem) = self.0.backends.local().start_recording(session, order).await {
            self.keep_lost(&take, &problem).await;
            return Err(problem.into());
        }
        let (stop, stopped) = oneshot::channel();
        self.0.recordings.lock().insert((run, take.number), Active { session, stop });
        let evidence = json!({ "run": run, "event": recorded.first() });
        let answer = json!({ "recording": take.name, "session_id": session, "evidence": evidence });
        let this = self.clone();
        drop(self.0.tasks.spawn(async move {
            this.see_through(take, session, filming, stopped).await;
            drop(seat);
        }));
        Ok(answer)
    }

    /// Wait until a recording ends, by itself or because it is told to, and put it on record.
    async fn see_through(
        &self,
        take: Take,
        session: SessionId,
        mut filming: Filming,
        stopped: oneshot::Receiver<oneshot::Sender<Result<Value, Problem>>>,
    ) {
        let mut stopped = stopped;
        let told = tokio::select! {
            told = &mut stopped => told.ok(),
            _ = &mut filming.ending => None,
            () = self.0.tasks.stopping() => None,
        };
        let (run, number) = (take.work.run.id, take.number);
        let recorded = self.0.backends.local().stop_recording(session).await;
        let said = self.0.runs.said_since(&take.work, take.begun).await.unwrap_or_default();
        let kept = self.conclude_take(&take, recorded, said).await;
        let answer = kept.map(|Footage { artifacts, summary, .. }| {
            json!({
                "recording": take.name, "summary": summary,
                "evidence": { "run": run, "artifacts": artifacts },
            })
        });
        filming.windows().await;
        // The run may be sealed from now on.
        drop(take);
        self.0.recordings.lock().remove(&(run, number));
        let asker = told.or_else(|| stopped.try_recv().ok());
        if let Some(asker) = asker {
            // Who asked may have gone.
            let _ = asker.send(answer);
        }
    }

    /// End a recording; what is on record of it.
    ///
    /// # Errors
    /// `recording_not_found`, `not_your_run`, or what stood in its way.
    pub async fn stop_recording(
        &self,
        caller: &Caller,
        run: RunId,
        name: &str,
    ) -> Result<Value, Problem> {
        drop(self.0.runs.work(run, caller).await?);
        let number = name.parse::<u32>().unwrap_or(0);
        self.end_recording(run, number).await
    }

    async fn end_recording(&self, run: RunId, number: u32) -> Result<Value, Problem> {
        let gone = || {
            let message = "no such recording is under way in the run; start one first";
            Problem::new(Code::RecordingNotFound, message).field("recording")
        };
        let active = self.0.recordings.lock().remove(&(run, number)).ok_or_else(gone)?;
        let (asker, answer) = oneshot::channel();
        active.stop.send(asker).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// End the recordings of a run that is to be sealed, or of a session that is to be closed.
    pub async fn end_recordings(&self, run: Option<RunId>, session: Option<SessionId>) {
        let wanted: Vec<(RunId, u32)> = {
            let under_way = self.0.recordings.lock();
            let wanted = under_way.iter().filter(|((of, _), active)| {
                run.is_none_or(|run| run == *of)
                    && session.is_none_or(|session| session == active.session)
            });
            wanted.map(|(key, _)| *key).collect()
        };
        for (run, number) in wanted {
            if let Err(problem) = self.end_recording(run, number).await {
                tracing::debug!(%problem, "a recording had ended already");
            }
        }
    }
}
