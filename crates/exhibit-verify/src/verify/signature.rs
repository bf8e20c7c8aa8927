//! Owns the check of the signature: that it is over the tag manifest, made for evidence, by a key
//! somebody vouched for at the time of its timestamp, or of sealing where no timestamp counts.

use jiff::Timestamp;
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, LineEnding, PublicKey, SshSig};

use super::Check;
use crate::finding::FindingCode;
use crate::layout::{NAMESPACE, SIGNATURE};
use crate::record::RunRecord;
use crate::sizes::MAX_SIGNATURE;
use crate::trust::{Trust, Verdict};

impl Check<'_> {
    pub(super) fn signature(
        &mut self,
        signed: Option<&[u8]>,
        record: Option<&RunRecord>,
        stamped: Option<Timestamp>,
        trust: &Trust,
    ) {
        // Its absence is a finding already.
        let Some(text) = self.read(SIGNATURE, MAX_SIGNATURE) else { return };
        let Some(signature) = parse(&text) else {
            let expected = "an OpenSSH signature, Ed25519 or P-256, with SHA-512";
            self.add(FindingCode::SignatureMalformed, SIGNATURE, expected, "something else");
            return;
        };
        if signature.namespace() != NAMESPACE {
            let found = signature.namespace().to_owned();
            self.add(FindingCode::SignatureNamespace, SIGNATURE, NAMESPACE, found);
            return;
        }
        // Without the tag manifest there is nothing to hold the signature against.
        let Some(signed) = signed else { return };
        let key = PublicKey::from(signature.public_key().clone());
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        if key.verify(NAMESPACE, signed, &signature).is_err() {
            let expected = "a signature over this tag manifest";
            let found = format!("one over other bytes, by {fingerprint}");
            self.add(FindingCode::SignatureMismatch, SIGNATURE, expected, found);
            return;
        }
        self.report.key = Some(fingerprint.clone());
        let there = [stamped, self.believed].into_iter().flatten().min();
        if self.revocation(&key, there, trust) {
            // The folder's own word on its time is its maker's, who may have had the key later.
            let sealed = || record.and_then(|record| record.sealed_at.parse().ok());
            self.judge(&key, &fingerprint, stamped.or(trust.moment()).or_else(sealed), trust);
        }
    }

    /// Whether a key counts although it may be revoked: for a signature that was there before, at
    /// `believed`. What the folder itself says of its time is worth nothing then, because whoever had
    /// the key wrote it.
    fn revocation(&mut self, key: &PublicKey, believed: Option<Timestamp>, trust: &Trust) -> bool {
        let Some(revoked) = trust.revoked(key.key_data()) else { return true };
        let found = revoked.to_string();
        if revoked.came_after(believed) {
            let expected = "a key that is not revoked";
            self.add(FindingCode::KeyRevokedLater, SIGNATURE, expected, found);
            return true;
        }
        let expected = match revoked.since {
            Some(since) => format!("a key that is not revoked, or a timestamp before {since}"),
            None => "a key that is not revoked".to_owned(),
        };
        self.add(FindingCode::KeyRevoked, SIGNATURE, expected, found);
        false
    }

    fn judge(&mut self, key: &PublicKey, fingerprint: &str, at: Option<Timestamp>, trust: &Trust) {
        let (code, expected, found) = match trust.judge(key.key_data(), at) {
            Verdict::Trusted(principal) => {
                self.report.signed_by = Some(principal);
                return;
            }
            Verdict::Unknown => (
                FindingCode::UnknownKey,
                "a key in the allowed signers".to_owned(),
                fingerprint.to_owned(),
            ),
            Verdict::NotForEvidence(principal) => (
                FindingCode::KeyNotForEvidence,
                format!("a key allowed for {NAMESPACE}"),
                format!("{fingerprint} of {principal}, for other purposes"),
            ),
            Verdict::NotValidThen(principal, limit) => {
                let then = at.map_or("an unknown time".to_owned(), |at| at.to_string());
                (
                    FindingCode::KeyNotValidThen,
                    format!("a key valid at {then}"),
                    format!("{fingerprint} of {principal}, {limit}"),
                )
            }
        };
        self.add(code, SIGNATURE, expected, found);
    }
}

/// The key that a signature with this `text` names; none when it is no signature of ours.
pub(super) fn key_in(text: &[u8]) -> Option<KeyData> {
    Some(parse(text)?.public_key().clone())
}

/// The signature in `text`, if it is one in the one form that we write: other spellings of the same
/// signature are refused, so that the file's bytes cannot be changed without notice.
fn parse(text: &[u8]) -> Option<SshSig> {
    let signature = SshSig::from_pem(text).ok()?;
    let same = signature.to_pem(LineEnding::LF).ok()?.as_bytes() == text;
    let known = matches!(
        signature.algorithm(),
        Algorithm::Ed25519
            | Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }
            | Algorithm::SkEd25519
    );
    let ours = known
        && signature.public_key().algorithm() == signature.algorithm()
        && signature.hash_alg() == HashAlg::Sha512;
    (same && ours).then_some(signature)
}
