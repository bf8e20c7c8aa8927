//! Owns whom the verifier believes: keys that somebody vouched for, in OpenSSH's `allowed_signers`
//! form (ssh-keygen(1), ALLOWED SIGNERS). They always come from outside the folder; a key found
//! inside one is never trusted.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ssh_key::PublicKey;
use ssh_key::public::KeyData;

use super::layout::NAMESPACE;
use super::revocation::Revoked;
use super::sign::Signer;
use crate::timestamp::Authorities;
use crate::tlog::policy::Policy;

/// The keys somebody vouched for.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    anchors: Vec<Anchor>,
    revoked: Vec<Revoked>,
    log: Policy,
    time: Authorities,
    /// When keys are judged where no timestamp says when they signed.
    moment: Option<Timestamp>,
}

/// One line of `allowed_signers`.
#[derive(Clone, Debug)]
struct Anchor {
    principal: String,
    key: KeyData,
    /// Purposes, when the line limits them.
    namespaces: Option<Vec<String>>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
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
pub(super) enum Verdict {
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

    /// The signers that the text of an `allowed_signers` file vouches for. Times without `Z` are
    /// taken as UTC. Certificate authorities are not supported: such a line is an error, so that
    /// nobody takes silence for trust.
    ///
    /// # Errors
    /// [`TrustError`] for the first line that cannot be understood.
    pub fn from_allowed_signers(text: &str) -> Result<Self, TrustError> {
        let mut anchors = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let anchor = Anchor::parse(line);
            anchors.push(anchor.map_err(|what| TrustError { line: index + 1, what })?);
        }
        Ok(Self { anchors, ..Self::default() })
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
    pub(super) fn moment(&self) -> Option<Timestamp> {
        self.moment
    }

    /// Who is believed about time.
    pub(super) fn time(&self) -> &Authorities {
        &self.time
    }

    /// The same, asking for no witness.
    pub(super) fn without_witnesses(&self) -> Self {
        Self { log: self.log.clone().without_quorum(), ..self.clone() }
    }

    /// Which logs and witnesses are believed.
    pub(super) fn log(&self) -> &Policy {
        &self.log
    }

    /// Believe `signer` itself: for reading back what it has just signed.
    pub(crate) fn of_signer(signer: &Signer) -> Self {
        let key = signer.public().key_data().clone();
        let principal = signer.fingerprint();
        let anchor =
            Anchor { principal, key, namespaces: None, valid_after: None, valid_before: None };
        Self { anchors: vec![anchor], ..Self::default() }
    }

    /// Whether anything was said of `key`: that it is believed, for whatever, or revoked.
    pub(super) fn names(&self, key: &KeyData) -> bool {
        self.anchors.iter().any(|anchor| anchor.key == *key) || self.revoked(key).is_some()
    }

    /// Since when and why `key` is not to be believed, if it is revoked: of several lines the one that
    /// takes back the most.
    pub(super) fn revoked(&self, key: &KeyData) -> Option<&Revoked> {
        self.revoked.iter().filter(|revoked| revoked.key == *key).min_by_key(|it| it.since)
    }

    /// What is said of `key` for something sealed at `at`; without a time, validity is not judged
    /// and a limited key is not trusted.
    pub(super) fn judge(&self, key: &KeyData, at: Option<Timestamp>) -> Verdict {
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

impl Anchor {
    fn parse(line: &str) -> Result<Self, String> {
        let (principal, rest) =
            line.split_once(' ').ok_or("expected a principal, a space and a key")?;
        let mut anchor = Self {
            principal: principal.trim_matches('"').to_owned(),
            key: KeyData::Ed25519(ssh_key::public::Ed25519PublicKey([0; 32])),
            namespaces: None,
            valid_after: None,
            valid_before: None,
        };
        let rest = rest.trim_start();
        let key = if is_key(rest) {
            rest
        } else {
            let (options, key) = split_options(rest).ok_or("expected options and a key")?;
            for option in split_list(options) {
                anchor.set(&option)?;
            }
            key
        };
        let key = PublicKey::from_openssh(key).map_err(|error| format!("the key: {error}"))?;
        anchor.key = key.key_data().clone();
        Ok(anchor)
    }

    fn set(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = value.trim_matches('"');
        match name.to_ascii_lowercase().as_str() {
            "namespaces" => self.namespaces = Some(value.split(',').map(str::to_owned).collect()),
            "valid-after" => self.valid_after = Some(parse_time(value)?),
            "valid-before" => self.valid_before = Some(parse_time(value)?),
            _ => return Err(format!("the option {name:?} is not supported")),
        }
        Ok(())
    }

    fn allows_evidence(&self) -> bool {
        let Some(patterns) = &self.namespaces else { return true };
        let (refused, allowed): (Vec<&String>, Vec<&String>) =
            patterns.iter().partition(|pattern| pattern.starts_with('!'));
        allowed.iter().any(|pattern| matches(pattern.as_bytes(), NAMESPACE.as_bytes()))
            && !refused
                .iter()
                .any(|pattern| matches(&pattern.as_bytes()[1..], NAMESPACE.as_bytes()))
    }

    /// The limit that keeps the key from being valid at `at`.
    fn excludes(&self, at: Option<Timestamp>) -> Option<String> {
        let early = self.valid_after.filter(|limit| at.is_none_or(|at| at < *limit));
        let late = self.valid_before.filter(|limit| at.is_none_or(|at| at >= *limit));
        early
            .map(|limit| format!("valid after {limit}"))
            .or_else(|| late.map(|limit| format!("valid before {limit}")))
    }
}

/// Whether `text` matches `pattern`, where `*` stands for anything and `?` for one letter
/// (ssh_config(5), PATTERNS). Takes time in proportion to the product of the lengths.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // For each length of the beginning of `text`: whether the pattern so far matches it.
    let mut reached: Vec<bool> = (0..=text.len()).map(|length| length == 0).collect();
    for letter in pattern {
        let before = reached.clone();
        for length in 0..=text.len() {
            let longer = length.checked_sub(1);
            reached[length] = match letter {
                b'*' => before[length] || longer.is_some_and(|length| reached[length]),
                b'?' => longer.is_some_and(|length| before[length]),
                _ => longer.is_some_and(|at| before[at] && text[at] == *letter),
            };
        }
    }
    reached[text.len()]
}

fn is_key(text: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"].iter().any(|kind| text.starts_with(kind))
}

/// Options and what follows them: the first space outside quotes divides the two.
fn split_options(text: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let end = text.find(|letter| {
        quoted ^= letter == '"';
        letter == ' ' && !quoted
    })?;
    Some((&text[..end], text[end..].trim_start()))
}

/// The options of a list: commas outside quotes divide them.
fn split_list(options: &str) -> Vec<String> {
    let mut quoted = false;
    let divides = |letter| {
        quoted ^= letter == '"';
        letter == ',' && !quoted
    };
    options.split(divides).map(str::to_owned).collect()
}

/// `YYYYMMDD[HHMM[SS]][Z]`.
fn parse_time(text: &str) -> Result<Timestamp, String> {
    let digits = text.strip_suffix('Z').unwrap_or(text);
    if !matches!(digits.len(), 8 | 12 | 14) {
        return Err(format!("{text:?} is not a time; write YYYYMMDD[HHMM[SS]][Z]"));
    }
    let padded = format!("{digits:0<14}");
    DateTime::strptime("%Y%m%d%H%M%S", padded)
        .and_then(|time| time.to_zoned(TimeZone::UTC))
        .map(|time| time.timestamp())
        .map_err(|error| format!("{text:?} is not a time: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer::from_seed(&[7; 32]).expect("a key")
    }

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
        assert!(matches!(judge(open, "2027-12-31T23:59:59Z"), Verdict::NotValidThen(..)));
    }

    #[test]
    fn a_stranger_is_unknown_and_nobody_is_trusted_by_default() {
        let stranger = Signer::from_seed(&[8; 32]).expect("a key");
        let trust = Trust::of_signer(&signer());
        assert_eq!(trust.judge(stranger.public().key_data(), None), Verdict::Unknown);
        assert_eq!(Trust::none().judge(signer().public().key_data(), None), Verdict::Unknown);
    }

    #[test]
    fn a_line_that_is_not_understood_is_an_error_with_its_number() {
        let line = signer().allowed_signers_line("exhibit@host");
        for bad in [
            "exhibit@host".to_owned(),
            "exhibit@host ssh-ed25519 AAAA".to_owned(),
            line.replace("namespaces=\"evidence@exhibit\"", "cert-authority"),
            line.replace("namespaces=\"evidence@exhibit\"", "valid-after=\"soon\""),
            line.replace("namespaces=\"evidence@exhibit\"", "namespaces=\"open"),
        ] {
            let error = Trust::from_allowed_signers(&format!("{line}\n{bad}")).expect_err(&bad);
            assert_eq!(error.line, 2, "{bad}");
        }
    }
}
