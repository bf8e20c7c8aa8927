//! Owns the verification of kept bundles of other stores: each is the one that the log tells of, and
//! every folder in it is sound. Whose folders they are is judged where the auditor says something of
//! the key that signed them, and noted otherwise: it is for the auditor of their own store to say.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use jiff::Timestamp;
use serde::Serialize;

use super::LOOKS;
use super::bundle::{self, Beside, code_of, digest_of, is_of_a_stranger};
use super::log::LogCheck;
use super::moving::{Lies, lies};
use super::parallel::in_order;
use super::unread::unreadable;
use crate::cause::chain;
use crate::disk;
use crate::finding::{Class, Finding, FindingCode, shown};
use crate::id::RunId;
use crate::imported::{Found, found_in, goes_in, waits_in};
use crate::layout::{IMPORTED, imported_place};
use crate::log::{FOLDER, KeptImport, Leaf, LeafKind, purged_import};
use crate::trust::Trust;
use exhibit_tlog::digest::Digest;

/// What verification says of a kept bundle of another store. What it found stands with the store's
/// own findings, under the bundle's place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Its place in the store.
    pub place: String,
    /// The runs in it.
    pub runs: Vec<RunId>,
    /// Fingerprints of the keys of sound signatures.
    pub keys: BTreeSet<String>,
    /// Who vouched for them.
    pub signed_by: BTreeSet<String>,
    /// Where seals stand in logs that somebody vouched for.
    pub logged: BTreeSet<String>,
}

/// A kept bundle that was read.
pub(super) struct Kept {
    /// The digest after which it is called.
    named: Digest,
    /// Its digest; none when it is no bundle, and was not read to its end.
    found: Option<Digest>,
    /// What lay there before it was read.
    lay: Lies,
    pub(super) report: ImportReport,
    findings: Vec<Finding>,
}

/// Read the kept bundles in the store at `root`, as many at a time as there are processors, and say
/// what else lies beside them.
pub(super) fn read(root: &Path, trust: &Trust) -> (Vec<Kept>, Vec<Finding>) {
    let (found, findings) = listed(root);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let read = |(named, path): &(Digest, PathBuf)| Kept::read(*named, path, trust);
    (in_order(workers, &found, read), findings)
}

/// What the log says of bundles of other stores.
#[derive(Debug, Default)]
pub struct Logged {
    /// Digests of those that are kept, and their sizes in bytes.
    pub kept: BTreeMap<Digest, u64>,
    /// Of those that were purged.
    pub purged: BTreeSet<Digest>,
}

/// Hold the files in `imported/` of the store at `root` against what is `logged`, which is asked before
/// and after they were read; about how many bytes that were, and what is to be said. What the log tells
/// nothing of, or tells another size of, is not read.
pub fn imports(root: &Path, logged: impl Fn() -> Logged) -> (u64, Vec<Finding>) {
    let (found, mut findings) = listed(root);
    let before = logged().kept;
    let read = |named: &Digest, path: &Path, kept: &BTreeMap<Digest, u64>| match kept.get(named) {
        Some(size) => digest_of(path, Some(*size)),
        None => Ok(None),
    };
    let mut digests: BTreeMap<_, _> =
        found.iter().map(|(named, path)| (*named, read(named, path, &before))).collect();
    let after = logged();
    // One that was taken in meanwhile.
    for (named, path) in found.iter().filter(|(named, _)| !before.contains_key(named)) {
        digests.insert(*named, read(named, path, &after.kept));
    }
    let is_read = |named: &Digest| matches!(digests.get(named), Some(Ok(Some(_))));
    let bytes = after.kept.iter().filter(|(named, _)| is_read(named)).map(|(_, size)| size).sum();
    findings.extend(against(root, &digests, &after));
    (bytes, findings)
}

/// The files in `imported/` that are called after digests, and what is to be said of the others.
fn listed(root: &Path) -> (Vec<(Digest, PathBuf)>, Vec<Finding>) {
    let (mut found, mut findings) = (Vec::new(), Vec::new());
    let entries = found_in(root).unwrap_or_else(|error| {
        let expected = "a readable folder";
        let code = FindingCode::Unreadable;
        findings.push(Finding::new(code, IMPORTED, expected, error.to_string()));
        Vec::new()
    });
    for entry in entries {
        let (code, place, found) = match entry {
            Found::Kept(sha256, path) => {
                found.push((sha256, path));
                continue;
            }
            Found::Begun(place) => (FindingCode::ImportUnfinished, place, "one on its way"),
            Found::Other(place, kind) if kind.is_file() => {
                (FindingCode::UnexpectedFile, place, "a file")
            }
            Found::Other(place, kind) if kind.is_dir() => {
                (FindingCode::UnexpectedFolder, place, "a folder")
            }
            Found::Other(place, _) => (FindingCode::NotAFile, place, "a link or device"),
        };
        findings.push(Finding::new(code, place, "bundles that the log tells of", found));
    }
    (found, findings)
}

/// What is wrong with the files that were `found`, by the digest in their names, by what is `logged`.
fn against(
    root: &Path,
    found: &BTreeMap<Digest, io::Result<Option<Digest>>>,
    logged: &Logged,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (named, found) in found {
        let kept = logged.kept.contains_key(named);
        if kept && found.as_ref().is_ok_and(|found| found.as_ref() == Some(named)) {
            continue;
        }
        let place = imported_place(*named);
        if let Err(error) = found
            && disk::is_unreadable(error)
        {
            findings.push(unreadable(place, error));
            continue;
        }
        if !kept {
            match is_going(root, *named, logged) {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    findings.push(unreadable(place, &error));
                    continue;
                }
            }
        }
        let expected = if kept { named.to_string() } else { "no bundle".to_owned() };
        let found = found.as_ref().ok().copied().flatten();
        let found =
            found.map_or("another, or what cannot be read".to_owned(), |found| found.to_string());
        findings.push(Finding::new(FindingCode::ImportNotLogged, place, expected, found));
    }
    for (sha256, size) in logged.kept.iter().filter(|(sha256, _)| !found.contains_key(*sha256)) {
        let place = imported_place(*sha256);
        match waits_in(root, *sha256, *size) {
            // One that waits is told of under the name it has.
            Ok(Some(_)) => {}
            Ok(None) => {
                let expected = "a bundle that is kept";
                findings.push(Finding::new(FindingCode::ImportGone, place, expected, "nothing"));
            }
            Err(error) => findings.push(unreadable(place, &error)),
        }
    }
    findings
}

/// Whether a bundle that the log does not keep was purged while it was read, or is on its way out, of
/// which its mark tells.
fn is_going(root: &Path, named: Digest, logged: &Logged) -> io::Result<bool> {
    let gone = || Ok::<_, io::Error>(disk::found(&root.join(imported_place(named)))?.is_none());
    // Its mark goes after it.
    Ok(gone()? || logged.purged.contains(&named) && goes_in(root, named)? || gone()?)
}

impl Kept {
    fn read(named: Digest, path: &Path, trust: &Trust) -> Self {
        let report = ImportReport { place: imported_place(named), ..ImportReport::default() };
        let (lay, findings) = (lies(path), Vec::new());
        let mut kept = Self { named, found: None, lay, report, findings };
        kept.judge(path, trust);
        kept
    }

    fn add(&mut self, code: FindingCode, expected: &str, found: String) {
        let place = self.report.place.clone();
        self.findings.push(Finding::new(code, place, expected, found));
    }

    fn judge(&mut self, path: &Path, trust: &Trust) {
        let place = PathBuf::from(&self.report.place);
        let (mut seen, mut strangers) = (Vec::new(), BTreeSet::new());
        let read = bundle::read(path, |folder| {
            let stranger = is_of_a_stranger(&folder, trust);
            // Of a key that the auditor was told nothing of, its own store's auditor was.
            let nobody = Trust::none();
            let judged = bundle::beside(&place, &folder, if stranger { &nobody } else { trust });
            seen.push((folder.run, stranger, judged));
        });
        match read {
            Ok(sha256) => self.found = Some(sha256),
            Err(error) => {
                let code = code_of(&error, FindingCode::ImportMalformed);
                return self.add(code, "a bundle of evidence folders", chain(&error));
            }
        }
        for (run, stranger, judged) in seen {
            self.take(run, stranger, judged, &mut strangers);
        }
        if !strangers.is_empty() {
            let found = strangers.into_iter().collect::<Vec<_>>().join(", ");
            let expected = "keys of which the auditor was told";
            self.add(FindingCode::ImportNotVouched, expected, found);
        }
    }

    fn take(
        &mut self,
        run: RunId,
        stranger: bool,
        judged: Beside,
        strangers: &mut BTreeSet<String>,
    ) {
        let Beside { report, beside } = judged;
        let inside = format!("{}/runs/{run}", self.report.place);
        for mut finding in report.findings {
            if stranger && finding.code == FindingCode::UnknownKey {
                strangers.insert(finding.found);
                continue;
            }
            let place =
                if finding.place == "." { String::new() } else { format!("/{}", finding.place) };
            finding.place = shown(&format!("{inside}{place}"));
            self.findings.push(finding);
        }
        for mut finding in beside {
            finding.place = format!("{}/proofs/{run}.tlog-proof", self.report.place);
            self.findings.push(finding);
        }
        self.report.runs.push(run);
        self.report.keys.extend(report.key);
        self.report.signed_by.extend(report.signed_by);
        self.report.logged.extend(report.logged);
    }
}

impl LogCheck<'_> {
    /// Hold the kept bundles that were `read` against what the log says of them. A daemon at work may have
    /// taken one in or purged one meanwhile: then it is read again, against the newest log.
    pub(super) fn imports(&mut self, read: &mut Vec<Kept>) {
        for _ in 1..LOOKS {
            self.imports_again(read);
            let found = self.imports_found(read);
            if !found.iter().any(|it| it.class != Class::Note) || !self.has_imports_since() {
                self.findings.extend(found);
                return;
            }
        }
        let found = self.imports_found(read);
        self.findings.extend(found);
    }

    /// Read again what was exchanged while it was read, and leave out what went.
    fn imports_again(&self, read: &mut Vec<Kept>) {
        let trust = self.trust.without_witnesses();
        let is_accused = |kept: &Kept| kept.findings.iter().any(|it| it.class != Class::Note);
        for kept in &mut *read {
            let path = self.root.join(&kept.report.place);
            if is_accused(kept) && lies(&path).is_some_and(|lies| kept.lay != Some(lies)) {
                *kept = Kept::read(kept.named, &path, &trust);
            }
        }
        // Of one that went while it was read there is nothing to say: the log tells whether it may.
        read.retain(|kept| {
            let found = || disk::found(&self.root.join(&kept.report.place));
            !is_accused(kept) || found().map_or(true, |found| found.is_some())
        });
    }

    fn imports_found(&self, read: &[Kept]) -> Vec<Finding> {
        let of = |was_purged: bool| {
            self.imports.iter().filter(move |(_, (_, purged))| *purged == was_purged)
        };
        let logged = Logged {
            kept: of(false).map(|(sha256, (kept, _))| (*sha256, kept.size)).collect(),
            purged: of(true).map(|(sha256, _)| *sha256).collect(),
        };
        let sha256 = |kept: &Kept| {
            let path = self.root.join(&kept.report.place);
            // Of one that cannot be read nothing is known but that, which is told.
            let unread = kept.findings.iter().any(|it| it.code == FindingCode::Unreadable);
            let unread = unread.then_some(kept.named);
            let known = kept.found.or(unread).map(|found| Ok(Some(found)));
            let size = || self.imports.get(&kept.named).map(|(logged, _)| logged.size);
            // One that the log tells nothing of is none, whatever is in it.
            known.unwrap_or_else(|| size().map_or(Ok(None), |size| digest_of(&path, Some(size))))
        };
        let found = read.iter().map(|kept| (kept.named, sha256(kept))).collect();
        against(self.root, &found, &logged)
    }

    /// Take over what was added to the log about kept bundles since it was looked at; whether there is
    /// something.
    fn has_imports_since(&mut self) -> bool {
        let since = self.imports_caught.unwrap_or(self.report.size);
        let Ok((size, added)) = self.added_since(since) else { return false };
        self.imports_caught = Some(size);
        let mut told = false;
        for (index, _, leaf) in added {
            let taken = KeptImport::from_leaf(index, &leaf);
            let gone = Some(&leaf).filter(|leaf| leaf.kind == LeafKind::PurgeImport);
            let gone = gone.and_then(purged_import);
            told |= taken.is_some() || gone.is_some();
            self.imports.extend(taken.map(|kept| (kept.sha256, (kept, false))));
            if let Some((_, purged)) = gone.and_then(|sha256| self.imports.get_mut(&sha256)) {
                *purged = true;
            }
        }
        told
    }

    /// Take over what the entry `index` says of kept bundles, and hold the purge of one against what
    /// is before it.
    pub(super) fn import(&mut self, index: u64, leaf: &Leaf) {
        self.imports
            .extend(KeptImport::from_leaf(index, leaf).map(|kept| (kept.sha256, (kept, false))));
        if leaf.kind != LeafKind::PurgeImport {
            return;
        }
        let known = purged_import(leaf).and_then(|sha256| self.imports.get_mut(&sha256));
        let wrong = match known {
            None => Some(("a bundle that is kept".to_owned(), "none".to_owned())),
            Some((kept, purged)) => {
                *purged = true;
                let until = kept.kept_until.as_deref();
                let time = |text: &str| text.parse::<Timestamp>().ok();
                let early = until.and_then(time) > time(&leaf.time);
                let held = self.keeping.holds_one_of(&kept.runs);
                let until = until.unwrap_or_default();
                if held {
                    Some(("runs that nobody holds".to_owned(), "one on hold".to_owned()))
                } else {
                    early.then(|| (format!("a time after {until}"), leaf.time.clone()))
                }
            }
        };
        if let Some((expected, found)) = wrong {
            let place = format!("{FOLDER}#{index}");
            self.add(FindingCode::PurgeUnfounded, place, expected, found);
        }
    }
}

/// What was found in the bundles that were `read`.
pub(super) fn findings(read: &mut [Kept]) -> impl Iterator<Item = Finding> {
    read.iter_mut().flat_map(|kept| std::mem::take(&mut kept.findings))
}
