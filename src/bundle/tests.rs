//! Tests of bundles: the same bytes each time, back as they were, and what is no bundle refused.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use super::*;

const RUN: &str = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57";

#[expect(clippy::disallowed_methods, reason = "a test prepares a folder")]
fn folder(at: &Path) -> PathBuf {
    let folder = at.join(RUN);
    fs::create_dir_all(folder.join("data/captures/0001-before")).expect("made");
    fs::write(folder.join("data/captures/0001-before/screenshot.png"), b"picture")
        .expect("written");
    fs::write(folder.join("bagit.txt"), b"BagIt-Version: 1.0\n").expect("written");
    folder
}

fn packed(folder: &Path) -> Vec<u8> {
    write(Vec::new(), &[(RUN.parse().expect("an id"), folder, None)]).expect("written")
}

/// A tar with one entry.
fn tar(name: &str, kind: EntryType, bytes: &[u8]) -> Vec<u8> {
    let mut header = header(kind, FILE, bytes.len() as u64);
    // As somebody writes it who wants to hurt: the crate itself refuses such names.
    let field = &mut header.as_mut_bytes()[..100];
    field[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    let mut text = header.as_bytes().to_vec();
    text.extend(bytes);
    text.resize(text.len().next_multiple_of(512) + 1024, 0);
    let mut packed = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    packed.write_all(&text).expect("in memory");
    packed.finish().expect("in memory")
}

fn into_scratch(
    packed: &[u8],
    limits: Limits,
) -> (tempfile::TempDir, Result<Unpacked, BundleError>) {
    let scratch = tempfile::tempdir().expect("a folder");
    let unpacked = unpack(packed, scratch.path(), limits);
    (scratch, unpacked)
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
    let picture = place.join("data/captures/0001-before/screenshot.png");
    assert_eq!(fs::read(picture).expect("there"), b"picture");
}

#[test]
fn what_is_no_bundle_is_refused_and_writes_nowhere_else() {
    let inside = format!("runs/{RUN}/x");
    for (name, kind) in [
        ("../x", EntryType::Regular),
        ("/tmp/x", EntryType::Regular),
        ("runs/../../x", EntryType::Regular),
        ("runs/no-run/x", EntryType::Regular),
        ("proofs/x", EntryType::Regular),
        ("x", EntryType::Regular),
        (inside.as_str(), EntryType::Symlink),
        (inside.as_str(), EntryType::Link),
        (inside.as_str(), EntryType::Fifo),
        (inside.as_str(), EntryType::Char),
    ] {
        let (scratch, refused) = into_scratch(&tar(name, kind, b""), Limits::default());
        assert!(matches!(refused, Err(BundleError::NotABundle(_))), "{name}: {refused:?}");
        let left = fs::read_dir(scratch.path()).expect("a folder").count();
        assert_eq!(left, 0, "{name}");
    }
    for broken in [&b"no zstd"[..], &packed(&folder(tempfile::tempdir().expect("a").path()))[..40]]
    {
        assert!(into_scratch(broken, Limits::default()).1.is_err());
    }
}

#[test]
fn bytes_behind_the_end_are_refused() {
    let place = tempfile::tempdir().expect("a folder");
    let sound = packed(&folder(place.path()));
    let more = zstd::encode_all(&b"more"[..], 1).expect("in memory");
    for tail in [more.as_slice(), b"x"] {
        let refused = into_scratch(&[sound.as_slice(), tail].concat(), Limits::default()).1;
        assert!(refused.is_err(), "{refused:?}");
    }
    let name = format!("runs/{RUN}/bagit.txt");
    let found = file_in(sound.as_slice(), &name, 100).expect("read");
    assert_eq!(found.as_deref(), Some(&b"BagIt-Version: 1.0\n"[..]));
    file_in(sound.as_slice(), &name, 3).expect_err("larger");
    assert_eq!(file_in(sound.as_slice(), "x", 100).expect("read"), None);
}

#[test]
fn a_bundle_that_would_fill_the_disk_is_given_up() {
    let inside = format!("runs/{RUN}/x");
    let large = tar(&inside, EntryType::Regular, &vec![0; 1_000_000]);
    assert!(large.len() < 2_000, "it is small until it is unpacked");
    let limits = Limits { bytes: 999_999, entries: 10 };
    assert!(matches!(into_scratch(&large, limits).1, Err(BundleError::TooMuch(_))));
    let limits = Limits { bytes: 1_000_000, entries: 0 };
    assert!(matches!(into_scratch(&large, limits).1, Err(BundleError::TooMuch(_))));
}
