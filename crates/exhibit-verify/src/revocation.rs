//! Owns the list of revoked keys: who is on it, since when and why, and its file, `revoked_keys`, one
//! public key in OpenSSH's form a line, which `ssh-keygen -Y verify -r` reads as well; behind the key
//! stand `since=` and the reason.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, PublicKey};

/// How times stand in the list: UTC, as in `allowed_signers`.
const TIME: &str = "%Y%m%d%H%M%SZ";
/// What stands before the time.
const SINCE: &str = "since=";

/// A key that is not to be believed any more, by its holder's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Its fingerprint, `SHA256:…`.
    pub fingerprint: String,
    /// The public key in OpenSSH's form, without a comment.
    pub key: String,
    /// From when on others may have signed with it.
    pub since: Timestamp,
    /// When it was revoked.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// Whether the log tells of it.
    pub logged: bool,
}

impl Revocation {
    /// The line of the list.
    pub fn line(&self) -> String {
        format!("{} {SINCE}{} {}\n", self.key, self.since.strftime(TIME), self.reason)
    }
}

/// A line of the list, read.
#[derive(Clone, Debug)]
pub struct Revoked {
    /// The key.
    pub key: KeyData,
    /// From when on others may have signed with it; none for ever.
    pub since: Option<Timestamp>,
    /// Why, in the words of whoever revoked it.
    pub reason: String,
}

impl Revoked {
    /// All lines of `text`.
    ///
    /// # Errors
    /// The number of the first line that is none, and why. A list that is half understood would
    /// leave keys out.
    pub fn list(text: &str) -> Result<Vec<Self>, (usize, String)> {
        let lines = text.lines().map(str::trim).enumerate();
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        lines.map(|(index, line)| Self::parse(line).map_err(|what| (index + 1, what))).collect()
    }

    fn parse(line: &str) -> Result<Self, String> {
        let key = PublicKey::from_openssh(line).map_err(|error| format!("the key: {error}"))?;
        let said = key.comment();
        let (since, reason) = match said.strip_prefix(SINCE) {
            None => (None, said),
            Some(rest) => {
                let (time, reason) = rest.split_once(' ').unwrap_or((rest, ""));
                let read = DateTime::strptime(TIME, time)
                    .and_then(|time| time.to_zoned(TimeZone::UTC))
                    .map_err(|_| format!("{time:?} is not a time; write YYYYMMDDHHMMSSZ"))?;
                (Some(read.timestamp()), reason)
            }
        };
        Ok(Self { key: key.key_data().clone(), since, reason: reason.to_owned() })
    }

    /// Whether something that was there at `at`, by the word of somebody believed, was signed before.
    pub fn came_after(&self, at: Option<Timestamp>) -> bool {
        at.zip(self.since).is_some_and(|(at, since)| at < since)
    }

    /// Fingerprint of the key, `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }
}

impl std::fmt::Display for Revoked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, revoked", self.fingerprint())?;
        if let Some(since) = self.since {
            write!(f, " since {since}")?;
        }
        if !self.reason.is_empty() {
            write!(f, ": {}", self.reason)?;
        }
        Ok(())
    }
}
