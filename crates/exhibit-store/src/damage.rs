//! The damage matrix: seven kinds of damage to eleven kinds of file of a sealed folder, each with the
//! exact list of findings it must lead to. Then damage at random, which must never go unnoticed.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::fixture::{Bench, trust, verdict};
pub(super) use super::tampering::unlock;
use super::verify;

/// What is damaged.
const FILES: [&str; 11] = [
    "data/captures/0001-before/screenshot.png",
    "data/events.jsonl",
    "data/run.json",
    "manifest-sha256.txt",
    "tagmanifest-sha256.txt",
    "tagmanifest-sha256.txt.sig",
    "seal.json",
    "bag-info.txt",
    "bagit.txt",
    "VERIFY.txt",
    "report.html",
];

/// How it is damaged.
const DAMAGES: [&str; 7] = ["delete", "truncate", "flip", "swap", "add", "rename", "symlink"];

/// A sealed folder that may be changed, and another run's to take files from.
struct Pair {
    _bench: Bench,
    folder: PathBuf,
    other: PathBuf,
}

impl Pair {
    fn new() -> Self {
        let bench = Bench::new();
        let (folder, other) = (bench.sealed(0), bench.sealed(1));
        unlock(&folder);
        Self { _bench: bench, folder, other }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test does damage")]
fn damage(pair: &Pair, how: &str, name: &str) {
    let path = pair.folder.join(name);
    let bytes = fs::read(&path).expect("there");
    let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
    match how {
        "delete" => fs::remove_file(&path).expect("removed"),
        "truncate" => fs::write(&path, &bytes[..bytes.len() / 2]).expect("written"),
        "flip" => {
            let mut bytes = bytes;
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).expect("written");
        }
        "swap" => drop(fs::copy(pair.other.join(name), &path).expect("copied")),
        "add" => fs::write(beside("-2"), bytes).expect("written"),
        "rename" => fs::rename(&path, beside("-2")).expect("renamed"),
        "symlink" => {
            // A link to the very same bytes: only what it is gives it away.
            fs::rename(&path, pair.folder.with_extension("moved")).expect("renamed");
            std::os::unix::fs::symlink(pair.folder.with_extension("moved"), &path).expect("linked");
        }
        _ => unreachable!("no such damage"),
    }
}

#[test]
fn every_damage_to_every_file_has_its_exact_findings() {
    let mut table = String::new();
    for name in FILES {
        for how in DAMAGES {
            let pair = Pair::new();
            damage(&pair, how, name);
            writeln!(table, "{how} {name}").expect("memory");
            for finding in verdict(&pair.folder) {
                writeln!(table, "    {finding}").expect("memory");
            }
        }
    }
    let expected = include_str!("damage.txt");
    for (found, expected) in rows(&table).zip(rows(expected)) {
        assert_eq!(found, expected);
    }
    assert_eq!(rows(&table).count(), FILES.len() * DAMAGES.len());
    assert_eq!(table, expected, "the whole of it:\n{table}");
}

/// The rows of a table: a line that is not indented and the findings below it.
fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    let mut lines = table.lines().filter(|line| !line.starts_with('#')).peekable();
    std::iter::from_fn(move || {
        let mut row = vec![lines.next()?];
        while let Some(line) = lines.next_if(|line| line.starts_with(' ')) {
            row.push(line.trim());
        }
        Some(row)
    })
}

/// Every file of a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in super::layout::entries(folder).expect("listed") {
        if entry.kind.is_dir() {
            files.extend(self::files(&entry.path));
        } else {
            files.push(entry.path);
        }
    }
    files
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test does damage")]
    fn no_single_change_goes_unnoticed(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u32,
        kind in 0..4_u8,
    ) {
        let bench = Bench::new();
        let folder = bench.sealed(0);
        unlock(&folder);
        let files = files(&folder);
        let path = &files[which.index(files.len())];
        let mut bytes = fs::read(path).expect("there");
        let at = at.index(bytes.len());
        match kind {
            0 => bytes[at] ^= 1 << bit,
            1 => bytes.truncate(at),
            2 => bytes.insert(at, b'\n'),
            _ => bytes.push(b' '),
        }
        fs::write(path, bytes).expect("written");
        let report = verify::folder(&folder, &trust());
        prop_assert_ne!(report.exit(), exhibit_verify::exit::OK, "{} {}", path.display(), at);
    }
}
