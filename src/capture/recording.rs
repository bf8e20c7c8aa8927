//! Owns the recordings of sessions' pages, which go on for as long as their caller wants. Bytes are on
//! disk as they are made; what a recording was is on record when it ends, however it ends.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::footage::{Filming, Footage, Seat, Take};
use super::{Captures, Refused};
use crate::error::{Code, Problem};
use crate::id::{RunId, SessionId};
use crate::quotas::Shares;
use crate::request::RecordingRequest;
use crate::run::{Caller, Event};
use crate::settings::Stage;
use crate::spans;

/// Recordings of sessions under way.
#[derive(Debug, Default)]
pub(super) struct Recordings {
    under_way: Mutex<HashMap<Key, Active>>,
    seats: Shares,
}

/// A run and the number of a recording in it.
type Key = (RunId, u32);

/// Who waits for what is on record of a recording that was told to end.
type Asker = oneshot::Sender<Result<Value, Problem>>;

/// A recording of a session under way: from before its page is asked for until all of it is on record.
#[derive(Debug)]
struct Active {
    session: SessionId,
    /// Tells it to end.
    stop: CancellationToken,
    /// Cancelled when it has ended.
    ended: CancellationToken,
    asker: Option<Asker>,
}

impl Recordings {
    /// The recordings under way, counted: of sessions and others.
    pub(super) fn seats(&self) -> &Shares {
        &self.seats
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Active>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a recording among those under way, given up however it ends.
struct RecordingGuard {
    captures: Captures,
    key: Key,
    stop: CancellationToken,
}

impl RecordingGuard {
    /// Let go of the place, and tell whoever asked for the end.
    fn leave(self, answer: Result<Value, Problem>) {
        let asker = {
            let mut under_way = self.captures.0.recordings.lock();
            under_way.get_mut(&self.key).and_then(|active| active.asker.take())
        };
        drop(self);
        // Who asked may have gone.
        drop(asker.map(|asker| asker.send(answer)));
    }
}

impl Drop for RecordingGuard {
    fn drop(&mut self) {
        let active = self.captures.0.recordings.lock().remove(&self.key);
        if let Some(active) = active {
            active.ended.cancel();
        }
    }
}

impl Captures {
    /// Begin to record a session's page into a run; the answer. The work goes on when the caller
    /// hangs up: a recording that nobody asks for any more is on record all the same.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn start_recording(
        &self,
        caller: Caller,
        run: RunId,
        body: Value,
    ) -> Result<Value, Box<Refused>> {
        let this = self.clone();
        let starting = async move { this.carry_out_recording(caller, run, body).await };
        let started = self.0.tasks.spawn_in(spans::capture("/recordings"), starting).await;
        let started = started.map_err(|error| Problem::internal("starting a recording", error));
        started.map_err(|problem| Box::new(problem.into()))?
    }

    async fn carry_out_recording(
        &self,
        caller: Caller,
        run: RunId,
        body: Value,
    ) -> Result<Value, Box<Refused>> {
        let RecordingRequest { session, frame_rate } = RecordingRequest::read(body)?;
        self.check_not_stopping()?;
        spans::tell_run(run);
        let work = self.0.runs.work(run, &caller).await?;
        let viewport = self.0.sessions.viewport(session, &caller)?;
        let seat = self.seat(&caller)?;
        let take = Take::new(work, Stage::during(), self.0.runs.clock().now(), None);
        let entry = self.enter((run, take.number), session, &caller)?;
        let settings = self.recording_settings(viewport, frame_rate);
        let (backend_request, filming) = self.begin_filming(&take, settings).await?;
        let data = json!({
            "recording": take.name, "session_id": session, "width": settings.width,
            "height": settings.height, "framerate": frame_rate,
        });
        let started = Event::exhibit("recording.started", data);
        let begun = match self.0.runs.record(&take.work, vec![started]).await {
            Ok(recorded) => {
                let begun = self.0.backends.local().start_recording(session, backend_request).await;
                begun.map(|()| recorded).map_err(Problem::from)
            }
            Err(problem) => {
                drop(backend_request);
                Err(problem)
            }
        };
        let recorded = match begun {
            Ok(recorded) => recorded,
            Err(problem) => {
                self.keep_lost(&take, &problem).await;
                return Err(problem.into());
            }
        };
        let evidence = json!({ "run": run, "event": recorded.first() });
        let answer = json!({ "recording": take.name, "session_id": session, "evidence": evidence });
        let this = self.clone();
        drop(self.0.tasks.spawn(async move {
            this.see_through(take, session, filming, entry, seat).await;
        }));
        Ok(answer)
    }

    /// Put a recording among those under way, unless its session was closed meanwhile: whoever closes
    /// one ends those that are here.
    fn enter(
        &self,
        key: Key,
        session: SessionId,
        caller: &Caller,
    ) -> Result<RecordingGuard, Problem> {
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let mut under_way = self.0.recordings.lock();
        self.0.sessions.viewport(session, caller)?;
        under_way.insert(key, Active { session, stop: stop.clone(), ended, asker: None });
        drop(under_way);
        Ok(RecordingGuard { captures: self.clone(), key, stop })
    }

    /// Wait until a recording ends, by itself or because it is told to, and put it on record.
    async fn see_through(
        &self,
        take: Take,
        session: SessionId,
        mut filming: Filming,
        entry: RecordingGuard,
        seat: Seat,
    ) {
        tokio::select! {
            () = entry.stop.cancelled() => {}
            _ = &mut filming.ending => {}
            () = take.work.ending() => {}
            () = self.0.tasks.stopping() => {}
        }
        let run = take.work.run.id;
        let recorded = self.0.backends.local().stop_recording(session).await;
        let said = self.0.runs.captions_since(&take.work, take.begun).await.unwrap_or_default();
        let kept = self.conclude_take(&take, recorded.map_err(Problem::from), said).await;
        let answer = kept.map(|Footage { artifacts, summary, .. }| {
            json!({
                "recording": take.name, "summary": summary,
                "evidence": { "run": run, "artifacts": artifacts },
            })
        });
        filming.windows().await;
        // The run may be sealed from now on.
        drop(take);
        drop(seat);
        entry.leave(answer);
    }

    /// End a recording; what is on record of it. Waits for no other work on the run.
    ///
    /// # Errors
    /// `recording_not_found`, `not_your_run`, or what stood in its way.
    pub async fn stop_recording(
        &self,
        caller: &Caller,
        run: RunId,
        name: &str,
    ) -> Result<Value, Problem> {
        // A seal that waits for the recording must not keep it from ending.
        self.0.runs.may_act_on(run, caller)?;
        let gone = || {
            let message = "no such recording is under way in the run; start one first";
            Problem::new(Code::RecordingNotFound, message).field("recording")
        };
        let (asker, answer) = oneshot::channel();
        {
            let mut under_way = self.0.recordings.lock();
            let number = name.parse::<u32>().unwrap_or(0);
            let active = under_way.get_mut(&(run, number)).filter(|one| one.asker.is_none());
            let active = active.ok_or_else(gone)?;
            active.asker = Some(asker);
            active.stop.cancel();
        }
        answer.await.map_err(|_| gone())?
    }

    /// End the recordings of a session that is to be closed: all of them are on record, also those
    /// that somebody else has told to end, when this returns.
    pub async fn end_recordings(&self, session: SessionId) {
        let ends: Vec<CancellationToken> = {
            let under_way = self.0.recordings.lock();
            let of_session = under_way.values().filter(|active| active.session == session);
            of_session.inspect(|active| active.stop.cancel()).map(|one| one.ended.clone()).collect()
        };
        for ended in ends {
            ended.cancelled().await;
        }
    }
}
