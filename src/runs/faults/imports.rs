//! Lost runs put back from a bundle, and an import finished that was cut short behind its entry.

use serde_json::json;

use super::{DaemonFolder, Life, operator, try_life};
use crate::bundle;
use crate::digest::Digest;
use crate::error::{Problem, chain};
use crate::evidence::log::{LeafKind, leaf};
use crate::evidence::{Act, Leaving};
use crate::id::RunId;
use crate::request::ArchiveRequest;
use crate::runs::Runs;
use crate::runs::access::accessor::decided;

/// Of so many steps, one is tried by `cargo test`.
const STRIDE: usize = 37;

/// A daemon on a disk that can fail.
struct Trial {
    place: DaemonFolder,
    /// A folder that is lost, an archive that is lost, a run that is there, and one of which the log
    /// says that it was put back.
    runs: [RunId; 4],
    /// All of them but the last.
    bundle: Vec<u8>,
    told: bool,
    /// What was refused twice in a row.
    refused: Vec<String>,
}

impl Trial {
    fn new() -> Self {
        let place = DaemonFolder::new();
        let runs = place.open().expect("a store");
        let sealed = [(); 4].map(|()| place.sealed(&runs).expect("sealed").run);
        let [lost, packed, there, cut] = sealed;
        let store = &runs.0.context.store;
        let bundle_of = |runs: &[RunId]| {
            let folders: Vec<_> = runs.iter().map(|run| (*run, store.folder_of(*run))).collect();
            let folders: Vec<_> =
                folders.iter().map(|(run, folder)| (*run, folder.as_path(), None)).collect();
            bundle::write(Vec::new(), &folders).expect("in memory")
        };
        let (three, one) = (bundle_of(&[lost, packed, there]), bundle_of(&[cut]));
        let asked = ArchiveRequest {
            runs: vec![packed],
            older_than_days: None,
            dry_run: false,
            restore: false,
        };
        place.wait(runs.retention().archive(asked, &operator())).expect("archived");
        store.remove_archive(packed).expect("removed");
        for run in [lost, cut] {
            store.move_aside(run, Leaving::Purged).expect("moved");
            store.remove_aside(run, Leaving::Purged).expect("removed");
        }
        // The other import is in the log, and its run is not in its place.
        store
            .unpack_import(std::io::Cursor::new(&one), bundle::Limits::default())
            .expect("a bundle");
        store.mark_import(runs.0.context.log.checkpoint().1.size).expect("marked");
        let sha256 = Digest::of(&one);
        let entry = leaf::import(&[cut], sha256, &operator(), place.clock.now());
        let event = decided(&operator(), Act::Import, vec![cut], json!({}));
        runs.retention().decisions().lock().record(event, vec![entry]).expect("put down");
        Self { place, runs: sealed, bundle: three, told: false, refused: Vec::new() }
    }

    fn import(&self, runs: &Runs) -> Result<(), Problem> {
        let done =
            self.place.wait(runs.retention().import(self.bundle.clone().into(), &operator()))?;
        assert_eq!(done.restored.len() + done.here.len(), 3, "{done:?}");
        Ok(())
    }
}

impl Life for Trial {
    fn place(&self) -> &DaemonFolder {
        &self.place
    }

    fn copy(&self) -> Self {
        let (place, bundle) = (self.place.copy(), self.bundle.clone());
        Self { place, bundle, runs: self.runs, told: false, refused: Vec::new() }
    }

    fn live(&mut self) {
        let mut refused = Vec::new();
        if let Some(runs) = self.place.twice("open", &mut refused, DaemonFolder::open) {
            let import = |_: &DaemonFolder| self.import(&runs);
            self.told = self.place.twice("import", &mut refused, import).is_some();
            self.place.wait(runs.stopped());
        }
        self.refused = refused;
    }

    fn wrong(&self) -> Vec<String> {
        let runs = match self.place.open() {
            Ok(runs) => runs,
            Err(problem) => return vec![format!("no start: {}", chain(&problem))],
        };
        let mut wrong = Vec::new();
        let logged =
            runs.0.context.log.last(|leaf| leaf.kind == LeafKind::Import).expect("readable");
        let (_, logged) = logged.expect("one was cut short");
        let [lost, packed, there, cut] = self.runs;
        let logged = logged.data["runs"] == json!([lost, packed]);
        let folder = |run: RunId| runs.0.context.store.folder_of(run).is_dir();
        if !folder(cut) || !folder(there) {
            wrong.push("the import that was cut short is not finished".to_owned());
        }
        if self.told && !logged {
            wrong.push("the log does not tell of the import".to_owned());
        }
        if folder(lost) != logged || folder(packed) != logged {
            wrong.push(format!("the log says {logged} of what was put back, which is not so"));
        }
        // What is over stands in the way of nothing.
        wrong.extend(self.import(&runs).err().map(|error| format!("not again: {}", chain(&error))));
        wrong.extend(self.place.wrong(&runs));
        let listed = |run: &&RunId| runs.0.catalog.index().get(**run).expect("read");
        let unlisted = self.runs.iter().filter(|run| listed(run).is_none());
        wrong.extend(unlisted.map(|run| format!("{run} is not in the index")));
        wrong
    }

    fn refused(&mut self) -> Vec<String> {
        std::mem::take(&mut self.refused)
    }

    fn is_all_told(&self) -> bool {
        self.told
    }
}

#[test]
fn a_disk_that_fails_at_any_step_puts_back_what_the_log_says_and_nothing_else() {
    try_life(Trial::new(), STRIDE);
}
