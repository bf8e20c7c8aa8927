//! Owns legal holds: operators put them on runs and release them, each by an entry of the log, and
//! the log alone says which stand.

use std::sync::{MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::Runs;
use super::custody::decided;
use super::problem::{store_problem, unknown};
use crate::error::{Code, Problem};
use crate::evidence::log::{Hold, Leaf, Standing, leaf};
use crate::evidence::{Act, Deed};
use crate::id::RunId;
use crate::request::HoldRequest;
use crate::run::{Caller, Reader};

impl Runs {
    pub(super) fn standing(&self) -> MutexGuard<'_, Standing> {
        self.0.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a run `id`, open or sealed.
    fn check_there(&self, standing: &Standing, id: RunId) -> Result<(), Problem> {
        // From that entry on its folder is on its way out.
        if let Some(tombstone) = standing.tombstone(id) {
            let message = format!("the run {id} was purged at {}; name others", tombstone.time);
            return Err(Problem::new(Code::RunPurged, message).field("runs"));
        }
        let there = self.0.store.folder_of(id).is_dir()
            || self.0.store.folder_of_open(id).is_dir()
            || self.0.store.archive_of(id).is_file()
            // It may have been sealed between the two looks.
            || self.0.store.folder_of(id).is_dir();
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
        self.blocking("putting a hold", move || {
            let mut standing = this.standing();
            for run in &asked.runs {
                this.check_there(&standing, *run)?;
                if let Some(hold) = standing.hold(*run, asked.matter.as_deref()) {
                    return Err(already(hold));
                }
            }
            let at = this.0.clock.now();
            let matter = asked.matter.as_deref();
            let histories = this.log().histories(&asked.runs).map_err(store_problem)?;
            let seal =
                |run: &RunId| histories.get(run).and_then(|history| history.seal).map(|it| it.1);
            let entry = |run: &RunId| leaf::hold(*run, seal(run), matter, &asked.reason, &by, at);
            let entries = asked.runs.iter().map(entry).collect();
            this.put_down(&mut standing, asked.deed(Act::Hold, &by), entries)?;
            tracing::warn!(runs = asked.runs.len(), matter, ?by, "runs were put on hold");
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
        self.blocking("releasing a hold", move || {
            let mut standing = this.standing();
            let matter = asked.matter.as_deref();
            let held = |run: &RunId| {
                standing.hold(*run, matter).cloned().ok_or_else(|| not_held(*run, matter))
            };
            let gone = asked.runs.iter().map(held).collect::<Result<Vec<_>, _>>()?;
            let at = this.0.clock.now();
            let entry = |run: &RunId| leaf::release(*run, matter, &asked.reason, &by, at);
            let entries = asked.runs.iter().map(entry).collect();
            this.put_down(&mut standing, asked.deed(Act::Release, &by), entries)?;
            tracing::warn!(runs = gone.len(), matter, ?by, "runs were released from a hold");
            Ok(gone)
        })
        .await
    }

    /// Put `deed` on record and `entries` into the log, and take over what they say.
    pub(super) fn put_down(
        &self,
        standing: &mut Standing,
        deed: Deed,
        entries: Vec<Vec<u8>>,
    ) -> Result<u64, Problem> {
        let leaves: Vec<_> = entries.iter().filter_map(|entry| Leaf::parse(entry)).collect();
        self.put_on_record(deed)?;
        let first = self.append_with_head(entries)?;
        for (index, leaf) in (first..).zip(&leaves) {
            standing.take(index, leaf);
        }
        Ok(first)
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
        Ok(self.standing().all_holds().cloned().collect())
    }

    /// The holds on `run`.
    pub fn holds_on(&self, run: RunId) -> Vec<Hold> {
        self.standing().holds(run).to_vec()
    }

    /// Say in `shown`, the answer about a run, whether it is archived and held, and to whoever may know it, why.
    pub fn show_holds(&self, shown: &mut Value, reader: &Reader) {
        let Some(run) = shown["run"].as_str().and_then(|run| run.parse().ok()) else { return };
        let holds = self.holds_on(run);
        shown["held"] = json!(!holds.is_empty());
        if self.is_archived(run) {
            shown["archived"] = json!(true);
        }
        if *reader == Reader::Everything && !holds.is_empty() {
            shown["holds"] = json!(holds);
        }
    }
}

impl HoldRequest {
    fn deed(&self, act: Act, by: &Caller) -> Deed {
        let mut detail = json!({ "reason": self.reason });
        if let Some(matter) = &self.matter {
            detail["matter"] = json!(matter);
        }
        decided(by, act, self.runs.clone(), detail)
    }
}

/// Let pass whoever may decide what is kept: root and the recorder's own user, over the socket. They
/// could take the files away in any case; through here it is on record.
pub(super) fn operator(caller: &Caller) -> Result<(), Problem> {
    let own = rustix::process::geteuid().as_raw();
    if matches!(caller, Caller::Socket { uid, .. } if *uid == 0 || *uid == own) {
        return Ok(());
    }
    let message = format!(
        "only operators decide what is kept: root, or the daemon's own user (uid {own}), over its \
         Unix socket; have one of them do it"
    );
    Err(Problem::new(Code::NotAnOperator, message))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_the_recorder_are_operators_and_only_over_the_socket() {
        let socket = |uid| Caller::Socket { uid, gid: 0, pid: Some(1) };
        let own = rustix::process::geteuid().as_raw();
        assert!(operator(&socket(0)).is_ok() && operator(&socket(own)).is_ok());
        let key = Caller::Key { id: "0".to_owned(), name: "root".to_owned() };
        for other in [socket(65_534), key, Caller::Daemon] {
            let problem = operator(&other).expect_err("refused");
            assert_eq!(problem.code, Code::NotAnOperator, "{other:?}");
        }
    }
}
