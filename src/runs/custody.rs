//! Owns the putting down of who looks at evidence, takes it away or decides what is kept: before
//! anybody is answered, and with its head in the log.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Runs;
use super::problem::store_problem;
use crate::error::{Code, Problem, chain};
use crate::evidence::log::leaf;
use crate::evidence::{Act, Custodian, Custody, Deed, StoreError};
use crate::id::RunId;
use crate::run::{Caller, Reader};
use crate::tasks::Tasks;

/// How long an event waits at most until the log holds it, in one way or another.
const ATTEST: Duration = Duration::from_secs(60);

/// Somebody who looks at evidence.
#[derive(Clone, Debug)]
pub struct Looker {
    /// Who.
    pub caller: Caller,
    /// Whose runs they may look at.
    pub reader: Reader,
    /// Whether they do so by a session of the web page.
    pub session: bool,
}

impl Looker {
    /// A caller of the API.
    pub fn caller(caller: Caller, reader: Reader) -> Self {
        Self { caller, reader, session: false }
    }

    pub(super) fn deed(&self, act: Act, runs: Vec<RunId>, detail: Value) -> Deed {
        let by = Custodian { caller: self.caller.clone(), session: self.session };
        deed(by, act, runs, detail)
    }
}

/// Go on with the custody log of the store at `root`, of which the log holds `stated` events.
pub(super) fn take_up(root: &Path, stated: u64) -> Result<Custody, Problem> {
    let custody = Custody::open(root).map_err(|error| match &error {
        StoreError::Damaged { .. } => {
            let message = format!(
                "the custody log is not continued: {error}; `exhibit verify` on the store says \
                 what is wrong; restore it, or move its newest file away, which `verify` then tells"
            );
            Problem::new(Code::LogDamaged, message)
        }
        _ => store_problem(error),
    })?;
    let count = custody.head().count;
    if count < stated {
        tracing::error!(count, stated, "events of custody are gone; `exhibit verify` tells of it");
    }
    Ok(custody)
}

/// An operator's deed.
pub(super) fn decided(by: &Caller, act: Act, runs: Vec<RunId>, detail: Value) -> Deed {
    deed(Custodian { caller: by.clone(), session: false }, act, runs, detail)
}

fn deed(by: Custodian, act: Act, runs: Vec<RunId>, detail: Value) -> Deed {
    let detail = match detail {
        Value::Object(detail) => detail,
        _ => Map::new(),
    };
    Deed { by, act, runs, detail }
}

impl Runs {
    /// Put `deed` down; whatever it tells of must not happen otherwise.
    pub(super) fn put_on_record(&self, deed: Deed) -> Result<(), Problem> {
        let at = self.0.clock.now();
        self.0.custody.record(deed, at).map_err(|error| {
            tracing::error!(error = chain(&error), "custody cannot be put down");
            let message = "who looks at evidence cannot be put down, so nothing is shown or done; \
                           ask the operator to check `custody/` in the store";
            Problem::new(Code::CustodyUnwritable, message).because(error)
        })
    }

    /// Put `entries` into the log, and how far the custody log goes, which tells of them: the index of
    /// the first.
    pub(super) fn append_with_head(&self, mut entries: Vec<Vec<u8>>) -> Result<u64, Problem> {
        let head = self.0.custody.head();
        entries.push(leaf::custody(head.count, head.sha256, self.0.clock.now()));
        let first = self.log().append_all(entries).map_err(store_problem)?;
        self.0.attested.fetch_max(head.count, Ordering::SeqCst);
        Ok(first)
    }

    /// Take the head of the custody log into the log, where it is not there yet.
    pub(super) fn attest(&self) -> Result<(), Problem> {
        let head = self.0.custody.head();
        if self.0.attested.load(Ordering::SeqCst) >= head.count {
            return Ok(());
        }
        let entry = leaf::custody(head.count, head.sha256, self.0.clock.now());
        self.log().append(entry).map_err(store_problem)?;
        self.0.attested.fetch_max(head.count, Ordering::SeqCst);
        Ok(())
    }

    /// The same, off the async threads; a failure is told and tried again.
    pub(super) async fn attest_soon(&self) {
        let this = self.clone();
        let done = self.blocking("writing to the log", move || this.attest()).await;
        if let Err(error) = done {
            tracing::error!(error = chain(&error), "the log does not hold the head of custody");
        }
    }

    /// Take what was looked at into the log, again and again until `tasks` are to stop.
    pub async fn keep_custody(self, tasks: Tasks) {
        loop {
            tokio::select! {
                () = tasks.stopping() => return,
                () = tokio::time::sleep(ATTEST) => self.attest_soon().await,
            }
        }
    }

    /// Put down that `looker` is given a recording of `run` that was made for them before.
    ///
    /// # Errors
    /// `custody_unwritable`.
    pub async fn gave(&self, looker: &Looker, run: RunId) -> Result<(), Problem> {
        let (this, looker) = (self.clone(), looker.clone());
        self.blocking("putting down who looks", move || this.saw(&looker, Act::Download, run, None))
            .await
    }

    /// Put down that `looker` is shown what is known of `run`.
    ///
    /// # Errors
    /// `custody_unwritable`.
    pub async fn viewed(&self, looker: &Looker, run: RunId) -> Result<(), Problem> {
        let (this, looker) = (self.clone(), looker.clone());
        self.blocking("putting down who looks", move || this.saw(&looker, Act::View, run, None))
            .await
    }

    /// Put down that `looker` saw `path` of `run`.
    pub(super) fn saw(
        &self,
        looker: &Looker,
        act: Act,
        run: RunId,
        path: Option<&str>,
    ) -> Result<(), Problem> {
        let detail = path.map_or_else(|| json!({}), |path| json!({ "path": path }));
        self.put_on_record(looker.deed(act, vec![run], detail))?;
        let viewer = looker.caller.words();
        tracing::info!(viewer, %run, ?act, path, "evidence was looked at");
        Ok(())
    }
}
