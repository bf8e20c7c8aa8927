//! Owns the sealing of a run: a list of small steps, each of which may be the last before a crash.
//! Until the rename the run is open and sealing starts over; after it the run is sealed and only
//! permission bits are left to set. docs/FORMAT.md states the order.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::bag::{self, BagInfo};
use super::chain;
use super::draft::{Bound, Draft};
use super::error::{SealCause, StoreError};
use super::finding::Class;
use super::layout::{self, EVENTS, MAX_EVENT_READ, RECORD};
use super::leftovers::clear;
use super::publish::{self, protect_below};
use super::record::{
    COMPLETENESS, Counts, NOT_PROVEN, RunRecord, SealParts, seal_bytes, seal_value,
};
use super::sign::Signer;
use super::trust::Trust;
use super::verify;
use crate::artifact::Artifact;
use crate::clock::{Moment, rfc3339_millis};
use crate::digest::Digest;
use crate::disk::own::Window;
use crate::disk::{self, OnceFile};
use crate::receipt::Receipt;
use crate::run::{Ending, Event, REDACTED, Recorded};
use crate::timestamp::{MAX_STAMP, Request, TimestampToken};

/// How to check a folder with stock tools; `{run}` stands for the run.
pub const GUIDE: &str = include_str!("VERIFY.txt");

/// How long a closing event stands for attempts to seal that follow: what was sealed long before it
/// was stamped looks as if it had been dated back.
const STANDS: SignedDuration = SignedDuration::from_mins(1);
/// Bytes of a report that are written at a time.
const REPORT_BUFFER: usize = 1 << 18;

/// A run that could not be sealed, with the reason. The run is still open: nothing recorded is
/// lost, and [`Draft::seal`] can be tried again.
#[derive(Debug, thiserror::Error)]
#[error("the run {} could not be sealed; it stays open", .draft.id())]
pub struct SealError {
    /// The run.
    pub draft: Box<Draft>,
    /// What stopped it.
    pub source: SealCause,
}

/// A seal on its way: what the steps so far found out.
pub(super) struct Sealing<'a> {
    draft: &'a mut Draft,
    ending: &'a Ending,
    signer: &'a Signer,
    at: Moment,
    /// Files below `data/` for the manifest, `events.jsonl` and `run.json` included.
    payload: Vec<(String, Digest, u64)>,
    record: Option<RunRecord>,
    parts: SealParts,
    /// When an authority saw the signature.
    stamped: Option<Timestamp>,
    seal_sha256: Digest,
}

type Step = fn(&mut Sealing<'_>) -> Result<(), SealCause>;

/// The steps, in order. Those from [`CHECK`] on are all that is left to do once the seal is in the log.
pub(super) const STEPS: [Step; 15] = [
    |sealing| sealing.clear(),
    |sealing| sealing.close_chain(),
    |sealing| sealing.write_record(),
    |sealing| sealing.write_manifest(),
    |sealing| sealing.write_declarations(),
    |sealing| sealing.write_report(),
    |sealing| sealing.write_tag_manifest(),
    |sealing| sealing.write_signature(),
    |sealing| sealing.write_timestamp(),
    |sealing| sealing.write_seal(),
    |sealing| sealing.protect(),
    |sealing| sealing.check(),
    |sealing| sealing.enter_log(),
    |sealing| sealing.prove(),
    |sealing| sealing.publish(),
];
/// The step that reads everything back.
const CHECK: usize = 11;

impl Draft {
    /// Close the run for ever: closing event, record, manifests, signature, seal; read everything
    /// back and verify it; move the folder to its place among the sealed ones, read-only.
    ///
    /// # Errors
    /// [`SealError`] gives the draft back: sealing can be tried again.
    pub fn seal(
        mut self,
        ending: &Ending,
        signer: &Signer,
        at: Moment,
    ) -> Result<Receipt, SealError> {
        // Its file of events is closed last, when it lies in its final place.
        let place = self.place.root.join(layout::sealed_place(self.id()));
        let _own = Window::on(&place.join(EVENTS));
        match run(&mut self, ending, signer, at, STEPS.len()).and_then(|()| settle(&self)) {
            Ok(receipt) => {
                drop(self);
                Ok(receipt)
            }
            Err(source) => Err(SealError { draft: Box::new(self), source }),
        }
    }
}

/// Take the first `steps` steps of sealing. A test stops early, as a crash would.
pub(super) fn run(
    draft: &mut Draft,
    ending: &Ending,
    signer: &Signer,
    at: Moment,
    steps: usize,
) -> Result<(), SealCause> {
    if draft.published.is_some() {
        return Ok(());
    }
    let first = if is_bound(draft)? { CHECK } else { 0 };
    let mut sealing = Sealing {
        draft,
        ending,
        signer,
        at,
        payload: Vec::new(),
        record: None,
        parts: SealParts::default(),
        stamped: None,
        seal_sha256: Digest::ZERO,
    };
    let steps = STEPS.get(first..steps).unwrap_or_default();
    steps.iter().try_for_each(|step| step(&mut sealing))
}

/// Whether a seal of `draft` is in the log, after an attempt that failed behind it: then the run is
/// that seal, and no other is ever made.
fn is_bound(draft: &mut Draft) -> Result<bool, SealCause> {
    let (run, Some(bound), Some(log)) = (draft.id(), &mut draft.bound, &draft.place.log) else {
        return Ok(false);
    };
    if bound.index.is_none() {
        log.settle()?;
        let logged = log.histories(&[run])?.remove(&run).and_then(|history| history.seal);
        let ours = |(_, sha256): &(u64, Digest)| *sha256 == bound.receipt.seal_sha256;
        bound.index = logged.filter(ours).map(|(index, _)| index);
    }
    let stands = bound.index.is_some();
    if !stands {
        draft.bound = None;
    }
    Ok(stands)
}

/// Make the move durable and the folder read-only: what is left once it has its final place.
fn settle(draft: &Draft) -> Result<Receipt, SealCause> {
    let receipt = draft.published.clone().expect("the last step publishes");
    publish::settle(&draft.place.root, draft.id())?;
    Ok(receipt)
}

impl Sealing<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.draft.place.folder.join(name)
    }

    /// Drop what an earlier attempt left: this one writes all of it anew. What still has a writer
    /// cannot be sealed.
    fn clear(&mut self) -> Result<(), SealCause> {
        self.draft.take_in_abandoned()?;
        clear(&self.draft.place.folder)?;
        Ok(())
    }

    /// The last event binds ending and files into the chain.
    fn close_chain(&mut self) -> Result<(), SealCause> {
        let stands = |recorded: &Recorded| {
            let time = recorded.time.parse().unwrap_or(Timestamp::MIN);
            self.at.wall.duration_since(time) <= STANDS
        };
        if self
            .draft
            .closing
            .as_ref()
            .is_some_and(|(ending, recorded)| ending == self.ending && stands(recorded))
        {
            return Ok(());
        }
        let artifacts: Vec<&Artifact> = self.draft.artifacts.values().collect();
        let told = self.draft.preceding(&[], self.at).len() as u64;
        let counts = Counts { events: self.draft.lines + 1 + told, ..self.counts() };
        let mut data = json!(self.ending);
        if let Some(told) = &self.ending.redacted {
            data[REDACTED] = told.clone();
        }
        if let Some(completeness) = self.draft.completeness() {
            data[COMPLETENESS] = json!(completeness);
        }
        data["counts"] = json!(counts);
        data["artifacts"] = json!(artifacts);
        let limit = usize::try_from(MAX_EVENT_READ).expect("64 MiB fit in memory") - 1;
        let event = Event::exhibit(chain::SEALED, data);
        let mut recorded = self.draft.append(&[event], self.at, limit)?;
        let recorded = recorded.pop().expect("one event in, one out");
        self.draft.closing = Some((self.ending.clone(), recorded));
        Ok(())
    }

    fn counts(&self) -> Counts {
        Counts {
            events: self.draft.lines,
            captures: self.draft.captures,
            files: self.draft.artifacts.len() as u64 + 2,
        }
    }

    fn write_record(&mut self) -> Result<(), SealCause> {
        let (_, closing) = self.draft.closing.as_ref().expect("the chain is closed by now");
        let record = RunRecord {
            format: layout::FORMAT.to_owned(),
            opening: self.draft.opening.clone(),
            opened_at: self.draft.opened_at.clone(),
            sealed_at: closing.time.clone(),
            ending: self.ending.clone(),
            completeness: self.draft.completeness(),
            counts: self.counts(),
            last_event_sha256: closing.sha256,
            not_proven: NOT_PROVEN.map(str::to_owned).to_vec(),
        };
        let (sha256, size) = self.write(RECORD, &record.render())?;
        self.record = Some(record);
        self.payload.push((RECORD.to_owned(), sha256, size));
        Ok(())
    }

    fn record(&self) -> &RunRecord {
        self.record.as_ref().expect("the record is written by now")
    }

    fn write_manifest(&mut self) -> Result<(), SealCause> {
        let path = self.path(EVENTS);
        let events = File::open(&path).and_then(Digest::of_reader);
        let (sha256, size) = events.map_err(StoreError::at(&path))?;
        self.payload.push((EVENTS.to_owned(), sha256, size));
        let artifacts = self.draft.artifacts.values();
        self.payload.extend(artifacts.map(|a| (a.path.clone(), a.sha256, a.size_bytes)));
        self.payload.sort();
        let entries = self.payload.iter().map(|(name, sha256, _)| (name.as_str(), *sha256));
        let text = bag::render_manifest(entries);
        self.parts.manifest_sha256 = Some(self.write(layout::MANIFEST, text.as_bytes())?.0);
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.payload.iter().map(|(_, _, size)| size).sum()
    }

    fn write_declarations(&mut self) -> Result<(), SealCause> {
        let oxum = bag::oxum(self.bytes(), self.payload.len() as u64);
        self.parts.payload_oxum = Some(oxum.clone());
        let organization = self.draft.place.organization.as_deref();
        let info = BagInfo::new(self.draft.id(), &self.record().sealed_at, oxum, organization);
        self.write(layout::BAGIT, bag::DECLARATION.as_bytes())?;
        self.write(layout::BAG_INFO, info.render().as_bytes())?;
        let guide = GUIDE.replace("{run}", &self.draft.id().to_string());
        self.write(layout::VERIFY, guide.as_bytes())?;
        Ok(())
    }

    /// The report says what the files so far say, and so is the same whenever it is made of them.
    /// It must not keep a run from being sealed: where there is no room for it, a few words have.
    fn write_report(&mut self) -> Result<(), SealCause> {
        let reporter = Arc::clone(&self.draft.place.reporter);
        let path = self.path(layout::REPORT);
        let mut file = OnceFile::create(&path).map_err(StoreError::at(&path))?;
        let mut buffer = BufWriter::with_capacity(REPORT_BUFFER, &mut file);
        let written = reporter.write(&self.draft.place.folder, &mut buffer);
        let written = written.and_then(|()| buffer.flush());
        drop(buffer);
        if let Err(error) = written {
            file.discard();
            self.write(layout::REPORT, &reporter.excuse(&error.to_string()))?;
            return Ok(());
        }
        file.finish().map_err(StoreError::at(&path))?;
        Ok(())
    }

    fn write_tag_manifest(&mut self) -> Result<(), SealCause> {
        let mut entries = Vec::new();
        for name in layout::LISTED.into_iter().chain([layout::REPORT]) {
            let path = self.path(name);
            let digest = File::open(&path).and_then(Digest::of_reader);
            entries.push((name, digest.map_err(StoreError::at(&path))?.0));
        }
        let text = bag::render_manifest(entries);
        self.parts.tagmanifest_sha256 = Some(self.write(layout::TAG_MANIFEST, text.as_bytes())?.0);
        Ok(())
    }

    fn write_signature(&mut self) -> Result<(), SealCause> {
        let path = self.path(layout::TAG_MANIFEST);
        let signed = disk::read_limited(&path, layout::MAX_MANIFEST);
        let signature = self.signer.sign(&signed.map_err(StoreError::at(&path))?)?;
        self.parts.signature_sha256 = Some(self.write(layout::SIGNATURE, signature.as_bytes())?.0);
        Ok(())
    }

    /// Have an authority say that the signature is there. Its silence does not hinder the seal, nor
    /// does what is no answer: the folder is sealed without.
    fn write_timestamp(&mut self) -> Result<(), SealCause> {
        let Some(authority) = self.draft.place.authority.clone() else { return Ok(()) };
        let path = self.path(layout::SIGNATURE);
        let signature = disk::read_limited(&path, layout::MAX_SMALL);
        let signature = signature.map_err(StoreError::at(&path))?;
        let request = Request::over(&signature);
        let request = request.map_err(|error| StoreError::new(&path, error.into()))?;
        let Some(response) = authority.ask(self.draft.id(), &request) else { return Ok(()) };
        let sound = TimestampToken::parse(&response).ok().filter(|stamp| stamp.answers(&request));
        let short = response.len() as u64 <= MAX_STAMP;
        let Some(stamp) = sound.filter(|_| short) else { return Ok(()) };
        let request = self.write(layout::REQUEST, request.bytes())?.0;
        self.parts.timestamp_request_sha256 = Some(request);
        self.parts.timestamp_sha256 = Some(self.write(layout::TIMESTAMP, &response)?.0);
        self.stamped = Some(stamp.time);
        Ok(())
    }

    fn write_seal(&mut self) -> Result<(), SealCause> {
        let seal = seal_bytes(&seal_value(self.record(), &self.parts));
        self.seal_sha256 = self.write(layout::SEAL, &seal)?.0;
        Ok(())
    }

    /// Everything read-only but the top folder, which must be writable to be moved.
    fn protect(&mut self) -> Result<(), SealCause> {
        let folder = &self.draft.place.folder;
        protect_below(folder)?;
        for folder in [&folder.join("data"), folder] {
            disk::sync_dir(folder).map_err(StoreError::at(folder))?;
        }
        Ok(())
    }

    /// Read the folder back from disk and verify it, as an auditor will. Of one that is in the log
    /// already the key is no question any more: it may have been exchanged since.
    fn check(&mut self) -> Result<(), SealCause> {
        let bound = self.draft.is_bound();
        let trust = if bound { Trust::default() } else { Trust::of_key(self.signer.public()) };
        let report = verify::folder(&self.draft.place.folder, &trust);
        let damaged = self.draft.damaged;
        let hinders = |finding: &super::finding::Finding| match finding.class {
            Class::Note => false,
            Class::UnknownKey => !bound,
            _ => !(damaged && finding.code.is_recorded_damage()),
        };
        let findings: Vec<_> = report.findings.into_iter().filter(hinders).collect();
        if findings.is_empty() { Ok(()) } else { Err(SealCause::NotVerified(findings)) }
    }

    /// Put the seal into the log. From here on the run is this seal: another attempt, and a start
    /// after a crash, go on behind it.
    fn enter_log(&mut self) -> Result<(), SealCause> {
        let Some(log) = self.draft.place.log.clone().filter(|_| !self.draft.is_bound()) else {
            return Ok(());
        };
        let path = self.path(layout::SEAL);
        let seal = disk::read_limited(&path, layout::MAX_SMALL).map_err(StoreError::at(&path))?;
        self.draft.bound = Some(Bound { receipt: self.receipt(), index: None });
        match log.append(seal) {
            Ok(index) => {
                self.draft.bound = Some(Bound { receipt: self.receipt(), index: Some(index) });
                Ok(())
            }
            Err(error) => {
                if !matches!(error, StoreError::InDoubt { .. }) {
                    self.draft.bound = None;
                }
                Err(error.into())
            }
        }
    }

    /// Put the proof that the seal is in the log beside it.
    fn prove(&mut self) -> Result<(), SealCause> {
        let Some(log) = self.draft.place.log.clone() else { return Ok(()) };
        let bound = self.draft.bound.as_mut().expect("it is in the log by now");
        let index = bound.index.expect("it is in the log by now");
        let proof = publish::prove(&self.draft.place.folder, &log, index)?;
        bound.receipt.log_index = Some(index);
        bound.receipt.checkpoint = Some(proof.note.to_string());
        Ok(())
    }

    /// One rename makes the run sealed.
    fn publish(&mut self) -> Result<(), SealCause> {
        publish::move_to_place(&self.draft.place.root, self.draft.id())?;
        let bound = self.draft.bound.as_ref().map(|bound| bound.receipt.clone());
        self.draft.published = Some(bound.unwrap_or_else(|| self.receipt()));
        Ok(())
    }

    fn receipt(&self) -> Receipt {
        let record = self.record();
        let known = "every part is known once all steps before have been taken";
        Receipt {
            run: self.draft.id(),
            state: record.ending.state,
            outcome: record.ending.outcome.clone(),
            completeness: record.completeness.clone(),
            sealed_at: record.sealed_at.clone(),
            folder: layout::sealed_place(self.draft.id()),
            events: record.counts.events,
            files: record.counts.files,
            size_bytes: self.bytes(),
            tagmanifest_sha256: self.parts.tagmanifest_sha256.expect(known),
            seal_sha256: self.seal_sha256,
            key: self.signer.fingerprint(),
            timestamp: self.stamped.map(rfc3339_millis),
            log_index: None,
            checkpoint: None,
        }
    }

    /// Write one file of the folder; the folder is synchronised by a later step.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(Digest, u64), StoreError> {
        let path = self.path(name);
        let mut file = OnceFile::create(&path).map_err(StoreError::at(&path))?;
        if let Err(error) = file.write_all(bytes) {
            file.discard();
            return Err(StoreError::new(&path, error));
        }
        file.finish().map_err(StoreError::at(&path))
    }
}
