//! Owns the check that the folder's seal is in a log that somebody vouched for.

use std::path::Path;

use super::Check;
use crate::disk;
use crate::finding::FindingCode;
use crate::layout::{MAX_SMALL, PROOF, SEAL};
use crate::trust::{TRUST_POLICY, Trust};
use exhibit_tlog::note::MAX_NOTE;
use exhibit_tlog::policy::Judgement;
use exhibit_tlog::proof::Proof;

impl Check<'_> {
    /// Check the proof in the folder, or a later one in the file `other`.
    pub(super) fn proof(&mut self, trust: &Trust, other: Option<&Path>) {
        let judged = !trust.log().is_empty();
        if let Some(found) = trust.log().weakness() {
            let expected = "a log, and a quorum of the witnesses";
            self.add(FindingCode::PolicyWeak, TRUST_POLICY, expected, found);
        }
        let bytes = match other {
            None => self.read(PROOF, MAX_NOTE),
            Some(path) => match disk::read_limited(path, MAX_NOTE) {
                Ok(bytes) => Some(bytes),
                Err(error) => return self.unreadable(&path.display().to_string(), &error),
            },
        };
        let Some(bytes) = bytes else {
            if judged && !self.has(PROOF) {
                self.add(
                    FindingCode::ProofMissing,
                    PROOF,
                    "a proof that the seal is logged",
                    "none",
                );
            }
            return;
        };
        self.judge_proof(bytes, trust);
    }

    /// Check a proof that lies beside the folder.
    pub(super) fn judge_proof(&mut self, bytes: Vec<u8>, trust: &Trust) {
        let judged = !trust.log().is_empty();
        // In its one form: another spelling of the same proof would be a file changed unseen.
        let read = String::from_utf8(bytes).ok().and_then(|text| {
            let proof = Proof::parse(&text).ok()?;
            (proof.to_string() == text).then_some(proof)
        });
        let Some(proof) = read else {
            let expected = "a proof of c2sp.org/tlog-proof";
            self.add(FindingCode::ProofMalformed, PROOF, expected, "something else");
            return;
        };
        // Its absence is a finding already.
        let Some(seal) = self.read(SEAL, MAX_SMALL) else { return };
        if !proof.verify_inclusion(&seal) {
            let expected = format!("{SEAL} at {} of {}", proof.index, proof.checkpoint.size);
            self.add(FindingCode::ProofMismatch, PROOF, expected, "another entry");
            return;
        }
        let origin = &proof.checkpoint.origin;
        match trust.log().judge(&proof.note, origin) {
            Judgement::Believed { .. } => {
                self.report.logged = Some(format!("{origin} at {}", proof.index));
                if trust.log().has_strangers(&proof.note) {
                    let expected = "signatures of keys of which something was said";
                    self.add(FindingCode::SignatureUnknown, PROOF, expected, "others beside them");
                }
            }
            Judgement::UnknownLog if !judged => {}
            Judgement::UnknownLog => {
                let expected = "a checkpoint of a log that is vouched for";
                self.add(FindingCode::LogUnknown, PROOF, expected, origin.clone());
            }
            Judgement::TooFewWitnesses { witnesses } => {
                let found = cosigned_by(&witnesses);
                self.add(FindingCode::WitnessMissing, PROOF, "the witnesses of the policy", found);
            }
        }
    }
}

/// Who cosigned, for a finding.
pub(super) fn cosigned_by(witnesses: &[String]) -> String {
    if witnesses.is_empty() { "none".to_owned() } else { witnesses.join(", ") }
}
