//! Owns whom the verifier believes: keys that somebody vouched for, logs, witnesses, and authorities
//! about time, in the files of one folder. They always come from outside the evidence; a key found
//! inside it is never trusted.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, PublicKey};

use super::allowed::{Anchor, Read};
use super::revocation::Revoked;
use crate::disk;
use crate::timestamp::Authorities;
use exhibit_tlog::policy::Policy;

/// Files of a folder that says whom to believe.
pub const SIGNERS: &str = "allowed_signers";
/// See [`SIGNERS`].
pub const REVOKED: &str = "revoked_keys";
/// See [`SIGNERS`].
pub const LOG_KEY: &str = "log.vkey";
/// See [`SIGNERS`].
pub const TRUST_POLICY: &str = "trust-policy.txt";
/// See [`SIGNERS`].
const TIME: &str = "tsa-ca.pem";
/// Most bytes that are read of each of them.
const LIMIT: u64 = 64 << 20;

/// The keys somebody vouched for.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    anchors: Vec<Anchor>,
    /// Lines of `allowed_signers` that are none, as ssh-keygen reads them.
    passed_over: Vec<TrustError>,
    /// Every word of its lines: keys of which something was said.
    words: BTreeSet<String>,
    revoked: Vec<Revoked>,
    log: Policy,
    time: Authorities,
    /// When keys are judged where no timestamp says when they signed.
    moment: Option<Timestamp>,
    /// Since when the witnesses that are needed must have looked at the log.
    since: Option<Timestamp>,
}

/// Why a folder does not say whom to believe.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// A file cannot be read.
    #[error("{} cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// There is no list of keys.
    #[error("{} is not there; put the trusted keys there", .0.display())]
    NoSigners(PathBuf),
    /// A file says something that cannot be understood.
    #[error("{0}, {1}; correct it")]
    Malformed(&'static str, String),
}

/// Why a text is not a list of allowed signers, or of revoked keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct TrustError {
    /// Line number, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// What the trust says of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Vouched for, for evidence, at that time; the principal.
    Trusted(String),
    /// Nobody vouched for it.
    Unknown,
    /// Vouched for by this principal, for other purposes.
    NotForEvidence(String),
    /// Vouched for by this principal, for another time; which.
    NotValidThen(String, String),
}

impl Trust {
    /// Believe nobody: signatures are checked, keys are all unknown.
    pub fn none() -> Self {
        Self::default()
    }

    /// The signers that the text of an `allowed_signers` file vouches for, as ssh-keygen reads it: a
    /// line that it passes over counts for nothing, and is among those of [`Trust::passed_over`].
    /// Times without `Z` are taken as UTC. Certificate authorities are not supported.
    ///
    /// # Errors
    /// [`TrustError`] for the first such line, when there is no other: nobody takes silence for trust.
    pub fn from_allowed_signers(text: &str) -> Result<Self, TrustError> {
        let mut trust = Self::default();
        for (index, line) in text.split('\n').enumerate() {
            match Anchor::read(line) {
                Read::Nothing => continue,
                Read::Anchor(anchor) => trust.anchors.push(*anchor),
                Read::Unfit(what) => trust.passed_over.push(TrustError { line: index + 1, what }),
            }
            let blank = |letter: char| letter.is_ascii_whitespace() || letter == '\u{b}';
            trust.words.extend(line.split(blank).map(str::to_owned));
        }
        match trust.passed_over.first() {
            Some(first) if trust.anchors.is_empty() => Err(first.clone()),
            _ => Ok(trust),
        }
    }

    /// Whom the files in `folder` say to believe.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn in_folder(folder: &Path) -> Result<Self, Unfit> {
        let read = |name: &str| {
            let path = folder.join(name);
            match disk::read_named(&path, LIMIT) {
                Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(Unfit::Unreadable(path, error)),
            }
        };
        let signers = read(SIGNERS)?.ok_or_else(|| Unfit::NoSigners(folder.join(SIGNERS)))?;
        let trust = Self::from_allowed_signers(&signers)
            .map_err(|error| Unfit::Malformed(SIGNERS, error.to_string()))?;
        let trust = trust
            .with_revoked(&read(REVOKED)?.unwrap_or_default())
            .map_err(|error| Unfit::Malformed(REVOKED, error.to_string()))?;
        let policy = match (read(TRUST_POLICY)?, read(LOG_KEY)?) {
            (Some(policy), _) => Policy::parse(&policy)
                .map_err(|error| Unfit::Malformed(TRUST_POLICY, error.to_string()))?,
            (None, Some(keys)) => Policy::of_keys(&keys)
                .map_err(|error| Unfit::Malformed(LOG_KEY, error.to_string()))?,
            (None, None) => Policy::default(),
        };
        let time = match read(TIME)? {
            None => Authorities::default(),
            Some(pem) => Authorities::from_pem(pem.as_bytes())
                .map_err(|error| Unfit::Malformed(TIME, error))?,
        };
        Ok(trust.with_log(policy).with_time(time))
    }

    /// Lines of `allowed_signers` that count for nothing.
    pub fn passed_over(&self) -> &[TrustError] {
        &self.passed_over
    }

    /// The same, but for the keys in the text of a `revoked_keys` file: public keys in OpenSSH's form,
    /// one a line, behind each `since=YYYYMMDDHHMMSSZ` and a reason, which may be left out. A key
    /// without a time was never to be believed.
    ///
    /// # Errors
    /// [`TrustError`] for the first line that cannot be understood.
    pub fn with_revoked(mut self, text: &str) -> Result<Self, TrustError> {
        self.revoked = Revoked::list(text).map_err(|(line, what)| TrustError { line, what })?;
        Ok(self)
    }

    /// The same, believing logs and witnesses as `policy` says.
    #[must_use]
    pub fn with_log(mut self, policy: Policy) -> Self {
        self.log = policy;
        self
    }

    /// The same, believing these authorities about time.
    #[must_use]
    pub fn with_time(mut self, authorities: Authorities) -> Self {
        self.time = authorities;
        self
    }

    /// The same, judging keys at `moment` where no timestamp that counts says when they signed: not
    /// at the time that a folder gives itself.
    #[must_use]
    pub fn at(mut self, moment: Option<Timestamp>) -> Self {
        self.moment = moment;
        self
    }

    /// When keys are judged where no timestamp counts, if somebody said so.
    pub fn moment(&self) -> Option<Timestamp> {
        self.moment
    }

    /// The same, asking that the witnesses that are needed looked at the log at `since` or later.
    #[must_use]
    pub fn witnessed_since(mut self, since: Option<Timestamp>) -> Self {
        self.since = since;
        self
    }

    /// Since when witnesses must have looked, if somebody said so.
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Who is believed about time.
    pub fn time(&self) -> &Authorities {
        &self.time
    }

    /// The same, asking for no witness.
    #[must_use]
    pub fn without_witnesses(&self) -> Self {
        Self { log: self.log.clone().without_quorum(), since: None, ..self.clone() }
    }

    /// Which logs and witnesses are believed.
    pub fn log(&self) -> &Policy {
        &self.log
    }

    /// Believe `key` alone, by its fingerprint: for reading back what was just signed with it.
    pub fn of_key(key: &PublicKey) -> Self {
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let anchor = Anchor::of(key.key_data().clone(), fingerprint);
        Self { anchors: vec![anchor], ..Self::default() }
    }

    /// Whether anything was said of `key`: that it is believed, for whatever, or revoked. A line that
    /// counts for nothing says something, too.
    pub fn names(&self, key: &KeyData) -> bool {
        let named = || {
            let blob = ssh_key::PublicKey::from(key.clone()).to_bytes().ok();
            blob.is_some_and(|blob| self.words.contains(&STANDARD.encode(blob)))
        };
        self.anchors.iter().any(|anchor| anchor.key == *key)
            || self.revoked(key).is_some()
            || named()
    }

    /// Since when and why `key` is not to be believed, if it is revoked: of several lines the one that
    /// takes back the most.
    pub fn revoked(&self, key: &KeyData) -> Option<&Revoked> {
        self.revoked.iter().filter(|revoked| revoked.key == *key).min_by_key(|it| it.since)
    }

    /// What is said of `key` for something sealed at `at`; without a time, validity is not judged
    /// and a limited key is not trusted.
    pub fn judge(&self, key: &KeyData, at: Option<Timestamp>) -> Verdict {
        let mut verdict = Verdict::Unknown;
        for anchor in self.anchors.iter().filter(|anchor| anchor.key == *key) {
            let principal = anchor.principal.clone();
            if !anchor.allows_evidence() {
                if verdict == Verdict::Unknown {
                    verdict = Verdict::NotForEvidence(principal);
                }
            } else if let Some(limit) = anchor.excludes(at) {
                verdict = Verdict::NotValidThen(principal, limit);
            } else {
                return Verdict::Trusted(principal);
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_key::{signer, stranger};

    fn judge(options: &str, at: &str) -> Verdict {
        let line = signer().allowed_signers_line("exhibit@host");
        let line = line.replace("namespaces=\"evidence@exhibit\" ", options);
        let trust = Trust::from_allowed_signers(&format!("# keys\n\n{line}\n")).expect("a list");
        trust.judge(signer().public().key_data(), Some(at.parse().expect("a time")))
    }

    #[test]
    fn purpose_and_time_limit_what_a_key_is_trusted_for() {
        let at = "2026-11-24T08:15:46Z";
        let trusted = Verdict::Trusted("exhibit@host".to_owned());
        let open = "namespaces=\"git,evidence@exhibit\",valid-after=\"20260101Z\",valid-before=\"20271231235959\" ";
        assert_eq!(judge("", at), trusted);
        assert_eq!(judge(open, at), trusted);
        for patterns in ["*", "evidence@*", "git,e?idence@exhibit", "!git,*"] {
            assert_eq!(judge(&format!("namespaces=\"{patterns}\" "), at), trusted, "{patterns}");
        }
        for patterns in
            ["!evidence@exhibit,*", "*,!evidence@*", "!git", "evidence", "?", "EVIDENCE@exhibit"]
        {
            let verdict = judge(&format!("namespaces=\"{patterns}\" "), at);
            assert_eq!(verdict, Verdict::NotForEvidence("exhibit@host".to_owned()), "{patterns}");
        }
        let other = judge("namespaces=\"git\" ", at);
        assert_eq!(other, Verdict::NotForEvidence("exhibit@host".to_owned()));
        assert!(matches!(judge(open, "2025-12-31T23:59:59Z"), Verdict::NotValidThen(..)));
        // The last second still belongs to it, as ssh-keygen has it.
        assert_eq!(judge(open, "2027-12-31T23:59:59.9Z"), trusted);
        assert!(matches!(judge(open, "2028-01-01T00:00:00Z"), Verdict::NotValidThen(..)));
    }

    #[test]
    fn a_stranger_is_unknown_and_nobody_is_trusted_by_default() {
        let trust = Trust::of_key(signer().public());
        assert_eq!(trust.judge(stranger().public().key_data(), None), Verdict::Unknown);
        assert_eq!(Trust::none().judge(signer().public().key_data(), None), Verdict::Unknown);
    }
}
