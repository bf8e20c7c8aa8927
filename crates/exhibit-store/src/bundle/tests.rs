//! Tests of bundles: the same bytes each time, back as they were, and what is no bundle refused.

use std::fs;
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};

use super::attacks::{all, joined, parts};
use super::*;
use crate::layout::entries;

const RUN: &str = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57";
/// Bundles that the first version wrote.
const FROZEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/bundle/v1");

#[expect(clippy::disallowed_methods, reason = "a test prepares a folder")]
pub(super) fn lay_out(at: &Path, names: &[String]) -> PathBuf {
    let folder = at.join(RUN);
    for name in names {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, name.as_bytes()).expect("written");
    }
    folder
}

#[expect(clippy::disallowed_methods, reason = "a test prepares a folder")]
pub(super) fn put(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("written");
}

/// Make a file longer, with a hole.
#[expect(clippy::disallowed_methods, reason = "a test prepares a folder")]
fn grow(path: &Path, length: u64) {
    let file = fs::OpenOptions::new().write(true).open(path).expect("there");
    file.set_len(length).expect("grown");
}

fn folder(at: &Path) -> PathBuf {
    let names = ["data/captures/0001-before/screenshot.png", "bagit.txt", "seal.json"];
    lay_out(at, &names.map(str::to_owned))
}

/// Names at the limits of what a header can say: the run's folder takes 42 bytes of each.
fn long_names() -> Vec<String> {
    let x = |count: usize| "x".repeat(count);
    let deep = [x(100), x(99), x(98), x(3), x(1)].join("/");
    let mut names = vec![format!("data/code/{deep}/f")];
    for length in [35, 36, 37, 38, 39, 40, 41, 42, 90, 99, 100] {
        names.push(format!("data/attachments/{}", x(length)));
        names.push(format!("data/code/{}/{}", x(length), x(length)));
        names.push(format!("data/code/{}/{}/{}", x(length - 1), x(length), x(100)));
        names.push(format!("data/code/a/b/c/d/{}/z", x(length)));
    }
    for length in 50..60 {
        let y = |count: usize| "y".repeat(count);
        names.push(format!("data/code/{}/{}/{}", y(45), y(length), y(99)));
        names.push(format!("data/code/{}/{}/{}", y(46), y(length), y(100)));
    }
    names
}

fn packed(folder: &Path) -> Vec<u8> {
    write(Vec::new(), &[(RUN.parse().expect("an id"), folder, None)]).expect("written")
}

/// What is in a frame.
fn plain(packed: &[u8]) -> Vec<u8> {
    zstd::decode_all(packed).expect("a frame")
}

/// A tar with one entry, as somebody writes it who wants to hurt.
fn tar(name: &str, flag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::new(flag));
    header.set_mode(0o444);
    header.set_size(bytes.len() as u64);
    let field = &mut header.as_mut_bytes()[..100];
    field[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    let mut text = header.as_bytes().to_vec();
    text.extend(bytes);
    text.resize(text.len().next_multiple_of(512) + 1024, 0);
    framed(&text)
}

fn into_scratch(
    packed: &[u8],
    limits: Limits,
) -> (tempfile::TempDir, Result<Unpacked, BundleError>) {
    let scratch = tempfile::tempdir().expect("a folder");
    let unpacked = unpack(Cursor::new(packed), scratch.path(), limits);
    (scratch, unpacked)
}

/// A bundle of `folders`, each with the text of its proof, as the writer wrote it that the first
/// version had.
fn by_the_first_writer(folders: &[(&str, &Path, Option<String>)]) -> Vec<u8> {
    fn add(tar: &mut tar::Builder<impl Write>, folder: &Path, name: &str) {
        let mut header = head(b'5', 0o755, 0);
        tar.append_data(&mut header, format!("{name}/"), io::empty()).expect("in memory");
        for entry in entries(folder).expect("a folder") {
            let name = format!("{name}/{}", entry.name.to_str().expect("a name"));
            if entry.kind.is_dir() {
                add(tar, &entry.path, &name);
                continue;
            }
            let bytes = fs::read(&entry.path).expect("there");
            let mut header = head(b'0', 0o444, bytes.len() as u64);
            tar.append_data(&mut header, name, bytes.as_slice()).expect("in memory");
        }
    }
    fn head(flag: u8, mode: u32, size: u64) -> tar::Header {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::new(flag));
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header
    }
    let mut packed = zstd::Encoder::new(Vec::new(), 3).expect("an encoder");
    packed.include_checksum(true).expect("set");
    let mut tar = tar::Builder::new(packed);
    for (run, _, proof) in folders {
        let Some(proof) = proof else { continue };
        let mut header = head(b'0', 0o444, proof.len() as u64);
        let name = format!("proofs/{run}.tlog-proof");
        tar.append_data(&mut header, name, proof.as_bytes()).expect("in memory");
    }
    for (run, folder, _) in folders {
        add(&mut tar, folder, &format!("runs/{run}"));
    }
    tar.into_inner().expect("in memory").finish().expect("in memory")
}

#[test]
fn a_bundle_is_the_same_each_time_and_gives_back_what_went_in() {
    let (one, other) = (tempfile::tempdir().expect("a"), tempfile::tempdir().expect("b"));
    let folders = [folder(one.path()), folder(other.path())];
    let bytes = packed(&folders[0]);
    assert_eq!(bytes, packed(&folders[1]));
    let (scratch, unpacked) = into_scratch(&bytes, Limits::default());
    let unpacked = unpacked.expect("a bundle");
    let (place, proof) = &unpacked.runs[&RUN.parse().expect("an id")];
    assert_eq!((place, proof), (&scratch.path().join("runs").join(RUN), &None));
    let picture = "data/captures/0001-before/screenshot.png";
    assert_eq!(fs::read(place.join(picture)).expect("there"), picture.as_bytes());
    assert!(packed(place) == bytes, "what was unpacked makes the same bundle");
}

#[test]
fn bundles_are_those_of_the_first_version() {
    let scratch = tempfile::tempdir().expect("a folder");
    let folder = lay_out(scratch.path(), &long_names());
    let bytes = packed(&folder);
    assert!(bytes == by_the_first_writer(&[(RUN, &folder, None)]), "another writer");
    let (there, unpacked) = into_scratch(&bytes, Limits::default());
    unpacked.expect("a bundle");
    for name in long_names() {
        let path = there.path().join("runs").join(RUN).join(&name);
        assert_eq!(fs::read(path).expect("there"), name.as_bytes());
    }
}

/// Files that must be read for ever.
#[test]
fn frozen_bundles_are_read() {
    for (name, runs, bytes) in [
        ("evidence.tar.zst", 2, 300_000),
        ("archive.tar.zst", 1, 60_000),
        ("long-names.tar.zst", 1, 5_000),
    ] {
        let path = Path::new(FROZEN).join(name);
        let read = fs::read(&path).expect(name);
        let survey = survey(read.as_slice(), Limits::default()).expect(name);
        assert_eq!(survey.runs.len(), runs, "{name}");
        assert!(survey.bytes >= bytes, "{name}: {}", survey.bytes);
        let (scratch, unpacked) = into_scratch(&read, Limits::default());
        let unpacked = unpacked.expect(name);
        // And our writer still writes the same.
        let folders = unpacked.runs.iter().map(|(run, (folder, proof))| {
            let proof = proof.as_ref().map(|proof| fs::read(proof).expect("there"));
            (*run, folder.as_path(), proof)
        });
        let mut again = Vec::new();
        write_tar(&mut again, &folders.collect::<Vec<_>>()).expect("in memory");
        assert!(again == plain(&read), "{name}");
        drop(scratch);
    }
}

#[test]
fn what_is_no_bundle_is_refused_and_writes_nowhere() {
    let inside = format!("runs/{RUN}/x");
    for (name, flag) in [
        ("../x", b'0'),
        ("/tmp/x", b'0'),
        ("runs/../../x", b'0'),
        ("runs/no-run/x", b'0'),
        ("proofs/x", b'0'),
        ("x", b'0'),
        (inside.as_str(), b'0'),
        (inside.as_str(), b'2'),
        (inside.as_str(), b'1'),
        (inside.as_str(), b'6'),
        (inside.as_str(), b'3'),
    ] {
        let (scratch, refused) = into_scratch(&tar(name, flag, b""), Limits::default());
        assert!(matches!(refused, Err(BundleError::NotABundle(_))), "{name}: {refused:?}");
        let left = fs::read_dir(scratch.path()).expect("a folder").count();
        assert_eq!(left, 0, "{name}");
    }
    let sound = packed(&folder(tempfile::tempdir().expect("a").path()));
    for broken in [&b"no zstd"[..], &sound[..40], &sound[..sound.len() - 1]] {
        assert!(into_scratch(broken, Limits::default()).1.is_err());
    }
    assert!(into_scratch(&framed(&[0; 1024]), Limits::default()).1.is_err(), "nothing in it");
}

#[test]
fn no_other_spelling_of_a_bundle_is_accepted() {
    let sound = plain(&fs::read(Path::new(FROZEN).join("archive.tar.zst")).expect("there"));
    assert!(survey(framed(&joined(&parts(&sound))).as_slice(), Limits::default()).is_ok());
    let mut tried = 0;
    for (attack, make) in all() {
        let made = make(&sound);
        let (scratch, refused) = into_scratch(&made, Limits::default());
        let error = refused.expect_err(attack);
        assert!(!error.is_of_the_system(), "{attack}: {error:?}");
        let left = fs::read_dir(scratch.path()).expect("a folder").count();
        assert_eq!(left, 0, "{attack}: something was written");
        tried += 1;
    }
    assert!(tried > 55, "{tried}");
}

#[test]
fn every_bit_of_a_header_counts() {
    let sound = plain(&fs::read(Path::new(FROZEN).join("long-names.tar.zst")).expect("there"));
    let first = parts(&sound)[0].clone();
    let is_sound = |tar: &[u8]| survey(framed(tar).as_slice(), Limits::default()).is_ok();
    for bit in (0..512 * 8).step_by(7) {
        let mut changed = first.clone();
        changed.header[bit / 8] ^= 1 << (bit % 8);
        let tar = [&changed.header[..], &sound[512..]].concat();
        assert!(!is_sound(&tar), "bit {bit}");
        if (148..156).contains(&(bit / 8)) {
            continue;
        }
        // The checksum that goes with it makes it no better.
        let summed = changed.with(0, &[]);
        let tar = [&summed.header[..], &sound[512..]].concat();
        assert!(!is_sound(&tar), "bit {bit}, with a checksum");
    }
}

#[test]
fn a_proof_without_its_folder_and_what_follows_the_end_are_refused() {
    let place = tempfile::tempdir().expect("a folder");
    let sound = packed(&folder(place.path()));
    let proof = tar(&format!("proofs/{RUN}.tlog-proof"), b'0', b"proof");
    assert!(survey(proof.as_slice(), Limits::default()).is_err());
    let more = zstd::encode_all(&b"more"[..], 1).expect("in memory");
    for tail in [more.as_slice(), b"x"] {
        let refused = into_scratch(&[sound.as_slice(), tail].concat(), Limits::default()).1;
        assert!(refused.is_err(), "{refused:?}");
    }
    let name = format!("runs/{RUN}/bagit.txt");
    let found = file_in(sound.as_slice(), &name, 100).expect("read");
    assert_eq!(found.as_deref(), Some(&b"bagit.txt"[..]));
    file_in(sound.as_slice(), &name, 3).expect_err("larger");
    assert_eq!(file_in(sound.as_slice(), "x", 100).expect("read"), None);
}

#[test]
fn a_bundle_that_would_fill_the_disk_is_given_up_before_anything_is_written() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = lay_out(place.path(), &["data/x".to_owned()]);
    let sound = packed(&folder);
    for limits in [Limits { bytes: 5, entries: 10 }, Limits { bytes: 6, entries: 2 }] {
        let (scratch, refused) = into_scratch(&sound, limits);
        assert!(matches!(refused, Err(BundleError::TooMuch(_))), "{refused:?}");
        assert_eq!(fs::read_dir(scratch.path()).expect("a folder").count(), 0);
    }
    into_scratch(&sound, Limits { bytes: 6, entries: 3 }).1.expect("it is within");
}

#[test]
fn a_folder_that_the_format_does_not_have_is_not_written() {
    let large = tempfile::tempdir().expect("a folder");
    let folder = lay_out(large.path(), &["seal.json".to_owned()]);
    grow(&folder.join("seal.json"), 40 << 30);
    let refused = write(Vec::new(), &[(RUN.parse().expect("an id"), &folder, None)]);
    assert_eq!(refused.expect_err("large").kind(), io::ErrorKind::InvalidData);
    for name in ["data/a b", "data/-x", "a/b/c/d/e/f/g/h/i/j/k"] {
        let place = tempfile::tempdir().expect("a folder");
        let folder = lay_out(place.path(), &[name.to_owned()]);
        let refused = write(Vec::new(), &[(RUN.parse().expect("an id"), &folder, None)]);
        let refused = refused.expect_err(name);
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData, "{name}: {refused}");
    }
}

/// Makes the frozen files anew where `EXHIBIT_FROZEN` says, with the writer that the first version had.
#[test]
#[expect(clippy::disallowed_methods, reason = "a file is written when that is asked for")]
fn frozen_bundles_can_be_made_again() {
    let Some(out) = std::env::var_os("EXHIBIT_FROZEN") else { return };
    let out = PathBuf::from(out);
    fs::create_dir_all(&out).expect("made");
    let day = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/data/store/v1/store/runs/2026/11/24");
    let folders = ["01a20f2c-4246-73c8-902f-cb493f4ed72a", "01a20f2c-4438-73f5-87d9-43ef0178776f"]
        .map(|run| {
            let proof = fs::read_to_string(day.join(run).join("seal.json.tlog-proof"));
            (run, day.join(run), proof.expect("there"))
        });
    let all: Vec<_> =
        folders.iter().map(|(run, at, proof)| (*run, at.as_path(), Some(proof.clone()))).collect();
    let put = |name: &str, bytes: &[u8]| fs::write(out.join(name), bytes).expect("written");
    put("evidence.tar.zst", &by_the_first_writer(&all));
    put("archive.tar.zst", &by_the_first_writer(&[(all[1].0, all[1].1, None)]));
    let scratch = tempfile::tempdir().expect("a folder");
    let folder = lay_out(scratch.path(), &long_names());
    put("long-names.tar.zst", &by_the_first_writer(&[(RUN, &folder, None)]));
}
