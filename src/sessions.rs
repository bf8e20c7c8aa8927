//! Owns who has which session, since when, and what of it lasts: the pages themselves are the
//! backend's. A session belongs to the caller who opened it, ends after some time without use, and
//! at the latest after its time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::clock::{Clock, Moment};
use crate::config::Config;
use crate::error::{Code, Problem};
use crate::id::SessionId;
use crate::quotas::Quota;
use crate::run::Caller;
use crate::settings::{Locale, PageSettings, Viewport};

/// The sessions there are. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sessions(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Clock,
    config: watch::Receiver<Arc<Config>>,
    open: Mutex<HashMap<SessionId, Session>>,
}

#[derive(Debug)]
struct Session {
    caller: Caller,
    opened: Moment,
    touched: Moment,
    /// Captures that have it now, or wait for it.
    users: usize,
    viewport: Viewport,
    locale: Option<Locale>,
    /// Fields that last as long as the session does.
    born_with: Vec<&'static str>,
    /// Fields that last as long as its document does.
    lasting: Vec<&'static str>,
}

impl Sessions {
    /// No session yet.
    pub fn new(clock: Clock, config: watch::Receiver<Arc<Config>>) -> Self {
        Self(Arc::new(Shared { clock, config, open: Mutex::default() }))
    }

    /// Make room for a session of `caller`'s, before its page is asked for.
    ///
    /// # Errors
    /// `too_many_sessions`.
    pub fn reserve(
        &self,
        id: SessionId,
        caller: &Caller,
        page: &PageSettings,
    ) -> Result<Reserved, Problem> {
        let (most, own) = {
            let config = self.0.config.borrow();
            (config.sessions.max, config.session_share())
        };
        let now = self.0.clock.now();
        let mut open = self.open();
        if open.len() >= most {
            let message =
                format!("{most} sessions are open, which is `sessions.max`; close one first");
            return Err(Problem::new(Code::TooManySessions, message));
        }
        if open.values().filter(|one| caller.may_act_on(&one.caller)).count() >= own {
            return Err(Quota::Sessions.reached(own as u64));
        }
        let session = Session {
            caller: caller.clone(),
            opened: now,
            touched: now,
            users: 0,
            viewport: page.viewport,
            locale: page.locale.clone(),
            born_with: page.lasting(),
            lasting: Vec::new(),
        };
        open.insert(id, session);
        Ok(Reserved { sessions: self.clone(), id })
    }

    /// Use the session that `page` names, if it names one: what was left to the session is filled
    /// in. The session does not end meanwhile.
    ///
    /// # Errors
    /// `session_not_found`; a session of somebody else's is not told from one that is not there.
    pub fn enter(
        &self,
        caller: &Caller,
        page: &mut PageSettings,
    ) -> Result<Option<InUse>, Problem> {
        let Some(id) = page.session else { return Ok(None) };
        let mut open = self.open();
        let session = open.get_mut(&id).filter(|session| caller.may_act_on(&session.caller));
        let session = session.ok_or_else(not_found)?;
        session.users += 1;
        if page.own_window {
            page.viewport = session.viewport;
        }
        page.locale = page.locale.take().or_else(|| session.locale.clone());
        page.carried.clone_from(&session.born_with);
        if !page.target.is_surely_another() {
            page.carried.extend(&session.lasting);
        }
        Ok(Some(InUse { sessions: self.clone(), id }))
    }

    /// The window of a session of `caller`'s.
    ///
    /// # Errors
    /// `session_not_found`.
    pub fn viewport(&self, id: SessionId, caller: &Caller) -> Result<Viewport, Problem> {
        let open = self.open();
        let session = open.get(&id).filter(|session| caller.may_act_on(&session.caller));
        session.map(|session| session.viewport).ok_or_else(not_found)
    }

    /// The sessions of `caller`.
    pub fn list(&self, caller: &Caller) -> Vec<Value> {
        let open = self.open();
        let mut own: Vec<_> =
            open.iter().filter(|(_, session)| caller.may_act_on(&session.caller)).collect();
        own.sort_by_key(|(_, session)| session.opened.wall);
        own.into_iter().map(|(id, session)| self.session_json(*id, session)).collect()
    }

    /// One session, as its caller is told of it.
    pub fn shown(&self, id: SessionId) -> Option<Value> {
        self.open().get(&id).map(|session| self.session_json(id, session))
    }

    /// Forget a session of `caller`'s.
    ///
    /// # Errors
    /// `session_not_found`.
    pub fn forget(&self, id: SessionId, caller: &Caller) -> Result<(), Problem> {
        let mut open = self.open();
        match open.get(&id) {
            Some(session) if caller.may_act_on(&session.caller) => {
                open.remove(&id);
                Ok(())
            }
            _ => Err(not_found()),
        }
    }

    /// Forget a session whose page is gone.
    pub fn forget_lost(&self, id: SessionId) {
        self.open().remove(&id);
    }

    /// Forget all, and tell which.
    pub fn forget_all(&self) -> Vec<SessionId> {
        self.open().drain().map(|(id, _)| id).collect()
    }

    /// Forget the sessions whose time is over, and tell which.
    pub fn expired(&self) -> Vec<SessionId> {
        let now = self.0.clock.now();
        let over: Vec<SessionId> = {
            let open = self.open();
            let over = open.iter().filter(|(_, session)| {
                session.users == 0 && now.monotonic >= self.end_of(session).monotonic
            });
            over.map(|(id, _)| *id).collect()
        };
        let mut open = self.open();
        over.into_iter().filter(|id| open.remove(id).is_some()).collect()
    }

    /// Completes when it is time to look for sessions whose time is over.
    pub async fn tick(&self) {
        let limits = self.0.config.borrow().sessions.clone();
        let every = limits.idle.min(limits.max_duration) / 4;
        let every = every.clamp(Duration::from_millis(100), Duration::from_secs(30));
        tokio::time::sleep(every).await;
    }

    fn session_json(&self, id: SessionId, session: &Session) -> Value {
        json!({
            "session_id": id,
            "created_at": session.opened.to_rfc3339(),
            "expires_at": self.end_of(session).to_rfc3339(),
        })
    }

    /// When a session ends unless it is used.
    fn end_of(&self, session: &Session) -> Moment {
        let limits = self.0.config.borrow().sessions.clone();
        let idle = session.touched.plus(limits.idle);
        let last = session.opened.plus(limits.max_duration);
        if idle.monotonic < last.monotonic { idle } else { last }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<SessionId, Session>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for a session that is being opened.
#[derive(Debug)]
pub struct Reserved {
    sessions: Sessions,
    id: SessionId,
}

impl Reserved {
    /// The session did not come about.
    pub fn give_up(&self) {
        self.sessions.open().remove(&self.id);
    }
}

/// A session in use; its time without use begins when this is dropped.
#[derive(Debug)]
pub struct InUse {
    sessions: Sessions,
    id: SessionId,
}

impl InUse {
    /// Remember what lasts of what was done with it; `succeeded` says whether its page is another
    /// one now, where another one was asked for.
    pub fn leave(self, page: &PageSettings, succeeded: bool) {
        if let Some(session) = self.sessions.open().get_mut(&self.id) {
            if succeeded && page.target.is_surely_another() {
                session.lasting.clear();
            }
            let lasting = page.lasting();
            session.lasting.extend(lasting);
            session.lasting.sort_unstable();
            session.lasting.dedup();
            let stays = ["cookies", "authState"];
            let born: Vec<_> =
                session.lasting.iter().filter(|one| stays.contains(one)).copied().collect();
            session.born_with.extend(born);
            session.born_with.sort_unstable();
            session.born_with.dedup();
            session.viewport = page.viewport;
        }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let now = self.sessions.0.clock.now();
        if let Some(session) = self.sessions.open().get_mut(&self.id) {
            session.users = session.users.saturating_sub(1);
            session.touched = now;
        }
    }
}

fn not_found() -> Problem {
    let message = "`session_id` names no open session of yours; open one with POST /sessions";
    Problem::new(Code::SessionNotFound, message).field("session_id")
}
