//! Owns what verification can say: the stable codes, the class each belongs to, and the finding
//! itself. docs/FORMAT.md shows the same table for readers.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::exit;
use crate::shown::shown_within;

/// Most letters of a text from a folder that a finding repeats.
const MAX_SHOWN: usize = 1000;

/// What a finding means for whoever relies on the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Intact, but nobody vouched for the key.
    UnknownKey,
    /// Something that must be there is not.
    Incomplete,
    /// Could not be read, and so could not be judged.
    Unreadable,
    /// Changed, added, removed or exchanged.
    Altered,
}

impl Class {
    /// Whether evidence is not as it was sealed. Whom to believe is for auditors to say.
    pub fn is_damage(self) -> bool {
        !matches!(self, Self::Note | Self::UnknownKey)
    }

    /// The exit code of `exhibit verify` when this is the worst class found: altered before
    /// unreadable before incomplete before unknown key.
    pub fn exit(self) -> u8 {
        match self {
            Self::Note => exit::OK,
            Self::UnknownKey => exit::UNKNOWN_KEY,
            Self::Incomplete => exit::INCOMPLETE,
            Self::Unreadable => exit::UNREADABLE,
            Self::Altered => exit::ALTERED,
        }
    }
}

macro_rules! codes {
    ($( $name:ident = $code:literal $class:ident $meaning:literal; )+) => {
        /// A stable name for each thing verification can say.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FindingCode { $( #[doc = $meaning] $name, )+ }

        impl FindingCode {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code as it stands in reports.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$name => $code, )+ }
            }

            /// The class it belongs to.
            pub fn class(self) -> Class {
                match self { $( Self::$name => Class::$class, )+ }
            }

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $( Self::$name => $meaning, )+ }
            }
        }
    };
}

codes! {
    Unreadable = "unreadable" Unreadable "A file or folder could not be read, so it could not be judged.";
    TooLarge = "too_large" Unreadable "A file is larger than the format allows and was not read.";
    FileMissing = "file_missing" Altered "A file that a manifest lists is not there.";
    FileAltered = "file_altered" Altered "A file's bytes are not those that a manifest lists.";
    UnexpectedFile = "unexpected_file" Altered "A file that no manifest lists and that has no place in the format.";
    UnexpectedFolder = "unexpected_folder" Altered "A folder that holds no listed file.";
    NotAFile = "not_a_file" Altered "A link, device, socket or pipe: evidence is plain files only.";
    TagFileMissing = "tag_file_missing" Incomplete "A file that every sealed folder has beside data/ is not there.";
    TagFileNotListed = "tag_file_not_listed" Altered "A file beside data/ is not covered by the tag manifest, though it must be.";
    ManifestMalformed = "manifest_malformed" Altered "A line of a manifest is not a digest, two spaces, a name and a line feed.";
    UnsafeName = "unsafe_name" Altered "A manifest names a path outside its set, or one that tools read differently.";
    DuplicateName = "duplicate_name" Altered "A manifest names a path twice.";
    UnsortedName = "unsorted_name" Altered "A manifest is not in bytewise order.";
    DeclarationMismatch = "declaration_mismatch" Altered "bagit.txt is not the declaration of BagIt 1.0 in UTF-8.";
    BagInfoMalformed = "bag_info_malformed" Altered "bag-info.txt is not in the form of this format.";
    BagInfoMismatch = "bag_info_mismatch" Altered "bag-info.txt contradicts the rest of the folder.";
    FolderRenamed = "folder_renamed" Altered "The folder's name is not the identity of its run.";
    WrongPlace = "wrong_place" Altered "The folder does not lie under the date of its run.";
    SignatureMissing = "signature_missing" Incomplete "There is no signature.";
    SignatureMalformed = "signature_malformed" Altered "The signature file is not an OpenSSH signature in its one form.";
    SignatureNamespace = "signature_namespace" Altered "The signature was made for another purpose.";
    SignatureMismatch = "signature_mismatch" Altered "The signature is not over this tag manifest.";
    UnknownKey = "unknown_key" UnknownKey "The signature is sound, but nobody vouched for its key.";
    KeyNotForEvidence = "key_not_for_evidence" UnknownKey "The key is vouched for, but not for evidence.";
    KeyNotValidThen = "key_not_valid_then" UnknownKey "The key is vouched for, but not for the time of the timestamp, or of sealing where no timestamp counts.";
    KeyRevoked = "key_revoked" UnknownKey "The key was revoked, and nobody who is believed says that the signature was there before.";
    KeyRevokedLater = "key_revoked_later" Note "The key was revoked, and the signature was there before, by the word of somebody who is believed.";
    EventMalformed = "event_malformed" Altered "A line of the event chain is not an event.";
    EventSequence = "event_sequence" Altered "A sequence number does not follow the one before.";
    EventPrevious = "event_previous" Altered "An event is not bound to the line before it.";
    EventsTorn = "events_torn" Altered "The last line of the event chain is cut short.";
    EventTimeOrder = "event_time_order" Note "An event is dated before the one before it: the host's clock was set back.";
    OpeningMissing = "opening_missing" Altered "The event chain does not begin with run.opened.";
    EndingMissing = "ending_missing" Altered "The event chain does not end with run.sealed.";
    ArtifactMismatch = "artifact_mismatch" Altered "The files listed in run.sealed are not those of the manifest.";
    EventArtifactMismatch = "event_artifact_mismatch" Altered "A file is not the one that an event told of.";
    RecordMalformed = "record_malformed" Altered "run.json is not the record of a run.";
    RecordMismatch = "record_mismatch" Altered "run.json contradicts the event chain.";
    CompletenessMismatch = "completeness_mismatch" Altered "What is said of the run's completeness does not follow from its events and files.";
    SealMissing = "seal_missing" Incomplete "There is no seal.json.";
    SealMalformed = "seal_malformed" Altered "seal.json is not in its canonical form.";
    SealMismatch = "seal_mismatch" Altered "seal.json contradicts the rest of the folder.";
    ProofMissing = "proof_missing" Incomplete "There is no proof that the seal is in the log.";
    ProofMalformed = "proof_malformed" Altered "The proof is not in the form of c2sp.org/tlog-proof.";
    ProofMismatch = "proof_mismatch" Altered "The proof does not lead from the seal to the checkpoint.";
    LogUnknown = "log_unknown" UnknownKey "The checkpoint is not signed by a log that somebody vouched for.";
    WitnessMissing = "witness_missing" UnknownKey "Fewer witnesses cosigned the checkpoint than the trust policy asks for.";
    WitnessStale = "witness_stale" UnknownKey "Fewer witnesses than the trust policy asks for looked at the log since the moment that the auditor gave: it may be an old state of it.";
    PolicyWeak = "policy_weak" UnknownKey "The trust policy names witnesses and no quorum, or no log: it asks for less than it seems to.";
    SignatureUnknown = "signature_unknown" Note "A checkpoint has a signature of a key of which the auditor was told nothing; it counts for nothing.";
    WitnessBehind = "witness_behind" Note "Witnesses have not seen the newest entries of the log yet.";
    LogMissing = "log_missing" Incomplete "The store's log, or part of it, is not there.";
    LogMalformed = "log_malformed" Altered "A checkpoint of the log cannot be read.";
    LogTileAltered = "log_tile_altered" Altered "A tile of the log is not what follows from the entries, or is not there.";
    LogRootMismatch = "log_root_mismatch" Altered "The checkpoint's root is not that of the log's entries.";
    LogEntryMalformed = "log_entry_malformed" Altered "An entry of the log is not one of this format.";
    LogUnpublished = "log_unpublished" Note "Tiles that no checkpoint states: of a commit under way, or of one that was cut short.";
    LogTruncated = "log_truncated" Altered "The log is shorter than a checkpoint of it says.";
    LogRewritten = "log_rewritten" Altered "The log does not continue what a checkpoint of it says.";
    TimestampMalformed = "timestamp_malformed" Altered "A timestamp, or the request for one, is not in the form of RFC 3161, or not signed soundly.";
    TimestampMismatch = "timestamp_mismatch" Altered "A timestamp is not over the checkpoint or the signature beside it, or answers another request.";
    TimestampUntrusted = "timestamp_untrusted" UnknownKey "A timestamp is sound, but leads to no authority that is believed and that could give it at that moment.";
    TimestampForeign = "timestamp_foreign" Note "A timestamp over a checkpoint leads to no authority that is believed and that could give it at that moment; it counts for nothing.";
    TimestampNotJudged = "timestamp_not_judged" Note "There are timestamps, and nobody said whom to believe about time.";
    TimestampMissing = "timestamp_missing" Incomplete "A timestamp over the signature, the request for it, or a timestamp over a checkpoint is not there, or not that one, though seal.json or the log tells of it.";
    SealedTimeMismatch = "sealed_time_mismatch" Altered "The time of sealing is not near that of the timestamp over the signature: one of the two was dated back or ahead.";
    TimestampOrder = "timestamp_order" Altered "A run was stamped before one that stands before it in the log: the log was put together anew, or an authority's clock was set back.";
    TimestampBeforeEntry = "timestamp_before_entry" Note "A timestamp is earlier than the time of an entry it covers: the host's clock was ahead.";
    RunGone = "run_gone" Altered "The log tells of a run that is not in the store.";
    RunNotLogged = "run_not_logged" Altered "The store holds a run that the log does not tell of.";
    SealNotLogged = "seal_not_logged" Altered "A folder's seal is not the one that the log holds.";
    HeadNotLogged = "head_not_logged" Altered "A run's events do not contain what the log says that they had come to: its chain was cut short or changed.";
    SealedTwice = "sealed_twice" Altered "The log holds two different seals of one run.";
    RunReopened = "run_reopened" Altered "A run that the log says was sealed or purged lies in open/, and is not that seal on its way.";
    SealUnpublished = "seal_unpublished" Note "A sealed run, as the log holds it, is not in its place yet: the daemon moves it there, at its next start at the latest.";
    Quarantined = "quarantined" Note "A folder that was not what the log tells was set aside at a start; it is no evidence.";
    HoldSealMismatch = "hold_seal_mismatch" Altered "A hold was put on another seal of its run than the log holds.";
    ReceiptMismatch = "receipt_mismatch" Altered "A receipt says something else than what its run's folder or the log binds: another seal, another place in the log, or another value of any field.";
    EventsUnlogged = "events_unlogged" Note "The run was taken up after a crash, and the log did not hold its last events: only their own chain binds them, and they meet no requirement.";
    FilesUnnamed = "files_unnamed" Note "Files of the run of which no event tells: a crash came between a file and its event, or somebody with the files put them there while no daemon ran.";
    OpeningNotLogged = "opening_not_logged" Altered "A run's first event is not the one that the log holds of its opening.";
    PurgedRunThere = "purged_run_there" Altered "The store holds a run that the log says was purged: a purge cut short, which the daemon's next start finishes, or a folder put back.";
    PurgeUnfounded = "purge_unfounded" Altered "An entry of the log purges a run that was not sealed so, or a bundle that was not kept, whose promised time was not over, or that was on hold.";
    PurgeUnfinished = "purge_unfinished" Note "A purged run is not wholly removed yet.";
    ArchiveMalformed = "archive_malformed" Altered "An archive is not the .tar.zst of one run's folder, and of nothing else.";
    ArchiveNotLogged = "archive_not_logged" Altered "An archive is not the one that the log holds.";
    ArchiveUnfinished = "archive_unfinished" Note "A run lies there as folder and as archive, or as a folder although the log tells of an archive: one was becoming the other.";
    ImportMalformed = "import_malformed" Altered "A bundle of another store that is kept is no bundle of evidence folders.";
    ImportNotLogged = "import_not_logged" Altered "A bundle in imported/ is not one that the log holds.";
    ImportGone = "import_gone" Altered "The log tells of a kept bundle of another store that is not there.";
    ImportUnfinished = "import_unfinished" Note "A bundle of another store is being taken in or purged, or was when something cut it short; the daemon's next start finishes it or takes it back.";
    ImportNotVouched = "import_not_vouched" Note "A kept bundle of another store is intact, and signed with a key of which the auditor was told nothing.";
    CustodyBroken = "custody_broken" Altered "A line of the custody log is no event, or is not bound to the one before it.";
    CustodyNotLogged = "custody_not_logged" Altered "A line of the custody log is not the one that the log holds.";
    CustodyTruncated = "custody_truncated" Altered "The custody log is shorter than the log says.";
    CustodyUnlogged = "custody_unlogged" Note "A start found lines of custody that the log did not hold: the daemon had crashed, or somebody with the files added them while it was stopped.";
    FindingLogged = "finding_logged" Note "The daemon's log tells that evidence was not as it was, or was touched by others; and whether it was as it was again later.";
    Unsealed = "unsealed" Incomplete "The run was never sealed.";
    RunOpen = "run_open" Note "The store holds a run that is not sealed yet.";
}

impl FindingCode {
    /// Whether it tells of damage to the record of a run that came before its seal: a run that was
    /// damaged while open is sealed with its damage, which stays visible.
    pub fn is_recorded_damage(self) -> bool {
        matches!(
            self,
            Self::EventMalformed
                | Self::EventSequence
                | Self::EventPrevious
                | Self::EventArtifactMismatch
        )
    }
}

impl fmt::Display for FindingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for FindingCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One thing that verification has to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is.
    pub code: FindingCode,
    /// What it means.
    pub class: Class,
    /// Where: a path inside the folder, with `:<line>` or `#<field>` where that helps; `.` is the
    /// folder itself.
    pub place: String,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl Finding {
    /// A finding.
    pub fn new(
        code: FindingCode,
        place: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self {
            code,
            class: code.class(),
            place: shown(&place.into()),
            expected: shown(&expected.into()),
            found: shown(&found.into()),
        }
    }
}

/// `text` as it can be shown to somebody: what it holds comes from the folder, whose maker must not
/// get to draw on the reader's terminal, nor fill it.
pub fn shown(text: &str) -> String {
    shown_within(text, MAX_SHOWN)
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, place, expected, found, .. } = self;
        write!(f, "{code} at {place}: expected {expected}, found {found}")
    }
}

/// The exit code for a set of findings: that of the worst class.
pub fn worst_exit<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> u8 {
    findings.into_iter().map(|finding| finding.class).max().map_or(exit::OK, Class::exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_altered_dominates() {
        for (index, code) in FindingCode::ALL.iter().enumerate() {
            assert!(!FindingCode::ALL[..index].iter().any(|c| c.as_str() == code.as_str()));
        }
        let of = |code| Finding::new(code, "", "", "");
        let all: Vec<Finding> = FindingCode::ALL.iter().map(|code| of(*code)).collect();
        assert_eq!(worst_exit(&all), exit::ALTERED);
        assert_eq!(worst_exit(&[of(FindingCode::EventTimeOrder)]), exit::OK);
        assert_eq!(worst_exit(&[of(FindingCode::UnknownKey)]), exit::UNKNOWN_KEY);
        let two = [of(FindingCode::SignatureMissing), of(FindingCode::Unreadable)];
        assert_eq!(worst_exit(&two), exit::UNREADABLE);
    }

    #[test]
    fn a_finding_cannot_draw_on_the_terminal_nor_flood_it() {
        let evil = "a\n\u{1b}[2K\u{9b}1A\u{202e}gnp.x ok \u{fc}";
        let finding = Finding::new(FindingCode::UnexpectedFile, evil, "nothing", "x".repeat(5000));
        assert_eq!(finding.place, "a\\u{a}\\u{1b}[2K\\u{9b}1A\\u{202e}gnp.x ok \u{fc}");
        assert_eq!(finding.found, format!("{}…", "x".repeat(1000)));
    }

    #[test]
    fn the_format_document_shows_every_code_with_its_class() {
        let document = include_str!("../../../docs/FORMAT.md");
        for code in FindingCode::ALL {
            let class = serde_json::to_value(code.class()).expect("a name");
            let class = class.as_str().expect("a text");
            let row = format!("| `{code}` | {class} | {} |", code.meaning());
            assert!(document.contains(&row), "docs/FORMAT.md lacks the row: {row}");
        }
    }
}
