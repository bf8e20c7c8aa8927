//! Owns legal holds: operators put them on runs and release them, each by an entry of the log, and
//! the log alone says which stand.

use serde_json::{Value, json};

use super::Retention;
use crate::auth::operator;
use crate::error::{Code, Problem};
use crate::evidence::log::{Hold, Standing, leaf};
use crate::evidence::{Act, NewAccessEvent};
use crate::id::RunId;
use crate::request::HoldRequest;
use crate::run::{Caller, Reader};
use crate::runs::access::accessor::decided;
use crate::runs::problem::{store_problem, unknown};

impl Retention {
    /// Whether there is a run `id`, open or sealed.
    fn check_there(&self, standing: &Standing, id: RunId) -> Result<(), Problem> {
        // From that entry on its folder is on its way out.
        if let Some(tombstone) = standing.tombstone(id) {
            let message = format!("the run {id} was purged at {}; name others", tombstone.time);
            return Err(Problem::new(Code::RunPurged, message).field("runs"));
        }
        let there = self.0.context.store.folder_of(id).is_dir()
            || self.0.context.store.folder_of_open(id).is_dir()
            || self.0.context.store.archive_of(id).is_file()
            // It may have been sealed between the two looks.
            || self.0.context.store.folder_of(id).is_dir();
        if there { Ok(()) } else { Err(unknown(id).field("runs")) }
    }

    /// Put a hold on the runs that are asked for; all of them or none. It is in the log when this
    /// returns.
    ///
    /// # Errors
    /// `not_an_operator`, `run_not_found`, `already_held`; what the log says.
    pub async fn hold(&self, asked: HoldRequest, by: &Caller) -> Result<Vec<Hold>, Problem> {
        operator(by)?;
        let (this, by) = (self.clone(), by.clone());
        self.0
            .context
            .blocking("putting a hold", move || {
                let mut standing = this.0.decisions.lock();
                for run in &asked.runs {
                    this.check_there(&standing, *run)?;
                    if let Some(hold) = standing.hold(*run, asked.matter.as_deref()) {
                        return Err(already(hold));
                    }
                }
                let at = this.0.context.clock.now();
                let matter = asked.matter.as_deref();
                let histories = this.0.context.log.histories(&asked.runs).map_err(store_problem)?;
                let seal = |run: &RunId| {
                    histories.get(run).and_then(|history| history.seal).map(|it| it.1)
                };
                let entry =
                    |run: &RunId| leaf::hold(*run, seal(run), matter, &asked.reason, &by, at);
                let entries = asked.runs.iter().map(entry).collect();
                standing.record(asked.event(Act::Hold, &by), entries)?;
                tracing::warn!(
                    runs = asked.runs.len(),
                    matter,
                    by = by.account(),
                    "runs were put on hold"
                );
                let held = asked.runs.iter().filter_map(|run| standing.hold(*run, matter));
                Ok(held.cloned().collect())
            })
            .await
    }

    /// Release the hold of the matter that is asked for on all the runs, or on none; the holds that
    /// went.
    ///
    /// # Errors
    /// `not_an_operator`, `not_held`; what the log says.
    pub async fn release(&self, asked: HoldRequest, by: &Caller) -> Result<Vec<Hold>, Problem> {
        operator(by)?;
        let (this, by) = (self.clone(), by.clone());
        self.0
            .context
            .blocking("releasing a hold", move || {
                let mut standing = this.0.decisions.lock();
                let matter = asked.matter.as_deref();
                let held = |run: &RunId| {
                    standing.hold(*run, matter).cloned().ok_or_else(|| not_held(*run, matter))
                };
                let gone = asked.runs.iter().map(held).collect::<Result<Vec<_>, _>>()?;
                let at = this.0.context.clock.now();
                let entry = |run: &RunId| leaf::release(*run, matter, &asked.reason, &by, at);
                let entries = asked.runs.iter().map(entry).collect();
                standing.record(asked.event(Act::Release, &by), entries)?;
                tracing::warn!(
                    runs = gone.len(),
                    matter,
                    by = by.account(),
                    "runs were released from a hold"
                );
                Ok(gone)
            })
            .await
    }

    /// All holds that stand, by run.
    ///
    /// # Errors
    /// `not_a_viewer` for whoever may not look at everybody's runs.
    pub fn holds(&self, reader: &Reader) -> Result<Vec<Hold>, Problem> {
        if *reader != Reader::Everything {
            let message = "holds are told to whoever may look at everybody's runs; ask the \
                           operator to put you into `web.viewers`";
            return Err(Problem::new(Code::NotAViewer, message));
        }
        Ok(self.0.decisions.read().all_holds().cloned().collect())
    }

    /// The holds on `run`.
    pub fn holds_on(&self, run: RunId) -> Vec<Hold> {
        self.0.decisions.read().holds(run).to_vec()
    }

    /// Say in `shown`, the answer about a run, whether it is archived and held, and to whoever may know it, why.
    pub fn show_holds(&self, shown: &mut Value, reader: &Reader) {
        let Some(run) = shown["run"].as_str().and_then(|run| run.parse().ok()) else { return };
        let holds = self.holds_on(run);
        shown["held"] = json!(!holds.is_empty());
        if self.0.decisions.is_archived(run) {
            shown["archived"] = json!(true);
        }
        if *reader == Reader::Everything && !holds.is_empty() {
            shown["holds"] = json!(holds);
        }
    }
}

impl HoldRequest {
    fn event(&self, act: Act, by: &Caller) -> NewAccessEvent {
        let mut detail = json!({ "reason": self.reason });
        if let Some(matter) = &self.matter {
            detail["matter"] = json!(matter);
        }
        decided(by, act, self.runs.clone(), detail)
    }
}

fn for_matter(matter: Option<&str>) -> String {
    matter.map_or_else(String::new, |matter| format!(" for the matter `{matter}`"))
}

fn already(hold: &Hold) -> Problem {
    let message = format!(
        "the run {} is held{} since {} already; name another matter, or leave it out",
        hold.run,
        for_matter(hold.matter.as_deref()),
        hold.since
    );
    Problem::new(Code::AlreadyHeld, message).field("runs")
}

fn not_held(run: RunId, matter: Option<&str>) -> Problem {
    let message = format!(
        "the run {run} has no hold{}; `exhibit hold list` shows those that stand",
        for_matter(matter)
    );
    Problem::new(Code::NotHeld, message).field("runs")
}

pub(super) fn check_not_held(standing: &Standing, run: RunId) -> Result<(), Problem> {
    let holds = standing.holds(run);
    let Some(first) = holds.first() else { return Ok(()) };
    let matters: Vec<&str> = holds.iter().filter_map(|hold| hold.matter.as_deref()).collect();
    let matters =
        if matters.is_empty() { String::new() } else { format!(" for {}", matters.join(", ")) };
    let message = format!(
        "the run {run} is on hold{matters} since {}; `exhibit hold release` ends a hold",
        first.since
    );
    Err(Problem::new(Code::RunHeld, message))
}
