//! Owns what fuzzing tries: a function for each kind of bytes that may come from whoever wants to
//! hurt, which reads them and says what must hold whatever they are. Built for tests and with the
//! feature `fuzz` only (`make fuzz`); bytes are made by libFuzzer, seeds are in `scripts/fuzz`.

use std::io::{Cursor, Read as _};
use std::path::Path;

use crate::artifact::is_safe_name;
use crate::bundle::{Folder, FolderItem, Limits, folders, framed, unpack, write_tar};
use crate::clock::Clock;
use crate::digest::Digest;
use crate::evidence::layout::entries;
use crate::evidence::{
    AccessActor, Act, Custody, CustodyEvent, EVENTS, Manifest, NewAccessEvent, RunRecord,
    archived_record, custody_lines,
};
use crate::id::RunId;
use crate::run::Caller;
use crate::timestamp::{Authorities, Request, TimestampToken};
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::note::{Note, VerifierKey};
use crate::tlog::proof::Proof;

/// Reads bytes and panics when something does not hold; whether they were accepted.
pub type Target = fn(&[u8]) -> bool;

/// Every target, by name.
pub const TARGETS: [(&str, Target); 7] = [
    ("manifest", manifest),
    ("note", note),
    ("proof", proof),
    ("timestamp", timestamp),
    ("bundle", bundle),
    ("archive", archive),
    ("custody", custody),
];

/// The key of the frozen log, and all that it ever signed.
const LOG_KEY: &str = include_str!("../tests/data/store/v1/trust/log.vkey");
const SIGNED: [&str; 7] = [
    include_str!("../tests/data/store/v1/store/checkpoints/000.note"),
    include_str!("../tests/data/store/v1/store/checkpoints/001.note"),
    include_str!("../tests/data/store/v1/store/checkpoints/002.note"),
    include_str!("../tests/data/store/v1/store/checkpoints/003.note"),
    include_str!("../tests/data/store/v1/store/checkpoints/004.note"),
    include_str!("../tests/data/store/v1/store/checkpoints/005.note"),
    include_str!("../tests/data/store/v1/store/checkpoints/006.note"),
];

/// What a believed authority stamped, and who that is.
const STAMPED: &[u8] = include_bytes!("../tests/data/timestamp/body");
const AUTHORITY: &[u8] = include_bytes!("../tests/data/timestamp/ca.pem");

/// The run without pictures in the frozen store.
const ARCHIVED: &str = "01a20f2c-4438-73f5-87d9-43ef0178776f";

/// Where a bundle made of any bytes may not get beyond.
const SMALL: Limits = Limits { bytes: 1 << 20, entries: 100 };
/// First bytes of a zstd frame (RFC 8878, 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A manifest without a fault is, byte for byte, what its entries are written as.
fn manifest(bytes: &[u8]) -> bool {
    let mut sound = false;
    for prefix in ["data/", ""] {
        let read = Manifest::parse(bytes, prefix);
        for entry in &read.entries {
            assert!(entry.name.starts_with(prefix) && entry.name.split('/').all(is_safe_name));
        }
        if read.faults.is_empty() {
            let lines = read.entries.iter().map(|it| format!("{}  {}\n", it.sha256, it.name));
            assert_eq!(lines.collect::<String>().as_bytes(), bytes);
            assert!(read.entries.is_sorted_by(|one, next| one.name < next.name));
            sound |= !read.entries.is_empty();
        }
    }
    sound
}

/// A note has one form, and none but the log's own texts passes for signed by the log.
fn note(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(note) = Note::parse(text) else { return false };
    assert_eq!(note.to_string(), text);
    hold_signed(&note);
    let Ok(checkpoint) = Checkpoint::parse(&note.text) else { return false };
    assert!(note.text.starts_with(&checkpoint.to_string()));
    true
}

fn hold_signed(note: &Note) {
    let key: VerifierKey = LOG_KEY.trim().parse().expect("the fixture's key");
    if note.signed_by(&key).is_some() {
        let known =
            SIGNED.iter().any(|signed| Note::parse(signed).expect("a note").text == note.text);
        assert!(known, "the log never signed {:?}", note.text);
    }
}

/// A proof survives its own text, and shows no entry to be in a log that the log does not have.
fn proof(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(proof) = Proof::parse(text) else { return false };
    assert_eq!(Proof::parse(&proof.to_string()).as_ref(), Ok(&proof));
    hold_signed(&proof.note);
    assert!(!proof.verify_inclusion(b"an entry of no log"));
    true
}

/// A timestamp that counts is over what the authority stamped.
fn timestamp(bytes: &[u8]) -> bool {
    let request = Request::parse(bytes);
    let Ok(stamp) = TimestampToken::parse(bytes) else { return request.is_ok() };
    let authorities = Authorities::from_pem(AUTHORITY).expect("the fixture's authority");
    if authorities.judge(&stamp).is_ok() {
        assert!(stamp.is_over(STAMPED), "nobody stamped that");
    }
    true
}

/// What a bundle unpacks to is plain, named as the format says, within the limits, and all in its
/// place; it is the same as what is seen without unpacking, and our writer makes the same tar of it. So
/// there is one spelling of each bundle, and nothing in it that is in none of its files. What is
/// refused writes nothing. Bytes that are no zstd are taken as the archive, so that they need not hit
/// upon a frame.
fn bundle(bytes: &[u8]) -> bool {
    let packed = packed(bytes);
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let inside = scratch.path().join("inside");
    crate::disk::make_dirs(&inside).expect("a folder");
    let unpacked = unpack(Cursor::new(&packed), &inside, SMALL);
    let beside = entries(scratch.path()).expect("the scratch folder");
    assert_eq!(beside.len(), 1, "something was written beside");
    assert!(bytes_below(&inside) <= SMALL.bytes);
    let mut seen: Vec<Folder> = Vec::new();
    let length = packed.len() as u64;
    let read = folders(packed.as_slice(), length, SMALL, |folder| seen.push(folder));
    assert_eq!(read.is_ok(), unpacked.is_ok(), "two readers differ");
    let Ok(unpacked) = unpacked else {
        assert!(entries(&inside).expect("a folder").is_empty(), "what is refused was written");
        return false;
    };
    let parts = seen.iter().map(|folder| {
        let (place, proof) = &unpacked.runs[&folder.run];
        let beside = proof.as_ref().map(|proof| std::fs::read(proof).expect("unpacked"));
        assert_eq!(folder.proof, beside);
        hold_seen(folder, place);
        (folder.run, place.as_path(), beside)
    });
    let mut again = Vec::new();
    write_tar(&mut again, &parts.collect::<Vec<_>>()).expect("in memory");
    assert!(again == zstd::decode_all(packed.as_slice()).expect("a frame"), "another spelling");
    true
}

/// What was seen of `folder` is what lies at `place`.
fn hold_seen(folder: &Folder, place: &Path) {
    for (name, seen) in &folder.entries {
        let path = place.join(name);
        match seen {
            FolderItem::Folder => assert!(path.is_dir(), "{name}"),
            FolderItem::File { size, sha256 } => {
                let bytes = std::fs::read(path).expect("unpacked");
                assert_eq!((bytes.len() as u64, Digest::of(&bytes)), (*size, *sha256), "{name}");
            }
        }
    }
    let events = folder.events().expect("in memory").map(|mut events| {
        let mut bytes = Vec::new();
        events.read_to_end(&mut bytes).expect("in memory");
        bytes
    });
    assert_eq!(events, std::fs::read(place.join(EVENTS)).ok());
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    if bytes.starts_with(&ZSTD) { bytes.to_vec() } else { framed(bytes) }
}

/// The record of an archived run is read without unpacking the archive, and is what unpacking gives.
fn archive(bytes: &[u8]) -> bool {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (path, inside) = (scratch.path().join("packed"), scratch.path().join("inside"));
    crate::disk::make_dirs(&inside).expect("a folder");
    let mut packed = &packed(bytes)[..];
    crate::disk::unpack_file(&path, &mut packed).expect("written");
    let run: RunId = ARCHIVED.parse().expect("an id");
    let read = archived_record(&path, run);
    let file = std::fs::File::open(&path).expect("written");
    // The record may stand before what makes it no bundle, and is read without going on.
    let Ok(unpacked) = unpack(file, &inside, SMALL) else { return false };
    let folder = unpacked.runs.get(&run).map(|(folder, _)| folder);
    let there = folder.and_then(|folder| RunRecord::read(folder).ok());
    assert_eq!(read.ok(), there);
    there.is_some()
}

/// What is read of a custody log is what stands in it, line by line, and what is added to one is bound
/// to its last whole line.
fn custody(bytes: &[u8]) -> bool {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (root, folder) = (scratch.path(), scratch.path().join("custody"));
    crate::disk::make_dirs(&folder).expect("a folder");
    let mut rest = bytes;
    crate::disk::unpack_file(&folder.join("2026-11.jsonl"), &mut rest).expect("written");
    let (mut seen, mut last) = (Vec::new(), None);
    custody_lines(root, |_, _, line, whole| {
        seen.extend_from_slice(line);
        seen.extend(whole.then_some(b'\n'));
        last = if whole { Some(line.to_vec()) } else { last.take() };
        false
    })
    .expect("a file of ours");
    assert_eq!(seen, bytes);
    let Ok(log) = Custody::open(root) else { return false };
    let event = |line: &[u8]| serde_json::from_slice::<CustodyEvent>(line).ok();
    let before = last.as_deref().and_then(event);
    assert_eq!(log.head().count, before.as_ref().map_or(0, |it| it.sequence));
    let by = AccessActor { caller: Caller::Daemon, session: false };
    let viewed =
        NewAccessEvent { by, act: Act::View, runs: Vec::new(), detail: serde_json::Map::new() };
    let now = Clock::fixed("2026-11-30T00:00:00Z".parse().expect("a time")).now();
    log.record(viewed, now).expect("recorded");
    let mut newest = None;
    let newer = |_: &Path, _, line: &[u8], _| {
        newest = event(line);
        false
    };
    custody_lines(root, newer).expect("a file of ours");
    let newest = newest.expect("it was recorded");
    assert_eq!(newest.previous, last.map_or(Digest::ZERO, |last| Digest::of(&last)));
    before.is_some()
}

fn bytes_below(folder: &Path) -> u64 {
    let inside = entries(folder).expect("a folder that was unpacked");
    let sizes = inside.iter().map(|entry| {
        assert!(entry.name.to_str().is_some_and(is_safe_name), "{}", entry.name.display());
        assert!(entry.kind.is_dir() || entry.kind.is_file(), "{}", entry.path.display());
        if entry.kind.is_dir() {
            bytes_below(&entry.path)
        } else {
            entry.path.metadata().expect("a file").len()
        }
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROZEN: &str = "tests/data/store/v1/store";

    fn read(path: &str) -> Vec<u8> {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
    }

    fn a_run(file: &str) -> Vec<u8> {
        let run = "runs/2026/11/24/01a20f2c-4246-73c8-902f-cb493f4ed72a";
        read(&format!("{FROZEN}/{run}/{file}"))
    }

    /// Of the run without pictures.
    fn a_bundle(proof: Option<Proof>) -> Vec<u8> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(FROZEN);
        let folder = root.join("runs/2026/11/24").join(ARCHIVED);
        let run = ARCHIVED.parse().expect("an id");
        crate::bundle::write(Vec::new(), &[(run, folder.as_path(), proof)]).expect("written")
    }

    fn a_custody_log() -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder");
        let log = Custody::open(folder.path()).expect("begun");
        let clock = Clock::fixed("2026-11-24T08:15:46.120Z".parse().expect("a time"));
        for act in [Act::View, Act::Download, Act::Hold] {
            let caller = Caller::Socket { uid: 7, gid: 7, pid: Some(1) };
            let by = AccessActor { caller, session: act == Act::View };
            let detail = serde_json::Map::from_iter([("path".to_owned(), "report.html".into())]);
            let runs = vec![ARCHIVED.parse().expect("an id")];
            log.record(NewAccessEvent { by, act, runs, detail }, clock.now()).expect("recorded");
        }
        std::fs::read(folder.path().join("custody/2026-11.jsonl")).expect("there")
    }

    /// What each target accepts, so that fuzzing begins with something.
    fn seeds(target: &str) -> Vec<Vec<u8>> {
        match target {
            "manifest" => vec![a_run("manifest-sha256.txt"), a_run("tagmanifest-sha256.txt")],
            "note" => SIGNED.iter().map(|text| text.as_bytes().to_vec()).collect(),
            "proof" => vec![a_run("seal.json.tlog-proof")],
            "timestamp" => {
                let stamps = ["expired.tsr", "rolled-back.tsr"];
                let mut all: Vec<_> = stamps
                    .iter()
                    .map(|name| read(&format!("tests/data/timestamp/{name}")))
                    .collect();
                all.push(Request::over(b"something").expect("a nonce").bytes().to_vec());
                all
            }
            "bundle" | "archive" => {
                let proof = String::from_utf8(a_run("seal.json.tlog-proof")).expect("text");
                let proof = Proof::parse(&proof).expect("a proof");
                let packed = a_bundle((target == "bundle").then_some(proof));
                let archive = zstd::decode_all(packed.as_slice()).expect("a frame");
                vec![packed, archive]
            }
            "custody" => vec![a_custody_log()],
            other => panic!("no seeds for {other}"),
        }
    }

    #[test]
    fn every_target_accepts_its_seeds_and_survives_what_is_left_of_them() {
        for (name, target) in TARGETS {
            for seed in seeds(name) {
                assert!(target(&seed), "{name}");
                for place in (0..seed.len()).step_by(seed.len() / 60 + 1) {
                    target(&seed[..place]);
                    let mut other = seed.clone();
                    other[place] ^= 1 << (place % 8);
                    target(&other);
                }
            }
        }
    }

    /// Writes the seeds where `EXHIBIT_SEEDS` says, for `scripts/fuzz`.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "what scripts/fuzz asked for")]
    fn seeds_are_written_where_they_are_wanted() {
        let asked = std::env::var_os("EXHIBIT_SEEDS");
        let scratch = tempfile::tempdir().expect("a folder");
        let folder = asked.map_or_else(|| scratch.path().to_owned(), Into::into);
        for (name, _) in TARGETS {
            let place = folder.join(name);
            std::fs::create_dir_all(&place).expect("a folder");
            for (seed, number) in seeds(name).iter().zip(0..) {
                std::fs::write(place.join(format!("seed-{number}")), seed).expect("written");
            }
            assert!(!entries(&place).expect("a folder").is_empty());
        }
    }
}
