//! What can happen to the store of the model: steps of an honest life, each of which a crash may
//! follow, and what an insider without a key does to the files while no daemon runs.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::{PICTURE, State};
use crate::attacks::write;
use crate::clock::{Clock, Moment};
use crate::damage::unlock;
use crate::digest::Digest;
use crate::draft::Draft;
use crate::fixture::{ORIGIN, agent_says, file, id, log_key, opening, signer};
use crate::layout::{
    EVENTS, RECORD, RESERVED, SEAL, TAG_FILES, archived_place, open_place, sealed_place,
};
use crate::log::{FOLDER, HISTORY, Log, RunHead, remove};
use crate::run::{Ending, Event};
use crate::seal;
use crate::store::Store;
use crate::triage::Triage;

/// An action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The daemon starts, opens the run and comes so far with it before it crashes.
    Live(Until),
    /// The daemon starts, brings to an end what it finds, and crashes.
    Start,
    /// The operator archives the run.
    Archive,
    /// The operator purges it, after its time.
    Purge,
    /// The insider puts everything aside.
    Copy,
    /// And puts the runs back.
    PutRunsBack,
    /// Or the log.
    PutLogBack,
    /// Or all of it.
    PutAllBack,
    /// The sealed folder goes to `open/`.
    Reopen,
    /// A copy of it does.
    CopyToOpen,
    /// Only the first line of its events does, and the folder is removed.
    FirstLineToOpen,
    /// The open folder goes to where it would be sealed.
    Close,
    /// What a seal wrote is removed from the open folder, and its closing event.
    Strip,
    /// The last event is cut off, open or sealed.
    Shorten,
    /// An event is changed, and the chain made anew.
    Edit,
    /// The picture is exchanged.
    Repaint,
    /// What there is of the run is removed.
    Remove,
}

/// How far a life goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// The folder is there, its entry in the log is not.
    Unlogged,
    /// The run is open.
    Open,
    /// It holds a capture, of which the log has not heard yet.
    Filled,
    /// The log has its head.
    Fixed,
    /// So many steps of its seal are taken.
    Seal(usize),
}

pub(super) const ACTIONS: &[Action] = &[
    Action::Live(Until::Unlogged),
    Action::Live(Until::Open),
    Action::Live(Until::Filled),
    Action::Live(Until::Fixed),
    Action::Live(Until::Seal(2)),
    Action::Live(Until::Seal(seal::STEPS.len() - 3)),
    Action::Live(Until::Seal(seal::STEPS.len() - 2)),
    Action::Live(Until::Seal(seal::STEPS.len() - 1)),
    Action::Live(Until::Seal(seal::STEPS.len())),
    Action::Start,
    Action::Archive,
    Action::Purge,
    Action::Copy,
    Action::PutRunsBack,
    Action::PutLogBack,
    Action::PutAllBack,
    Action::Reopen,
    Action::CopyToOpen,
    Action::FirstLineToOpen,
    Action::Close,
    Action::Strip,
    Action::Shorten,
    Action::Edit,
    Action::Repaint,
    Action::Remove,
];

#[expect(clippy::disallowed_methods, reason = "a test prepares a folder")]
pub(super) fn make_dir(path: &Path) {
    std::fs::create_dir_all(path).expect("made");
}

fn now() -> Moment {
    Clock::fixed("2026-11-24T08:15:46.120Z".parse().expect("a time")).now()
}

impl Action {
    /// The state after this; none where it is not possible, or changes nothing.
    pub(super) fn take(self, state: &State, bench: &Path) -> Option<State> {
        let mut after = state.clone();
        match self {
            Self::Live(_) | Self::Start | Self::Archive | Self::Purge => {
                let root = bench.join("store");
                state.lay_out(&root);
                let done = self.honest(&mut after, &root);
                if root.is_dir() {
                    unlock(&root);
                    after.read(&root);
                    remove(&root);
                }
                done?;
            }
            _ => {
                self.insider(&mut after)?;
                // Copying alone changes nothing for anybody.
                after.tampered |= self != Self::Copy;
            }
        }
        Some(after)
    }

    fn honest(self, after: &mut State, root: &Path) -> Option<()> {
        let store = Store::open(root).ok()?;
        let log = Arc::new(Log::open(root, &log_key(), ORIGIN).ok()?);
        let store = store.with_log(Arc::clone(&log));
        match self {
            Self::Live(until) => live(after, &store, &log, until),
            Self::Start => {
                recover(&store, &log);
                let seal = std::fs::read(store.folder_of(id(0)).join(SEAL)).ok();
                let seal = seal.map(|seal| Digest::of(&seal));
                if !after.tampered {
                    after.truth.seal = after.truth.seal.or(seal);
                }
                Some(())
            }
            Self::Archive => archive(after, &store, &log),
            _ => purge(after, &store, &log),
        }
    }

    fn insider(self, after: &mut State) -> Option<()> {
        let (sealed, open) = (sealed_place(id(0)), open_place(id(0)));
        match self {
            Self::Copy => {
                let files = Some(after.files.clone());
                (after.backup != files).then_some(())?;
                after.backup = files;
            }
            Self::PutRunsBack => put_back(after, &["runs/", "open/"])?,
            Self::PutLogBack => put_back(after, &[&format!("{FOLDER}/"), &format!("{HISTORY}/")])?,
            Self::PutAllBack => put_back(after, &[""])?,
            Self::Reopen => carry(after, &sealed, &open, true)?,
            Self::CopyToOpen => carry(after, &sealed, &open, false)?,
            Self::FirstLineToOpen => {
                let events = after.bytes(&format!("{sealed}/{EVENTS}"))?;
                let first = events.split_inclusive(|byte| *byte == b'\n').next()?.to_vec();
                after.files.retain(|name, _| !name.starts_with(&sealed));
                after.put(format!("{open}/{EVENTS}"), first);
            }
            Self::Close => carry(after, &open, &sealed, true)?,
            Self::Strip => {
                let before = after.files.len();
                for name in TAG_FILES.iter().chain(&RESERVED).chain(&[RECORD]) {
                    after.files.remove(&format!("{open}/{name}"));
                }
                let cut = change_events(after, |lines| {
                    lines.retain(|line| !line.contains("\"run.sealed\""));
                });
                (cut.is_some() || after.files.len() < before).then_some(())?;
            }
            Self::Shorten => change_events(after, |lines| drop(lines.pop()))?,
            Self::Edit => change_events(after, |lines| {
                for line in &mut *lines {
                    *line = line.replace("paid", "took");
                }
                rechain(lines);
            })?,
            Self::Repaint => {
                let place = [&sealed, &open].map(|place| format!("{place}/{PICTURE}"));
                let place = place.into_iter().find(|place| after.files.contains_key(place))?;
                (after.bytes(&place) != Some(b"another")).then_some(())?;
                after.put(place, b"another".to_vec());
            }
            _ => {
                let before = after.files.len();
                after
                    .files
                    .retain(|name, _| !name.starts_with(&sealed) && !name.starts_with(&open));
                (after.files.len() < before).then_some(())?;
            }
        }
        Some(())
    }
}

/// Open the run, and come as far with it as `until` says.
fn live(after: &mut State, store: &Store, log: &Arc<Log>, until: Until) -> Option<()> {
    recover(store, log);
    let history = log.histories(&[id(0)]).ok()?.remove(&id(0))?;
    let lies = [store.folder_of(id(0)), store.folder_of_open(id(0)), store.archive_of(id(0))];
    let free = history.first_event.is_none() && lies.iter().all(|place| !place.exists());
    free.then_some(())?;
    let mut draft = store.begin(&opening(id(0)), &json!({"browser": "none"}), now()).ok()?;
    after.truth.lines = vec![draft.head().sha256];
    if until == Until::Open {
        return Some(());
    }
    if until == Until::Unlogged {
        // As if the entry had not come to the log: nobody was told of the run.
        let folder = store.folder_of_open(id(0));
        let aside = store.root().join("aside");
        drop(draft);
        crate::attacks::rename(&folder, &aside);
        for name in [FOLDER, HISTORY] {
            let path = store.root().join(name);
            if path.exists() {
                remove(&path);
            }
        }
        let before: std::collections::BTreeMap<String, Vec<u8>> =
            after.files.iter().map(|(name, content)| (name.clone(), content.1.clone())).collect();
        for (name, bytes) in before {
            if name.starts_with(FOLDER) || name.starts_with(HISTORY) {
                let path = store.root().join(&name);
                make_dir(path.parent().expect("a parent"));
                write(&path, &bytes);
            }
        }
        crate::attacks::rename(&aside, &folder);
        after.truth.lines.clear();
        return Some(());
    }
    let head = fill(&mut draft);
    if until == Until::Filled {
        return Some(());
    }
    log.append_all(RunHead::entries(&[head], now())).ok()?;
    let events = std::fs::read(draft.folder().join(EVENTS)).ok()?;
    after.truth.lines = events
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(Digest::of)
        .collect();
    after.truth.picture = Some(Digest::of(b"the picture"));
    if let Until::Seal(steps) = until {
        seal::run(&mut draft, &Ending::sealed("done"), &signer(), now(), steps).ok()?;
        if draft.is_bound() {
            let history = log.histories(&[id(0)]).ok()?.remove(&id(0))?;
            after.truth.seal = history.seal.map(|(_, seal)| seal);
        }
    }
    Some(())
}

fn fill(draft: &mut Draft) -> RunHead {
    let name = PICTURE.trim_start_matches("data/");
    let taken = draft.add(vec![file(name, b"the picture")]).expect("added");
    let event = Event::exhibit("capture.taken", json!({ "stage": "before", "artifacts": taken }));
    draft.record(&[event, agent_says("paid")], now()).expect("recorded");
    draft.head()
}

/// What a start does with what it finds in `open/`.
fn recover(store: &Store, log: &Arc<Log>) {
    let Ok(unfinished) = store.unfinished() else { return };
    let mut histories = log.histories(&unfinished).expect("read");
    for run in unfinished {
        let history = histories.remove(&run).expect("asked for");
        match store.triage(run, &history) {
            Err(_) => {}
            Ok(Triage::Publish(index)) => store.publish_sealed(run, index).expect("published"),
            Ok(Triage::Discard) => store.discard(run).expect("discarded"),
            Ok(Triage::Quarantine(_)) => drop(store.quarantine(run).expect("set aside")),
            Ok(Triage::Resume) => {
                let Ok((draft, salvage)) = store.resume(run, history.events()) else { continue };
                let ending = salvage.ending.unwrap_or_else(|| Ending::interrupted("it crashed"));
                drop(draft.seal(&ending, &signer(), now()));
            }
        }
    }
    store.settle().expect("settled");
}

/// Archive the run, if it is what the log holds.
fn archive(after: &mut State, store: &Store, log: &Log) -> Option<()> {
    let (folder, history) = (store.folder_of(id(0)), log.histories(&[id(0)]).ok()?.remove(&id(0))?);
    let seal = std::fs::read(folder.join(SEAL)).ok().map(|seal| Digest::of(&seal));
    let sound = crate::verify::folder(&folder, &crate::fixture::trust());
    (sound.findings.is_empty() && seal == history.seal.map(|(_, seal)| seal)).then_some(())?;
    let bytes = crate::bundle::write(Vec::new(), &[(id(0), &folder, None)]).expect("in memory");
    let sha256 = Digest::of(&bytes);
    add(log, json!({ "kind": "archive", "run": id(0), "sha256": sha256 }))?;
    write(&store.root().join(archived_place(id(0))), &bytes);
    unlock(&folder);
    remove(&folder);
    after.truth.archive = Some(sha256);
    Some(())
}

/// Purge the run after its time, if the log holds a seal of it.
fn purge(after: &mut State, store: &Store, log: &Log) -> Option<()> {
    let history = log.histories(&[id(0)]).ok()?.remove(&id(0))?;
    let (_, seal) = history.seal.filter(|_| !history.purged)?;
    let lies = [store.folder_of(id(0)), store.archive_of(id(0))];
    lies.iter().any(|place| place.exists()).then_some(())?;
    add(log, json!({ "kind": "purge", "run": id(0), "seal_sha256": seal }))?;
    for place in lies.iter().filter(|place| place.exists()) {
        if place.is_dir() {
            unlock(place);
        }
        remove(place);
    }
    after.truth.purged = true;
    Some(())
}

fn add(log: &Log, mut entry: serde_json::Value) -> Option<()> {
    entry["format"] = json!("exhibit-log/1");
    entry["time"] = json!("2027-11-24T08:15:46.120Z");
    log.append(serde_json_canonicalizer::to_vec(&entry).expect("JSON")).ok().map(drop)
}

/// Put what was copied back in the place of what there is below `prefixes`.
fn put_back(after: &mut State, prefixes: &[&str]) -> Option<()> {
    let backup = after.backup.clone()?;
    let covered = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let mut files = after.files.clone();
    files.retain(|name, _| !covered(name));
    files.extend(backup.into_iter().filter(|(name, _)| covered(name)));
    (files != after.files).then(|| after.files = files)
}

/// Move or copy what lies below `from` to `to`, which must be free.
fn carry(after: &mut State, from: &str, to: &str, moves: bool) -> Option<()> {
    (after.has(&format!("{from}/data")) && !after.has(to)).then_some(())?;
    let below = format!("{from}/");
    let found: Vec<_> = after.files.iter().filter(|(name, _)| name.starts_with(&below)).collect();
    let copies: Vec<_> = found
        .into_iter()
        .map(|(name, content)| (name.replacen(from, to, 1), Arc::clone(content)))
        .collect();
    if moves {
        after.files.retain(|name, _| !name.starts_with(&below));
    }
    after.files.extend(copies);
    Some(())
}

/// Change the lines of the run's events, open or sealed.
fn change_events(after: &mut State, change: impl FnOnce(&mut Vec<String>)) -> Option<()> {
    let places = [open_place(id(0)), sealed_place(id(0))].map(|place| format!("{place}/{EVENTS}"));
    let place = places.into_iter().find(|place| after.files.contains_key(place))?;
    let text = String::from_utf8(after.bytes(&place)?.to_vec()).ok()?;
    let before: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut lines = before.clone();
    change(&mut lines);
    (lines != before).then_some(())?;
    let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    after.put(place, text.into_bytes());
    Some(())
}

/// Bind each line to the one before it.
fn rechain(lines: &mut [String]) {
    let mut previous = Digest::ZERO;
    for line in lines {
        let at = line.rfind("\"previous\":").expect("an event");
        *line = format!("{}\"previous\":\"{previous}\"}}", &line[..at]);
        previous = Digest::of(line.as_bytes());
    }
}
