//! Owns what can be configured of the hosted backend: a screenshot service that takes pictures in
//! place of the local browser, for those who ask for it. Reads its key; sends nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::{Host, Url};

use super::MIB;
use crate::disk;
use crate::run::Caller;
use crate::secret::Secret;

/// Largest file of a key: a bigger one is some other file.
const MAX_KEY: u64 = 4096;

/// `[backend.hosted]`
#[derive(Clone, Debug, PartialEq)]
pub struct Hosted {
    /// Where the service is; it is off when not given.
    pub base_url: Option<Url>,
    /// Its key.
    pub key: Option<Secret<String>>,
    /// File with its key, in place of `key`.
    pub key_file: Option<PathBuf>,
    /// How long one answer of its may take.
    pub timeout: Duration,
    /// How often a request that it could not take is sent again.
    pub retries: u32,
    /// Largest answer in bytes.
    pub max_response: u64,
    /// Who takes the picture when it is down.
    pub fallback: Fallback,
    /// Workflows whose runs use it.
    pub workflows: Vec<String>,
    /// Callers who use it: `key:NAME`, `uid:1000`.
    pub callers: Vec<String>,
}

/// Who takes a picture when the hosted service is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Nobody: the capture fails.
    None,
    /// The local browser.
    Chromium,
}

impl Fallback {
    /// Its word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Chromium => "chromium",
        }
    }
}

impl Default for Hosted {
    fn default() -> Self {
        Self {
            base_url: None,
            key: None,
            key_file: None,
            timeout: Duration::from_secs(60),
            retries: 2,
            max_response: 64 * MIB,
            fallback: Fallback::None,
            workflows: Vec::new(),
            callers: Vec::new(),
        }
    }
}

impl Hosted {
    /// Whether `caller` is one of those who use it without asking.
    pub fn is_for(&self, caller: &Caller) -> bool {
        let name = match caller {
            Caller::Key { name, .. } => format!("key:{name}"),
            Caller::Socket { uid, .. } => format!("uid:{uid}"),
            Caller::Daemon => return false,
        };
        self.callers.contains(&name)
    }

    /// The key: it is read anew each time, so that it can be exchanged.
    ///
    /// # Errors
    /// What is wrong with it, and the remedy.
    pub fn read_key(&self) -> Result<Secret<String>, String> {
        match (&self.key, &self.key_file) {
            (Some(key), _) => Ok(key.clone()),
            (None, Some(path)) => key_in(path),
            (None, None) => Err("no key; write `key_file` or `key`".to_owned()),
        }
    }

    /// Everything wrong with it, by key.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut findings = Vec::new();
        let mut find = |key, message: &str| findings.push((key, message.to_owned()));
        if let Some(why) = self.base_url.as_ref().and_then(unsuitable) {
            find("backend.hosted.base_url", why);
        }
        match (&self.base_url, &self.key, &self.key_file) {
            (_, Some(_), Some(_)) => {
                find("backend.hosted.key", "given beside `key_file`; write one of the two");
            }
            (Some(_), None, None) => find(
                "backend.hosted.base_url",
                "without a key; write `key_file = \"/etc/exhibit/hosted-key\"`, or `key`",
            ),
            (_, Some(key), None) if !is_key(key.expose()) => {
                find("backend.hosted.key", "no key; write it without blanks, on one line");
            }
            (_, None, Some(path)) => {
                if let Err(why) = key_in(path) {
                    find("backend.hosted.key_file", &why);
                }
            }
            _ => {}
        }
        if self.timeout.is_zero() {
            let why = "must be longer than nothing; write \"1s\" or more";
            find("backend.hosted.timeout", why);
        }
        if self.max_response == 0 {
            let why = "would refuse everything; write a size, such as \"64 MiB\"";
            find("backend.hosted.max_response", why);
        }
        for caller in self.callers.iter().filter(|caller| !is_caller(caller)) {
            let message = format!(
                "`{caller}` is no caller; write \"key:\" and the name of an API key, or \"uid:\" and \
                 a user's number"
            );
            find("backend.hosted.callers", &message);
        }
        findings
    }
}

/// Why an address cannot be the service's.
fn unsuitable(url: &Url) -> Option<&'static str> {
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Some("holds a user name or password; write the key as `key_file` instead");
    }
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        _ => return Some("the key would travel in the clear; write an https address"),
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Some("holds a query or a fragment; write it without");
    }
    let versioned = url.path().trim_end_matches('/').ends_with("/v1");
    versioned.then_some("ends in the API's version; write it without `/api/v1`")
}

fn key_in(path: &Path) -> Result<Secret<String>, String> {
    let shown = path.display();
    let refused = |error: std::io::Error| format!("{shown}: {error}; correct the path, or make it");
    let facts = fs::metadata(path).map_err(refused)?;
    if !facts.is_file() {
        return Err(format!("{shown} is no file; name the file that holds the key"));
    }
    let mode = facts.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!("{shown} can be used by others (mode {mode:o}); chmod 600 {shown}"));
    }
    let text = disk::read_limited(path, MAX_KEY).map_err(refused)?;
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    if is_key(&text) {
        return Ok(Secret::new(text));
    }
    Err(format!("{shown} holds no key; write the key alone, on one line"))
}

/// Whether `text` can be sent as a header.
fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_caller(text: &str) -> bool {
    match text.split_once(':') {
        Some(("key", name)) => !name.is_empty(),
        Some(("uid", number)) => number.parse::<u32>().is_ok(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosted(base_url: &str) -> Hosted {
        Hosted {
            base_url: Some(base_url.parse().expect("an address")),
            key: Some(Secret::new("pf_test_key".to_owned())),
            ..Hosted::default()
        }
    }

    #[test]
    fn only_addresses_that_keep_the_key_safe_are_taken() {
        for good in ["https://pagebolt.dev", "https://a.example/sub/", "http://127.0.0.1:8420"] {
            assert_eq!(hosted(good).problems(), [], "{good}");
        }
        for bad in [
            "http://pagebolt.dev",
            "http://localhost.example",
            "ftp://127.0.0.1",
            "https://user:word@a.example",
            "https://a.example?x=1",
            "https://a.example/api/v1/",
        ] {
            let problems = hosted(bad).problems();
            assert_eq!(problems.len(), 1, "{bad}");
            assert_eq!(problems[0].0, "backend.hosted.base_url");
            assert!(!problems[0].1.contains("word@"), "{problems:?}");
        }
    }

    #[test]
    fn a_key_file_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        let mut settings = Hosted { key: None, ..hosted("https://a.example") };
        assert_eq!(settings.problems()[0].0, "backend.hosted.base_url", "no key at all");
        settings.key_file = Some(path.clone());
        assert!(settings.read_key().expect_err("not there").contains("make it"));
        disk::write_once(&path, b"pf_live_1\n").expect("written");
        assert_eq!(settings.read_key().expect("a key").expose(), "pf_live_1");
        assert_eq!(settings.problems(), []);
        for mode in [0o640, 0o604, 0o620] {
            disk::set_mode(&path, mode).expect("changed");
            let (key, why) = settings.problems().remove(0);
            assert_eq!(key, "backend.hosted.key_file");
            assert!(why.contains(&format!("chmod 600 {}", path.display())), "{why}");
        }
        settings.key = Some(Secret::new("both".to_owned()));
        assert_eq!(settings.problems()[0].0, "backend.hosted.key");
    }

    #[test]
    fn callers_are_told_by_key_or_user() {
        let callers = ["key:ci", "uid:1000"].map(str::to_owned).to_vec();
        let settings = Hosted { callers, ..hosted("https://a.example") };
        assert_eq!(settings.problems(), []);
        let key = |name: &str| Caller::Key { id: "1".to_owned(), name: name.to_owned() };
        let user = |uid| Caller::Socket { uid, gid: 0, pid: None };
        assert!(settings.is_for(&key("ci")) && settings.is_for(&user(1000)));
        assert!(!settings.is_for(&key("uid:1000")) && !settings.is_for(&user(0)));
        let wrong = ["ci", "uid:x", "key:"].map(str::to_owned).to_vec();
        assert_eq!(Hosted { callers: wrong, ..settings }.problems().len(), 3);
    }
}
