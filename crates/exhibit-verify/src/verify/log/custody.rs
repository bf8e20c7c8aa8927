//! Owns the verification of a custody log: that its lines are one chain, and that each head that the
//! log of the store holds is a line of it.

use std::path::Path;

use serde_json::Value;

use super::LogCheck;
use crate::cause::chain;
use crate::custody::{CUSTODY, CustodyEvent, is_month, lines};
use crate::finding::FindingCode;
use crate::layout;
use crate::log::{FOLDER, Leaf};
use exhibit_tlog::digest::Digest;

/// A head of the custody log, as an entry of the log states it.
#[derive(Clone, Copy, Debug)]
pub(in crate::verify) struct Stated {
    /// Index of the entry.
    index: u64,
    /// Events.
    count: u64,
    /// Digest of the last of them; none when the entry states none.
    sha256: Option<Digest>,
    /// Lines among them that a start found and the log had not held.
    unlogged: u64,
}

impl Stated {
    pub(in crate::verify) fn of(index: u64, leaf: &Leaf) -> Self {
        let count = leaf.data.get("count").and_then(Value::as_u64).unwrap_or(0);
        let sha256 = leaf.data.get("sha256").and_then(|it| it.as_str()?.parse().ok());
        let unlogged = leaf.data.get("unlogged").and_then(Value::as_u64).unwrap_or(0);
        Self { index, count, sha256, unlogged }
    }
}

impl LogCheck<'_> {
    /// The custody log beside the log, against itself and against the heads in the log.
    pub(in crate::verify) fn custody(&mut self) {
        self.custody_files();
        let mut heads = std::mem::take(&mut self.heads);
        for head in heads.iter().filter(|head| head.unlogged > 0) {
            let first = (head.count + 1).saturating_sub(head.unlogged);
            let found = format!("lines {first} to {}, found at a start", head.count);
            let place = format!("{FOLDER}#{}", head.index);
            self.add(FindingCode::CustodyUnlogged, place, "lines that the log held", found);
        }
        heads.sort_by_key(|head| head.count);
        let mut heads = heads.into_iter().peekable();
        let (mut count, mut last) = (0, Digest::ZERO);
        let (mut found, mut torn) = (Vec::new(), false);
        let read = lines(self.root, |path, number, line, whole| {
            let place = || place(path, number);
            if torn {
                let expected = "nothing behind a line that was cut short".to_owned();
                found.push((FindingCode::CustodyBroken, place(), expected));
                return true;
            }
            if !whole {
                // One that is just being written was promised to nobody.
                torn = true;
                return false;
            }
            let event = CustodyEvent::of_line(line);
            count += 1;
            let follows = event.is_some_and(|it| it.sequence == count && it.previous == last);
            if !follows {
                let expected = format!("event {count}, bound to the one before it");
                found.push((FindingCode::CustodyBroken, place(), expected));
            }
            last = Digest::of(line);
            while let Some(head) = heads.next_if(|head| head.count <= count) {
                if head.count != count || head.sha256 != Some(last) {
                    let expected =
                        format!("the line that the entry {} of the log states", head.index);
                    found.push((FindingCode::CustodyNotLogged, place(), expected));
                }
            }
            // One finding tells; all that follow are bound to the line it is about.
            !found.is_empty()
        });
        if let Err(error) = read {
            self.add(FindingCode::Unreadable, CUSTODY, "readable files", chain(&error));
            return;
        }
        self.report.custody = count;
        let whole = found.is_empty();
        for (code, place, expected) in found {
            self.add(code, place, expected, "another");
        }
        if let Some(head) = heads.last().filter(|_| whole) {
            let place = format!("{FOLDER}#{}", head.index);
            let expected = format!("{} events of custody", head.count);
            self.add(FindingCode::CustodyTruncated, place, expected, format!("{count}"));
        }
    }

    /// What lies in the folder and is no month's file.
    fn custody_files(&mut self) {
        let folder = self.root.join(CUSTODY);
        let entries = layout::entries(&folder);
        self.unread_result(CUSTODY, &entries);
        for entry in entries.unwrap_or_default() {
            let name = layout::readable(&entry.name);
            let code = match entry.kind {
                kind if kind.is_file() && is_month(&name) => continue,
                kind if kind.is_file() => FindingCode::UnexpectedFile,
                kind if kind.is_dir() => FindingCode::UnexpectedFolder,
                _ => FindingCode::NotAFile,
            };
            self.add(code, format!("{CUSTODY}/{name}"), "files of months only", "another");
        }
    }
}

fn place(path: &Path, number: u64) -> String {
    let name = path.file_name().unwrap_or_default();
    format!("{CUSTODY}/{}:{number}", layout::readable(name))
}
