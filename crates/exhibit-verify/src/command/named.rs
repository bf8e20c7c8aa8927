//! Owns the look at a path that somebody named as evidence: whether anything of ours is there at all. A
//! mistyped path is a mistake on the command line; it must not look like evidence that was tampered
//! with. Whatever holds the least part of evidence or of a store is left to the verification.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Refused;
use crate::id::RunId;

/// What an evidence folder holds, and other folders do not. One that lost all but one of these is
/// evidence still.
const OF_A_FOLDER: &[&str] = &[
    "VERIFY.txt",
    "bag-info.txt",
    "bagit.txt",
    "data/attachments",
    "data/captures",
    "data/comparisons",
    "data/events.jsonl",
    "data/provenance.json",
    "data/recordings",
    "data/run.json",
    "manifest-sha256.txt",
    "report.html",
    "seal.json",
    "seal.json.tlog-proof",
    "tagmanifest-sha256.txt",
    "tagmanifest-sha256.txt.sig",
    "tagmanifest-sha256.txt.sig.tsq",
    "tagmanifest-sha256.txt.sig.tsr",
];
/// What a store holds.
const OF_A_STORE: &[&str] = &[
    "archiving",
    "checkpoints",
    "custody",
    "imported",
    "index.sqlite",
    "log/checkpoint",
    "log/tile",
    "open",
    "purging",
    "quarantine",
    "runs",
];

/// What is to be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedEvidence {
    /// One evidence folder.
    Folder,
    /// An evidence folder, a store or a bundle.
    Any,
}

impl ExpectedEvidence {
    fn words(self) -> &'static str {
        match self {
            Self::Folder => "the folder of one run (STORE/runs/YEAR/MONTH/DAY/RUN)",
            Self::Any => "an evidence folder, a store, or a bundle (.tar.zst)",
        }
    }
}

/// Refuse `path` where nothing is there, or nothing of ours.
///
/// # Errors
/// [`Refused`], naming the path, what was meant perhaps, and what is to be named.
pub fn check(path: &Path, wanted: ExpectedEvidence) -> Result<(), Refused> {
    let words = wanted.words();
    let refused = |message: String| Err(Refused::new("path", message));
    let shown = path.display();
    match path.symlink_metadata() {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            let archive = archive_of(path);
            if archive.is_file() {
                let archive = archive.display();
                return refused(format!(
                    "{shown} is archived: {archive} holds it; `exhibit verify` reads that file, and \
                     `exhibit archive --restore RUN` makes it a folder again"
                ));
            }
            refused(format!("{shown} is not there; name {words}"))
        }
        // What cannot be looked at is judged as unreadable, and not as a mistake.
        Err(_) => Ok(()),
        Ok(found) if found.is_file() && wanted == ExpectedEvidence::Any => Ok(()),
        Ok(_) if is_a_run(path) || holds(path, OF_A_FOLDER) => Ok(()),
        Ok(_) if wanted == ExpectedEvidence::Any && holds(path, OF_A_STORE) => Ok(()),
        Ok(_) if path.is_dir() && std::fs::read_dir(path).is_err() => Ok(()),
        Ok(_) => {
            let what = match wanted {
                ExpectedEvidence::Folder => "is not a folder of evidence",
                ExpectedEvidence::Any => {
                    "is neither evidence nor a store, and holds nothing of either"
                }
            };
            let meant = meant(path, wanted).map_or(String::new(), |it| {
                format!("; {} is, which was meant perhaps", it.display())
            });
            refused(format!("{shown} {what}{meant}; name {words}"))
        }
    }
}

/// Whether `path` is called as the folder of a run is: one that was emptied is evidence still.
fn is_a_run(path: &Path) -> bool {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = real.file_name().and_then(OsStr::to_str);
    name.is_some_and(|name| name.parse::<RunId>().is_ok())
}

fn holds(path: &Path, names: &[&str]) -> bool {
    names.iter().any(|name| path.join(name).symlink_metadata().is_ok())
}

/// What lies in `path` and could have been meant.
fn meant(path: &Path, wanted: ExpectedEvidence) -> Option<PathBuf> {
    let below = std::fs::read_dir(path).ok()?.flatten().map(|entry| entry.path());
    let of = |it: &PathBuf| match wanted {
        ExpectedEvidence::Folder => it.join("data/events.jsonl").is_file(),
        ExpectedEvidence::Any => it.join("runs").is_dir() || it.join("data/events.jsonl").is_file(),
    };
    below.filter(of).min()
}

/// Where the archive of the run at `path` would lie.
fn archive_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}.tar.zst"))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests prepare folders of their own")]
mod tests {
    use super::*;

    fn make_dirs(path: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(path)
    }

    fn write_once(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        std::fs::write(path, bytes)
    }

    fn refused(path: &Path, wanted: ExpectedEvidence) -> Option<String> {
        check(path, wanted).err().map(|refused| refused.message)
    }

    #[test]
    fn a_wrong_path_is_a_mistake_and_the_least_rest_of_evidence_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        for wanted in [ExpectedEvidence::Any, ExpectedEvidence::Folder] {
            let gone = refused(&root.join("nope"), wanted).expect("refused");
            assert!(gone.contains("nope is not there"), "{gone}");
            let empty = refused(root, wanted).expect("refused");
            assert!(empty.contains(&root.display().to_string()), "{empty}");
        }
        make_dirs(&root.join("home/store/runs")).expect("made");
        make_dirs(&root.join("home/log")).expect("made");
        make_dirs(&root.join("home/data")).expect("made");
        let parent = refused(&root.join("home"), ExpectedEvidence::Any).expect("refused");
        assert!(parent.contains("home/store is, which was meant perhaps"), "{parent}");
        assert!(refused(&root.join("home/store"), ExpectedEvidence::Folder).is_some());
        for name in OF_A_STORE {
            let store = root.join(format!("store-{name}"));
            make_dirs(&store.join(name)).expect("made");
            assert_eq!(refused(&store, ExpectedEvidence::Any), None, "{name}");
        }
        for name in OF_A_FOLDER {
            let rest = root.join(format!("rest-{name}"));
            make_dirs(&rest.join("data")).expect("made");
            write_once(&rest.join(name), b"").expect("written");
            assert_eq!(refused(&rest, ExpectedEvidence::Folder), None, "{name}");
            assert_eq!(refused(&rest, ExpectedEvidence::Any), None, "{name}");
        }
        let run = root.join("019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57");
        make_dirs(&run).expect("made");
        assert_eq!(refused(&run, ExpectedEvidence::Any), None, "emptied, and a run's by its name");
        std::fs::remove_dir(&run).expect("empty");
        write_once(&archive_of(&run), b"").expect("written");
        let archived = refused(&run, ExpectedEvidence::Folder).expect("refused");
        assert!(archived.contains("exhibit archive --restore"), "{archived}");
    }
}
