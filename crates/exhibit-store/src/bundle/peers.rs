//! Whether other unpackers make the same files of whatever our reader accepts: GNU tar and Python's
//! `tarfile` always, the crate `tar`, and libarchive's `bsdtar` and 7-Zip where they are installed.
//! Sound bundles are tried, and what is left of them after changes that our reader does not mind.
//!
//! `scripts/fuzz` has it go on for `EXHIBIT_CONTAINERS` seconds, also with what libFuzzer found worth
//! keeping (`EXHIBIT_CORPUS`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiff::SignedDuration;

use super::attacks::{BOMBS, Part, all, joined, parts};
use super::tests::{lay_out, put};
use super::{Limits, framed, survey, unpack, write, write_tar};
use crate::clock::Clock;
use crate::digest::Digest;
use crate::layout::entries;

/// What there is below a folder: the digest of each file, none of a folder.
type Files = BTreeMap<String, Option<Digest>>;

/// Another unpacker: what it is called, and how it unpacks a bundle (or what is in its frame) into a
/// folder.
struct Peer {
    name: &'static str,
    /// Whether it must be there.
    always: bool,
    command: &'static str,
}

/// `$1` is the bundle, `$2` what is in its frame, `$3` the folder.
const PEERS: [Peer; 6] = [
    Peer { name: "GNU tar", always: true, command: r#"tar --zstd -xf "$1" -C "$3""# },
    Peer {
        name: "GNU tar of a stream",
        always: true,
        command: r#"zstd -dc "$1" | tar -x -C "$3""#,
    },
    Peer {
        name: "tarfile",
        always: true,
        command: r#"python3 -I -W ignore -c 'import sys, tarfile; tarfile.open(sys.argv[1], "r:").extractall(sys.argv[2])' "$2" "$3""#,
    },
    Peer {
        name: "tarfile of a stream",
        always: true,
        command: r#"zstd -dc "$1" | python3 -I -W ignore -c 'import sys, tarfile; tarfile.open(fileobj=sys.stdin.buffer, mode="r|").extractall(sys.argv[1])' "$3""#,
    },
    Peer { name: "bsdtar", always: false, command: r#"bsdtar -xf "$1" -C "$3""# },
    Peer {
        name: "7-Zip",
        always: false,
        command: r#"7zz x -bd -y -so "$1" | cmp - "$2" && 7zz x -bd -y -ttar "-o$3" "$2""#,
    },
];

/// How often a bundle lists each name, by who can say so of the tar.
const LISTS: [(&str, &str); 3] = [
    ("GNU tar", r#"tar -tf "$2""#),
    (
        "tarfile",
        r#"python3 -I -W ignore -c 'import sys, tarfile
for it in tarfile.open(sys.argv[1]): print(it.name + "/" * it.isdir())' "$2""#,
    ),
    ("bsdtar", r#"bsdtar -tf "$2""#),
];

fn there(tool: &str) -> bool {
    let found = Command::new("sh").args(["-c", "command -v \"$1\"", "sh", tool]).output();
    found.is_ok_and(|found| found.status.success())
}

fn files_below(folder: &Path, above: &str, files: &mut Files) {
    for entry in entries(folder).expect("a folder") {
        let name = format!("{above}{}", entry.name.to_str().expect("a plain name"));
        if entry.kind.is_dir() {
            files.insert(name.clone(), None);
            files_below(&entry.path, &format!("{name}/"), files);
        } else {
            assert!(entry.kind.is_file(), "{name} is no file");
            let bytes = fs::read(&entry.path).expect("there");
            files.insert(name, Some(Digest::of(&bytes)));
        }
    }
}

/// What lies below `folder`; `runs` and `proofs` themselves are nobody's entries.
fn found(folder: &Path) -> Files {
    let mut files = Files::new();
    files_below(folder, "", &mut files);
    files.retain(|name, _| name != "runs" && name != "proofs");
    files
}

fn ours(packed: &[u8]) -> Option<Files> {
    let scratch = tempfile::tempdir().expect("a folder");
    unpack(Cursor::new(packed), scratch.path(), Limits::default()).ok()?;
    Some(found(scratch.path()))
}

/// Run `command`, as [`PEERS`] and [`LISTS`] have it; what it printed.
fn run(name: &str, command: &str, at: &Path, into: &Path) -> String {
    let shell = format!("set -eo pipefail; {command}");
    let mut shell = {
        let mut bash = Command::new("bash");
        bash.args(["-c", &shell, "bash"]);
        bash
    };
    let (packed, plain) = (at.join("packed.tar.zst"), at.join("plain.tar"));
    let done = shell.arg(packed).arg(plain).arg(into).stdin(Stdio::null()).output();
    let done = done.expect("bash is there");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{name}: {said}");
    // A peer that warns reads it otherwise than it lies there.
    assert!(said.is_empty() || name.starts_with("7-Zip"), "{name} warns: {said}");
    String::from_utf8(done.stdout).expect("text")
}

#[expect(clippy::disallowed_methods, reason = "a test lays out what others read")]
fn make_dir(path: &Path) {
    fs::create_dir_all(path).expect("made");
}

/// Whether everybody makes of `packed`, which we accept, what we make of it.
fn hold(packed: &[u8]) {
    let expected = ours(packed).expect("accepted");
    assert!(passes(packed), "docs/verify_container.py refuses it");
    let scratch = tempfile::tempdir().expect("a folder");
    let plain = zstd::decode_all(packed).expect("a frame");
    put(&scratch.path().join("packed.tar.zst"), packed);
    put(&scratch.path().join("plain.tar"), &plain);
    let by_the_crate = scratch.path().join("crate");
    tar::Archive::new(plain.as_slice()).unpack(&by_the_crate).expect("the crate reads it");
    assert!(found(&by_the_crate) == expected, "the crate `tar` differs");
    for (number, peer) in PEERS.iter().enumerate() {
        let tool = peer.command.split(' ').next().expect("a tool");
        if !peer.always && !there(tool) {
            continue;
        }
        let into = scratch.path().join(number.to_string());
        make_dir(&into);
        run(peer.name, peer.command, scratch.path(), &into);
        assert!(found(&into) == expected, "{} differs", peer.name);
    }
    let name = |(name, digest): (&String, &Option<Digest>)| match digest {
        None => format!("{name}/"),
        Some(_) => name.clone(),
    };
    let names: BTreeSet<String> = expected.iter().map(name).collect();
    for (peer, command) in LISTS {
        if !there(command.split(' ').next().expect("a tool")) {
            continue;
        }
        let said = run(peer, command, scratch.path(), scratch.path());
        let listed: BTreeSet<String> = said.lines().map(str::to_owned).collect();
        assert!(listed == names && said.lines().count() == names.len(), "{peer} lists others");
    }
}

/// Whether docs/verify_container.py, which shares no code with us, accepts `packed`.
fn passes(packed: &[u8]) -> bool {
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("packed.tar.zst");
    put(&path, packed);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/verify_container.py");
    let command = r#"set -o pipefail
python3 -I -B "$1" frame "$2" && zstd -dcq -M8MB -- "$2" | python3 -I -B "$1" tar 100000000"#;
    let mut bash = Command::new("bash");
    let done = bash.args(["-c", command, "bash", script]).arg(&path).output();
    done.expect("bash is there").status.success()
}

/// Numbers that look like chance and are the same each time (xorshift64*).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let mixed = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(mixed).expect("31 bits") % most.max(1)
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).expect("a byte")
    }
}

/// Change the tar `parts` in one of the ways in which they can be changed.
fn change(parts: &mut Vec<Part>, chance: &mut Chance) {
    if parts.is_empty() {
        return;
    }
    let at = chance.below(parts.len());
    match chance.below(10) {
        0 => {
            let bit = chance.below(512 * 8);
            parts[at].header[bit / 8] ^= 1 << (bit % 8);
        }
        // With the checksum that goes with it.
        1 | 2 => {
            let (place, byte) = (chance.below(500), chance.byte());
            parts[at] = parts[at].clone().with(place, &[byte]);
        }
        3 => {
            let other = parts[chance.below(parts.len())].clone();
            parts.insert(at, other);
        }
        4 => drop(parts.remove(at)),
        5 => {
            let other = chance.below(parts.len());
            parts.swap(at, other);
        }
        // Another letter in a name, which may still be one.
        6 => {
            let place = chance.below(160);
            let letter = b"abcz019._-/AZ"[chance.below(13)];
            parts[at] = parts[at].clone().with(place, &[letter]);
        }
        _ => {
            let length = parts[at].body.len();
            let (place, byte) = (chance.below(length), chance.byte());
            if length > 0 {
                parts[at].body[place] = byte;
            }
        }
    }
}

/// Bundles to begin with: the frozen ones, and one with names at the limits.
fn sound() -> Vec<Vec<u8>> {
    let frozen = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/bundle/v1");
    let read = |name: &str| fs::read(frozen.join(name)).expect(name);
    let mut sound: Vec<_> =
        ["evidence.tar.zst", "archive.tar.zst", "long-names.tar.zst"].map(read).into();
    let scratch = tempfile::tempdir().expect("a folder");
    let sizes = [0, 1, 511, 512, 513, 1024].map(|size| format!("data/attachments/{size}"));
    let folder = lay_out(scratch.path(), &sizes);
    for size in [0, 1, 511, 512, 513, 1024] {
        put(&folder.join(format!("data/attachments/{size}")), &vec![b'x'; size]);
    }
    make_dir(&folder.join("data/empty"));
    let run = folder.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("an id");
    sound.push(write(Vec::new(), &[(run, &folder, None)]).expect("written"));
    sound
}

/// What was found worth keeping by a fuzzer that knows only us.
fn corpus() -> Vec<Vec<u8>> {
    let folder: Option<PathBuf> = std::env::var_os("EXHIBIT_CORPUS").map(Into::into);
    let entries = folder.map(|folder| entries(&folder).unwrap_or_default()).unwrap_or_default();
    let read = |path: &Path| {
        let bytes = fs::read(path).expect("there");
        if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) { bytes } else { framed(&bytes) }
    };
    entries.iter().filter(|entry| entry.kind.is_file()).map(|entry| read(&entry.path)).collect()
}

fn is_accepted(packed: &[u8]) -> bool {
    survey(packed, Limits { bytes: 64 << 20, entries: 10_000 }).is_ok()
}

/// That our writer makes the same tar of what was read.
fn hold_one_spelling(packed: &[u8]) {
    let scratch = tempfile::tempdir().expect("a folder");
    let unpacked =
        unpack(Cursor::new(packed), scratch.path(), Limits::default()).expect("accepted");
    let parts = unpacked.runs.iter().map(|(run, (folder, proof))| {
        let proof = proof.as_ref().map(|proof| fs::read(proof).expect("there"));
        (*run, folder.as_path(), proof)
    });
    let mut again = Vec::new();
    write_tar(&mut again, &parts.collect::<Vec<_>>()).expect("in memory");
    assert!(again == zstd::decode_all(packed).expect("a frame"), "another spelling");
}

#[test]
fn whatever_is_accepted_others_unpack_to_the_same() {
    let asked = std::env::var("EXHIBIT_CONTAINERS").ok();
    let seconds = asked.map(|seconds| seconds.parse().expect("EXHIBIT_CONTAINERS is seconds"));
    // A short run tries so many; a long one goes on until its time is over.
    let (most, shown) = if seconds.is_some() { (usize::MAX, usize::MAX) } else { (300, 3) };
    let clock = Clock::system();
    let until = clock.now().wall + SignedDuration::from_secs(seconds.unwrap_or(3600));
    let mut bases = sound();
    for packed in &bases {
        hold(packed);
    }
    let found: Vec<_> = corpus().into_iter().filter(|packed| is_accepted(packed)).collect();
    for packed in &found {
        hold(packed);
    }
    bases.extend(found);
    let bases: Vec<_> =
        bases.iter().map(|packed| zstd::decode_all(packed.as_slice()).expect("a frame")).collect();
    // The large one holds nothing that the small ones do not.
    let bases: Vec<_> = bases.into_iter().filter(|tar| tar.len() < 400 << 10).collect();
    let (mut tried, mut accepted) = (0, BTreeSet::new());
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    // On a slow machine, until some were accepted: fewer would show nothing.
    while tried < most && (clock.now().wall < until || accepted.len() <= 10) {
        // Long names are parts of their own.
        let mut changed = parts(&bases[chance.below(bases.len())]);
        for _ in 0..=chance.below(3) {
            change(&mut changed, &mut chance);
        }
        let packed = framed(&joined(&changed));
        tried += 1;
        if tried % 60 == 0 {
            assert_eq!(passes(&packed), is_accepted(&packed), "docs/verify_container.py differs");
        }
        if is_accepted(&packed) && accepted.insert(Digest::of(&packed)) {
            hold_one_spelling(&packed);
            if accepted.len() <= shown {
                hold(&packed);
            }
        }
    }
    assert!(accepted.len() > 10, "{} of {tried} were accepted", accepted.len());
    // For scripts/fuzz.
    println!("containers: {tried} tried, {} accepted, all agree", accepted.len());
}

/// What is refused is refused although others would read it: that is what makes it worth refusing.
#[test]
fn others_read_what_is_refused() {
    let archive = sound().swap_remove(1);
    let tar = zstd::decode_all(archive.as_slice()).expect("a frame");
    let mut read = 0;
    for (attack, make) in all().filter(|(attack, _)| !BOMBS.iter().any(|(it, _)| it == attack)) {
        let made = make(&tar);
        assert!(!is_accepted(&made) && !passes(&made), "{attack}");
        let scratch = tempfile::tempdir().expect("a folder");
        put(&scratch.path().join("x.tar.zst"), &made);
        let mut shell = Command::new("bash");
        let command = "zstd -dcq --memory=128MB x.tar.zst | tar -x";
        shell.args(["-c", &format!("set -o pipefail; {command}")]).current_dir(scratch.path());
        read += usize::from(shell.output().expect("bash is there").status.success());
    }
    assert!(read > 30, "{read} of them");
}
