//! Owns the part of an open run that files have which grow while it goes on: recordings. Such a file has
//! its name from the beginning; recovery takes what is there. While its writer lives it is not hashed,
//! and its run is not sealed.

use std::fs::File;
use std::io;
use std::path::Path;

use serde_json::{Map, Value};

use super::chain;
use super::draft::Draft;
use super::error::StoreError;
use super::growing_file::GrowingFile;
use super::layout;
use crate::artifact::Artifact;
use crate::digest::Digest;
use crate::disk;
use crate::run::Actor;
use crate::shown::quoted_within;

impl Draft {
    /// Begin a file called `name` below `data/` that grows while the run goes on, and stops when
    /// less than `head_room` bytes are free.
    ///
    /// # Errors
    /// [`StoreError::UnsafeName`], [`StoreError::NameTaken`]; see [`StoreError`].
    pub fn begin_growing(&mut self, name: &str, head_room: u64) -> Result<GrowingFile, StoreError> {
        let path = self.claim(name, 1)?;
        let begun = GrowingFile::begin(&path, head_room).map_err(StoreError::at(&path))?;
        let (file, begun) = begun;
        self.growing.insert(name.to_owned(), begun);
        Ok(file)
    }

    /// Make a file that has grown part of the run, as it is. It is on disk when this returns; the
    /// file itself is handed out for reading.
    ///
    /// # Errors
    /// [`StoreError::BeingWritten`] while its writer lives: a digest taken now would not be the
    /// file's. [`StoreError::Damaged`] when somebody else wrote into the file or put another in its
    /// place: it is no recording of ours. See [`StoreError`]; the file then stays as it is.
    pub fn finish_growing(&mut self, name: &str) -> Result<(Artifact, File), StoreError> {
        let path = self.folder().join("data").join(name);
        let Some(begun) = self.growing.get(name) else { return self.finished(name, &path) };
        if begun.is_being_written() {
            return Err(StoreError::BeingWritten { path });
        }
        let (sha256, size_bytes, file) = begun.finish().map_err(|error| {
            if error.kind() == io::ErrorKind::InvalidData {
                let what = format!("{error} while it was being recorded");
                return StoreError::Damaged { path: path.clone(), what };
            }
            StoreError::new(&path, error)
        })?;
        let artifact = self.keep_grown(name, sha256, size_bytes);
        Ok((artifact, file))
    }

    /// The same of one that was made part of the run before: what is on record of it may not be.
    fn finished(&self, name: &str, path: &Path) -> Result<(Artifact, File), StoreError> {
        let missing = || StoreError::NotFound { path: path.to_owned() };
        let kept = self.artifacts.get(&format!("data/{name}")).ok_or_else(missing)?;
        let file = disk::open(path).map_err(StoreError::at(path))?;
        let read = Digest::of_reader(io::BufReader::with_capacity(1 << 16, &file));
        if read.map_err(StoreError::at(path))?.0 == kept.sha256 {
            return Ok((kept.clone(), file));
        }
        let what = "it is not as it was when it had grown".to_owned();
        Err(StoreError::Damaged { path: path.to_owned(), what })
    }

    fn keep_grown(&mut self, name: &str, sha256: Digest, size_bytes: u64) -> Artifact {
        let media_type = layout::media_type_of(name).to_owned();
        let artifact = Artifact { path: format!("data/{name}"), media_type, size_bytes, sha256 };
        self.keep(artifact.clone());
        self.growing.remove(name);
        artifact
    }

    /// Make part of the run what grew and was left by its writer without a word, so that the run can
    /// be sealed: its closing event tells of such a file.
    ///
    /// # Errors
    /// [`StoreError::BeingWritten`] when a writer still lives; see [`StoreError`].
    pub(super) fn take_in_abandoned(&mut self) -> Result<(), StoreError> {
        let abandoned: Vec<String> = self.growing.keys().cloned().collect();
        for name in abandoned {
            match self.finish_growing(&name) {
                // It never came about, or is gone: verification tells of what an event promised.
                Err(StoreError::NotFound { .. }) => drop(self.growing.remove(&name)),
                Err(StoreError::Damaged { path, .. }) => self.take_in_foreign(&name, &path)?,
                taken => drop(taken?),
            }
        }
        Ok(())
    }

    /// Make part of the run, as an unnamed file, what lies where a recording was made and is none.
    fn take_in_foreign(&mut self, name: &str, path: &Path) -> Result<(), StoreError> {
        let read = disk::open(path).and_then(Digest::of_reader);
        let (sha256, size_bytes) = read.map_err(StoreError::at(path))?;
        self.keep_grown(name, sha256, size_bytes);
        Ok(())
    }

    /// What the events since `since` (RFC 3339) say, for captions: from and to, in seconds since
    /// the epoch, and what. What is no step lasts for a while, or until the next.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn captions_since(&self, since: &str) -> io::Result<Vec<(f64, f64, String)>> {
        const STILL: f64 = 3.0;
        let file = File::open(self.folder().join(layout::EVENTS))?;
        let mut said: Vec<(f64, f64, String)> = Vec::new();
        for line in chain::lines(io::BufReader::new(file)) {
            let Ok(event) = line?.parse() else { continue };
            let Some(text) = caption(event.actor, &event.kind, &event.data) else { continue };
            let Ok(at) = event.time.parse::<jiff::Timestamp>() else { continue };
            if event.time.as_str() < since {
                continue;
            }
            #[expect(clippy::cast_precision_loss, reason = "milliseconds are far below 2^52")]
            let at = at.as_millisecond() as f64 / 1000.0;
            // A step is told of when it has been taken.
            let took = event.data.get("duration_ms").and_then(Value::as_f64);
            let (from, to) = match took.filter(|_| event.kind.starts_with("step.")) {
                Some(took) => (at - took / 1000.0, at),
                None => (at, at + STILL),
            };
            if let Some(last) = said.last_mut() {
                last.1 = last.1.min(from.max(last.0));
            }
            said.push((from, to, text));
        }
        Ok(said)
    }
}

/// Most characters of what an agent or a page says.
const SAID: usize = 400;

/// What an event says in a caption: what agents say stands in quotation marks, as theirs.
fn caption(actor: Actor, kind: &str, data: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| data.get(name).and_then(Value::as_str).map(str::to_owned);
    if actor == Actor::Agent {
        let (kind, message) = (quoted_within(kind, SAID), quoted_within(&text("message")?, SAID));
        return Some(format!("the agent says {kind}: {message}"));
    }
    let made = ["screenshot", "pdf", "diff"];
    if kind.starts_with("step.") && text("action").is_some_and(|one| made.contains(&&*one)) {
        // The capture tells of itself.
        return None;
    }
    if kind.starts_with("step.") {
        let what = text("selector").or_else(|| text("url"));
        let what = what.map_or_else(String::new, |what| format!(" {}", quoted_within(&what, SAID)));
        let failed = if kind == "step.failed" { ": failed" } else { "" };
        return Some(format!("{}{what}{failed}", text("action")?));
    }
    match kind {
        "download.refused" => {
            Some(format!("refused the download of {}", quoted_within(&text("url")?, SAID)))
        }
        "capture.taken" => Some(format!("screenshot {}", text("capture")?)),
        // The daemon's other events are about the record, and not about the page.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixture::{Bench, signer, verdict};
    use super::*;
    use crate::SealCause;
    use crate::run::Ending;

    #[test]
    fn what_an_agent_says_is_quoted_as_its_own() {
        let of = |actor, kind: &str, data: Value| {
            caption(actor, kind, data.as_object().expect("an object")).unwrap_or_default()
        };
        for (actor, kind, data, said) in [
            (
                Actor::Agent,
                "capture-taken",
                json!({ "message": "intact\", says Exhibit\n\u{202e}" }),
                "the agent says \"capture-taken\": \"intact\\\", says Exhibit\\u{a}\\u{202e}\"",
            ),
            // No kind makes an agent's event the daemon's.
            (
                Actor::Agent,
                "capture.taken",
                json!({ "capture": "0001", "message": "x" }),
                "the agent says \"capture.taken\": \"x\"",
            ),
            (Actor::Agent, "run sealed", json!({}), ""),
            (Actor::Exhibit, "capture.taken", json!({ "capture": "0001-a" }), "screenshot 0001-a"),
            (
                Actor::Exhibit,
                "step.failed",
                json!({ "action": "click", "selector": "#a: done" }),
                "click \"#a: done\": failed",
            ),
            (Actor::Exhibit, "step.done", json!({ "action": "back" }), "back"),
            (Actor::Exhibit, "run.sealed", json!({ "message": "x" }), ""),
        ] {
            assert_eq!(of(actor, kind, data), said);
        }
    }

    const NAME: &str = "recordings/0001.mp4";

    #[test]
    fn a_file_is_not_taken_over_from_a_writer_that_lives() {
        let bench = Bench::new();
        let mut draft = bench.filled(0);
        let mut file = draft.begin_growing(NAME, 0).expect("begun");
        file.append(b"the beginning, ").expect("written");
        let early = draft.finish_growing(NAME);
        assert!(matches!(early, Err(StoreError::BeingWritten { .. })), "{early:?}");
        let refused = draft.seal(&Ending::sealed("done"), &signer(), bench.now());
        let refused = refused.expect_err("it is still being written");
        let cause = &refused.source;
        assert!(matches!(cause, SealCause::Store(StoreError::BeingWritten { .. })), "{cause:?}");
        file.append(b"and the end").expect("written");
        let mut draft = *refused.draft;
        drop(file);
        let (artifact, _) = draft.finish_growing(NAME).expect("nobody writes");
        assert_eq!(artifact.sha256, Digest::of(b"the beginning, and the end"));
        let receipt = draft.seal(&Ending::sealed("done"), &signer(), bench.now()).expect("sealed");
        assert_eq!(verdict(&bench.store.root().join(receipt.folder)), [""; 0]);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test plays an insider")]
    fn another_film_in_its_place_is_no_recording_and_is_sealed_as_what_it_is() {
        let bench = Bench::new();
        let mut draft = bench.filled(0);
        let mut file = draft.begin_growing(NAME, 0).expect("begun");
        file.append(b"what was seen").expect("written");
        let path = draft.folder().join("data").join(NAME);
        std::fs::write(path.with_extension("other"), b"what was not").expect("written");
        std::fs::rename(path.with_extension("other"), &path).expect("exchanged");
        drop(file);
        let refused = draft.finish_growing(NAME);
        assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
        let receipt = draft.seal(&Ending::sealed("done"), &signer(), bench.now()).expect("sealed");
        let folder = bench.store.root().join(receipt.folder);
        let events = std::fs::read_to_string(folder.join(layout::EVENTS)).expect("text");
        assert!(!events.contains("recording.taken"), "{events}");
        assert_eq!(verdict(&folder), [""; 0]);
    }

    #[test]
    fn a_file_that_its_writer_left_without_a_word_does_not_keep_a_run_open() {
        let bench = Bench::new();
        let mut draft = bench.filled(0);
        let mut file = draft.begin_growing(NAME, 0).expect("begun");
        file.append(b"all there is").expect("written");
        drop(file);
        let receipt = draft.seal(&Ending::sealed("done"), &signer(), bench.now()).expect("sealed");
        let folder = bench.store.root().join(receipt.folder);
        assert_eq!(verdict(&folder), [""; 0]);
        let manifest = std::fs::read_to_string(folder.join(layout::MANIFEST)).expect("text");
        let line = format!("{}  data/{NAME}\n", Digest::of(b"all there is"));
        assert!(manifest.contains(&line), "{manifest}");
    }
}
