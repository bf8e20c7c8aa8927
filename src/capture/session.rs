//! Owns what is put on record of a session: that it was opened, by whom and with what, and that it
//! was closed.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::queue::{Gone, hung_up};
use super::{Ask, Captures, Refused};
use crate::backend::{self, BackendName};
use crate::error::Problem;
use crate::hosted::no_sessions;
use crate::id::{RandomId, RunId, SessionId};
use crate::request::SessionRequest;
use crate::run::{Caller, Event};
use crate::settings::{CaptureSettings, Picture, Product};
use crate::tasks::Tasks;

/// A session that was opened.
#[derive(Debug)]
pub struct SessionOpened {
    /// The run in which that is on record.
    pub run: RunId,
    /// The answer.
    pub answer: Value,
}

impl Captures {
    /// Open a session. The work goes on when the caller hangs up.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn open_session(&self, ask: Ask) -> Result<SessionOpened, Box<Refused>> {
        let this = self.clone();
        let work = |gone| async move { this.carry_out_opening(ask, gone).await };
        self.detached("opening the session", "/sessions", work).await
    }

    async fn carry_out_opening(&self, ask: Ask, gone: Gone) -> Result<SessionOpened, Box<Refused>> {
        if self.choose(&ask)? == BackendName::Hosted {
            return Err(no_sessions().into());
        }
        let Ask { caller, run, body, .. } = ask;
        let request = self.understand(&caller, run, body, SessionRequest::read).await?;
        let SessionRequest { page, ignored } = request;
        let id = RandomId::new().map_err(|error| Problem::internal("making an id", error))?;
        let place = self.0.sessions.reserve(id, &caller, &page)?;
        let (work, standalone) = self.run(run, caller, BackendName::Chromium).await?;
        let backend_request = backend::SessionRequest {
            id,
            page: page.clone(),
            deadline: Instant::now() + self.0.config.borrow().capture.deadline,
            policy: self.0.policy.borrow().clone(),
        };
        let opened =
            self.0.backends.local().open_session(backend_request).await.map_err(Problem::from);
        // Nobody knows of a session whose caller did not hear its name.
        let opened = if gone.is_cancelled() { opened.and(Err(hung_up())) } else { opened };
        // Asked now: it may have outlived its time when its opening is sealed.
        let shown = self.0.sessions.shown(id);
        let settings =
            CaptureSettings { page, product: Product::Picture(Picture::default()) }.record();
        let kind = if opened.is_ok() { "session.opened" } else { "session.failed" };
        let data = json!({
            "session_id": id,
            "width": settings["width"],
            "height": settings["height"],
            "cookies": settings["cookies"],
            "authState": settings["authState"],
            "ignored": ignored,
            "code": opened.as_ref().err().map(|problem| problem.code),
            "message": opened.as_ref().err().map(|problem| &problem.message),
        });
        let run = work.run.id;
        let recorded = self.0.runs.record(&work, vec![Event::exhibit(kind, data)]).await;
        let mut evidence = json!({ "run": run });
        if opened.is_err() || recorded.is_err() {
            place.give_up();
            self.0.backends.local().close_session(id).await;
        }
        evidence["event"] = json!(recorded?.first());
        if standalone {
            let outcome = if opened.is_ok() { "succeeded" } else { "failed" };
            evidence["receipt"] = json!(self.seal(work, outcome).await?);
        }
        if let Err(problem) = opened {
            return Err(Box::new(Refused { problem, evidence: Some(evidence) }));
        }
        let mut answer = shown.unwrap_or_else(|| json!({ "session_id": id }));
        answer["note"] = json!("one page, kept between requests; DELETE /sessions/{id} closes it");
        if !ignored.is_empty() {
            evidence["ignored"] = json!(ignored);
        }
        answer["evidence"] = evidence;
        Ok(SessionOpened { run, answer })
    }

    /// The sessions of `caller`.
    pub fn sessions(&self, caller: &Caller) -> Vec<Value> {
        self.0.sessions.list(caller)
    }

    /// Close a session of `caller`'s; on record in `run`, or in a run of its own. The work goes on
    /// when the caller hangs up.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn close_session(
        &self,
        caller: Caller,
        run: Option<RunId>,
        id: SessionId,
    ) -> Result<(), Box<Refused>> {
        let this = self.clone();
        let closing = async move { this.carry_out_closing(caller, run, id).await };
        let closed = self.0.tasks.spawn(closing).await;
        let closed = closed.map_err(|error| Problem::internal("closing the session", error));
        closed.map_err(|problem| Box::new(problem.into()))?
    }

    async fn carry_out_closing(
        &self,
        caller: Caller,
        run: Option<RunId>,
        id: SessionId,
    ) -> Result<(), Box<Refused>> {
        self.0.sessions.forget(id, &caller)?;
        self.end_recordings(id).await;
        self.0.backends.local().close_session(id).await;
        let (work, standalone) = self.run(run, caller, BackendName::Chromium).await?;
        let event = Event::exhibit("session.closed", json!({ "session_id": id }));
        self.0.runs.record(&work, vec![event]).await?;
        if standalone {
            self.seal(work, "succeeded").await?;
        }
        Ok(())
    }

    /// Close sessions that outlived their time, again and again until `tasks` are to stop.
    pub async fn expire_sessions(self, tasks: Tasks) {
        loop {
            tokio::select! {
                () = self.0.sessions.tick() => {}
                () = tasks.stopping() => return,
            }
            for id in self.0.sessions.expired() {
                tracing::info!(session = %id, "a session has outlived its time");
                self.end_recordings(id).await;
                self.0.backends.local().close_session(id).await;
            }
        }
    }

    /// Close every session: the daemon is stopping.
    pub async fn close_sessions(&self) {
        for id in self.0.sessions.forget_all() {
            self.end_recordings(id).await;
            self.0.backends.local().close_session(id).await;
        }
    }
}
