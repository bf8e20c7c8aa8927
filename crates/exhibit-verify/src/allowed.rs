//! Owns the reading of `allowed_signers` (ssh-keygen(1), ALLOWED SIGNERS), as ssh-keygen reads it: the
//! same lines count, for the same purposes and times, so that stock tools and we agree whom an auditor
//! believes. What it passes over is passed over here, and told.

use jiff::Timestamp;
use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span};
use ssh_key::PublicKey;
use ssh_key::public::KeyData;

use super::layout::NAMESPACE;

/// Longest pattern that counts, as in OpenSSH's `match.c`.
const MAX_PATTERN: usize = 1022;
/// What divides words.
const BLANK: [char; 2] = [' ', '\t'];
/// What ssh-keygen ends a first word at.
const ENDS: [char; 5] = [' ', '\t', '\r', '\n', '"'];

/// One line of `allowed_signers` that vouches for a key.
#[derive(Clone, Debug)]
pub(crate) struct Anchor {
    /// Whose key it is: a list of names.
    pub(super) principal: String,
    pub(super) key: KeyData,
    /// Purposes, when the line limits them: a list of patterns.
    namespaces: Option<String>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
}

/// What a line says.
pub(crate) enum Read {
    /// Nothing: it is empty, or a comment.
    Nothing,
    /// That somebody vouches for a key.
    Anchor(Box<Anchor>),
    /// Something that ssh-keygen passes over; why.
    Unfit(String),
}

impl Anchor {
    /// A line that vouches for `key`, for everything and for ever.
    pub(crate) fn of(key: KeyData, principal: String) -> Self {
        Self { principal, key, namespaces: None, valid_after: None, valid_before: None }
    }

    /// Read a line.
    pub(crate) fn read(line: &str) -> Read {
        // To C a text ends there.
        let line = line.split('\0').next().unwrap_or_default().trim_start_matches(BLANK);
        if line.is_empty() || line == "\r" || line.starts_with('#') {
            return Read::Nothing;
        }
        Self::parse(line).map_or_else(Read::Unfit, |anchor| Read::Anchor(Box::new(anchor)))
    }

    fn parse(line: &str) -> Result<Self, String> {
        let (principal, rest) =
            first_word(line).ok_or("expected a principal, a blank and a key")?;
        let names = principal.split(',').filter(|name| !name.is_empty() && !name.starts_with('!'));
        if !names.clone().any(|name| is_listed(name, &principal)) {
            return Err(format!("{principal:?} names nobody"));
        }
        let (options, key) = match parse_key(rest) {
            Ok(key) => ("", key),
            Err(_) => {
                let (options, rest) = split_options(rest)?;
                (options, parse_key(rest)?)
            }
        };
        let mut anchor = Self::of(key, principal);
        if anchor.set_all(options)? {
            return Err("certificate authorities are not supported".to_owned());
        }
        Ok(anchor)
    }

    /// Take over the `options`; whether they make the key an authority's.
    fn set_all(&mut self, mut options: &str) -> Result<bool, String> {
        let mut authority = false;
        while !options.is_empty() {
            let (name, value);
            if let Some(rest) = strip_name(options, "cert-authority") {
                (authority, options) = (true, rest);
            } else if !options.starts_with(',') {
                // Between two commas there may be nothing.
                (name, value, options) = named_value(options)?;
                self.set(name, value)?;
            }
            match options.strip_prefix(',') {
                None if options.is_empty() => break,
                None => return Err("an option that is not known".to_owned()),
                Some("") => return Err("nothing follows the last comma".to_owned()),
                Some(rest) => options = rest,
            }
        }
        match (self.valid_after, self.valid_before) {
            (Some(after), Some(before)) if before <= after => {
                Err("its validity ends before it begins".to_owned())
            }
            _ => Ok(authority),
        }
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        let twice = match name {
            "namespaces" => self.namespaces.replace(value).is_some(),
            "valid-after" => self.valid_after.replace(parse_time(&value)?).is_some(),
            _ => self.valid_before.replace(parse_time(&value)?).is_some(),
        };
        if twice { Err(format!("the option {name:?} stands twice")) } else { Ok(()) }
    }

    /// Whether its purposes include evidence.
    pub(crate) fn allows_evidence(&self) -> bool {
        self.namespaces.as_ref().is_none_or(|patterns| is_listed(NAMESPACE, patterns))
    }

    /// The limit that keeps the key from being valid at `at`: seconds count, and the last one still
    /// belongs to it.
    pub(crate) fn excludes(&self, at: Option<Timestamp>) -> Option<String> {
        let at = at.map(|at| at.as_second() - i64::from(at.subsec_nanosecond() < 0));
        let early = |limit: &Timestamp| at.is_none_or(|at| at < limit.as_second());
        let late = |limit: &Timestamp| at.is_none_or(|at| at > limit.as_second());
        let early = self.valid_after.filter(early).map(|limit| format!("valid after {limit}"));
        early.or(self.valid_before.filter(late).map(|limit| format!("valid before {limit}")))
    }
}

/// The first word of `line`, without the quotes around a part of it, and what follows.
fn first_word(line: &str) -> Option<(String, &str)> {
    let end = line.find(ENDS)?;
    let (word, rest) = line.split_at(end);
    let blanks =
        |rest: &'_ str| rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    let Some(quoted) = rest.strip_prefix('"') else {
        return Some((word.to_owned(), &rest[blanks(rest)..]));
    };
    let (inside, rest) = quoted.split_once('"')?;
    Some((format!("{word}{inside}"), &rest[blanks(rest)..]))
}

/// The public key at the beginning of `text`, before a comment.
fn parse_key(text: &str) -> Result<KeyData, String> {
    let (kind, rest) = text.split_once(BLANK).ok_or("the key is missing")?;
    let encoded = rest.trim_start_matches(BLANK).split(BLANK).next().unwrap_or_default();
    // Blanks of other kinds inside Base64 are passed over.
    let encoded: String = encoded.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    let key = PublicKey::from_openssh(&format!("{kind} {encoded}"));
    key.map(|key| key.key_data().clone()).map_err(|error| format!("the key: {error}"))
}

/// Options and what follows them: the first blank outside quotes divides the two.
fn split_options(text: &str) -> Result<(&str, &str), String> {
    let (mut quoted, mut escaped) = (false, false);
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match letter {
            '\\' => escaped = letters.peek().is_some_and(|(_, next)| *next == '"'),
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => {
                return Ok((&text[..at], text[at..].trim_start_matches(BLANK)));
            }
            _ => {}
        }
    }
    Err(if quoted { "a quote is not closed" } else { "the key is missing" }.to_owned())
}

/// What follows `name` at the beginning of `text`, in whatever case.
fn strip_name<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let begins = text.get(..name.len())?.eq_ignore_ascii_case(name);
    begins.then(|| &text[name.len()..])
}

/// The option at the beginning of `text`, its value without quotes, and what follows.
fn named_value(text: &str) -> Result<(&'static str, String, &str), String> {
    for name in ["namespaces", "valid-after", "valid-before"] {
        let Some(rest) = strip_name(text, name).and_then(|rest| rest.strip_prefix('=')) else {
            continue;
        };
        let rest = rest.strip_prefix('"').ok_or(format!("{name} has no quote before its value"))?;
        let (mut value, mut letters) = (String::new(), rest.char_indices().peekable());
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => return Ok((name, value, &rest[at + 1..])),
                '\\' if letters.peek().is_some_and(|(_, next)| *next == '"') => {
                    letters.next();
                    value.push('"');
                }
                letter => value.push(letter),
            }
        }
        return Err(format!("{name} has no quote behind its value"));
    }
    Err("an option that is not known".to_owned())
}

/// Whether `text` is in the list of `patterns`, and no exception (OpenSSH's `match_pattern_list`).
fn is_listed(text: &str, patterns: &str) -> bool {
    let mut listed = false;
    for pattern in patterns.split(',') {
        let (exception, pattern) =
            pattern.strip_prefix('!').map_or((false, pattern), |pattern| (true, pattern));
        if pattern.len() > MAX_PATTERN {
            return false;
        }
        if matches(pattern.as_bytes(), text.as_bytes()) {
            if exception {
                return false;
            }
            listed = true;
        }
    }
    listed
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

/// `YYYYMMDD[HHMM[SS]]`, with `Z` or `UTC` behind it or nothing, as `strptime` reads its parts: blanks
/// stand for leading noughts, and a day that the month does not have is one of the next.
fn parse_time(text: &str) -> Result<Timestamp, String> {
    let none = || format!("{text:?} is not a time; write YYYYMMDD[HHMM[SS]][Z]");
    let end = |suffix: &str| {
        let at = text.len().checked_sub(suffix.len()).filter(|at| *at > 0)?;
        text.get(at..)?.eq_ignore_ascii_case(suffix).then(|| &text[..at])
    };
    let digits = end("Z").or_else(|| end("UTC")).unwrap_or(text);
    if !digits.is_ascii() || !matches!(digits.len(), 8 | 12 | 14) {
        return Err(none());
    }
    let part = |from: usize, to: usize, range: std::ops::RangeInclusive<i16>| {
        let Some(part) = digits.get(from..to) else { return Ok(0) };
        let part = part.trim_start_matches(' ');
        let whole = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let number = whole.then(|| part.parse().ok()).flatten();
        number.filter(|number| range.contains(number)).ok_or_else(none)
    };
    let (year, month, day) = (part(0, 4, 0..=9999)?, part(4, 6, 1..=12)?, part(6, 8, 1..=31)?);
    let (hour, minute, second) =
        (part(8, 10, 0..=23)?, part(10, 12, 0..=59)?, part(12, 14, 0..=61)?);
    let month = i8::try_from(month).map_err(|_| none())?;
    let midnight = DateTime::from(date(year, month, 1))
        .checked_add(Span::new().days(i64::from(day) - 1))
        .and_then(|day| day.to_zoned(TimeZone::UTC))
        .map_err(|_| none())?;
    let seconds = (i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second);
    let time = midnight.timestamp() + SignedDuration::from_secs(seconds);
    if time.as_second() > 0 { Ok(time) } else { Err(none()) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::test_key::{TestKey, signer, stranger};
    use crate::trust::{Trust, Verdict};

    /// When signatures are judged.
    const AT: &str = "2026-11-24T08:15:46Z";

    fn key() -> String {
        let line = signer().allowed_signers_line("x");
        line[line.find("ssh-").expect("a key")..].to_owned()
    }

    /// Names that a careful reader of lines would try.
    fn principals(folder: &Path) -> Vec<String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/verify_log.py");
        let (mut python, file) = (Command::new("python3"), folder.join("principals"));
        python.args(["-I", "-B", script, "trust"]).arg(folder).arg(&file);
        let done = python.output().expect("python3 is there");
        assert!(done.status.success(), "{done:?}");
        let names = std::fs::read(&file).expect("written");
        String::from_utf8_lossy(&names).lines().map(str::to_owned).collect()
    }

    /// Whether the real ssh-keygen takes a signature by the word of `lines`.
    #[expect(clippy::disallowed_methods, reason = "tests prepare files of their own")]
    fn theirs(folder: &Path, lines: &str) -> bool {
        std::fs::write(folder.join("allowed_signers"), lines).expect("written");
        let time = format!("-Overify-time={}Z", AT.replace(['-', ':', 'T', 'Z'], ""));
        principals(folder).iter().any(|principal| {
            let mut command = Command::new("ssh-keygen");
            command
                .env("TZ", "UTC")
                .args(["-Y", "verify", "-n", NAMESPACE, "-I", principal, &time]);
            command.arg("-f").arg(folder.join("allowed_signers"));
            command.arg("-s").arg(folder.join("sig"));
            let bytes = std::fs::File::open(folder.join("bytes")).expect("there");
            command.stdin(bytes).output().expect("ssh-keygen is there").status.success()
        })
    }

    fn ours(lines: &str) -> bool {
        let at = Some(AT.parse().expect("a time"));
        let Ok(trust) = Trust::from_allowed_signers(lines) else { return false };
        matches!(trust.judge(signer().public().key_data(), at), Verdict::Trusted(_))
    }

    #[expect(clippy::disallowed_methods, reason = "tests prepare files of their own")]
    fn signed(signer: &TestKey) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let signature = signer.sign(b"evidence");
        std::fs::write(folder.path().join("sig"), signature).expect("written");
        std::fs::write(folder.path().join("bytes"), b"evidence").expect("written");
        folder
    }

    /// Options, and whether a line with them is good for the signature.
    const OPTIONS: &[(&str, bool)] = &[
        ("", true),
        ("namespaces=\"evidence@exhibit\" ", true),
        ("namespaces=\"evidence@exhibit\"\t", true),
        ("NameSpaces=\"git,evidence@exhibit\" \t ", true),
        ("namespaces=\"evidence@*\",namespaces=\"evidence@*\" ", false),
        ("namespaces=\"\" ", false),
        ("namespaces=\"!evidence@exhibit,*\" ", false),
        ("namespaces=\"*,!git\" ", true),
        ("namespaces=evidence@exhibit ", false),
        ("namespaces=\"evidence@exhibit ", false),
        ("namespaces=\"a\\\"b,evidence@exhibit\" ", true),
        ("namespaces=\"evidence@exhibit\", ", false),
        (",namespaces=\"evidence@exhibit\" ", true),
        ("namespaces=\"evidence@exhibit\",,valid-after=\"20260101\" ", true),
        (",x ", false),
        ("namespaces=\"evidence@exhibit\";valid-after=\"20260101\" ", false),
        ("namespaces = \"evidence@exhibit\" ", false),
        ("valid-after=\"20260101\" ", true),
        ("valid-after=\"20261124081546Z\" ", true),
        ("valid-after=\"20261124081547Z\" ", false),
        ("valid-before=\"20261124081546Z\" ", true),
        ("valid-before=\"20261124081545Z\" ", false),
        ("valid-before=\"202611240816\" ", true),
        ("valid-before=\"20261124081546utc\" ", true),
        ("valid-before=\"20261124081546z\" ", true),
        ("valid-before=\"20261131\" ", true),
        ("valid-before=\"20260231\" ", false),
        ("valid-before=\"20261301\" ", false),
        ("valid-before=\"2027 1 1\" ", true),
        ("valid-before=\"20270101246060\" ", false),
        ("valid-before=\"20270101235961\" ", true),
        ("valid-before=\"soon\" ", false),
        ("valid-before=\"19690101Z\" ", false),
        ("valid-after=\"20260101\",valid-after=\"20260101\" ", false),
        ("valid-after=\"20260101\",valid-before=\"20260101\" ", false),
        ("valid-after=\"20260101\",valid-before=\"20271231\" ", true),
        ("cert-authority ", false),
        ("verify-required ", false),
        ("x ", false),
    ];

    #[test]
    fn ssh_keygen_and_we_believe_the_same_lines() {
        let folder = signed(&signer());
        let (key, other) = (key(), stranger().allowed_signers_line("x"));
        let mut wrong = Vec::new();
        let mut check = |lines: &str, good: bool| {
            let (they, we) = (theirs(folder.path(), lines), ours(lines));
            if (they, we) != (good, good) {
                wrong.push(format!("ssh-keygen {they}, we {we}: {lines:?}"));
            }
        };
        for (options, good) in OPTIONS {
            check(&format!("exhibit {options}{key}\n"), *good);
        }
        for (line, good) in [
            (format!("\t exhibit\t \t{key}"), true),
            (format!("exhibit {key} a comment"), true),
            (format!("exhibit {}", key.replacen(' ', "\t\t", 1)), true),
            (format!("exhibit {key}\r"), true),
            (format!("exhibit,other {key}"), true),
            (format!("!nobody,exhibit {key}"), true),
            (format!("*@example.com {key}"), true),
            (format!("!exhibit {key}"), false),
            (format!("exhibit,!exhibit {key}"), false),
            (format!("!*,exhibit {key}"), false),
            (format!("\"the exhibit\" {key}"), true),
            (format!("the\" exhibit\"{key}"), true),
            (format!("\"exhibit {key}"), false),
            (format!(", {key}"), false),
            (format!("#exhibit {key}"), false),
            (format!(" # exhibit {key}"), false),
            (format!("exhibit {}", key.replacen("ssh-ed25519", "ssh-rsa", 1)), false),
            (format!("exhibit {}", &key[..key.len() - 2]), false),
            (format!("exhibit\u{b}{key}"), false),
            (key.clone(), false),
            ("exhibit".to_owned(), false),
            (String::new(), false),
        ] {
            check(&format!("{line}\n"), good);
            // What cannot be read keeps no other line from counting.
            check(&format!("{line}\n{other}\nexhibit {key}\n"), true);
            check(&format!("{other}\n\n{line}"), good);
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn what_is_passed_over_is_told_with_its_line() {
        let (good, bad) = (format!("exhibit {}", key()), "exhibit x");
        let trust = Trust::from_allowed_signers(&format!("# keys\n\n{bad}\n{good}\n"));
        let trust = trust.expect("a line of it counts");
        let told: Vec<String> = trust.passed_over().iter().map(ToString::to_string).collect();
        assert_eq!(told, ["line 3: the key is missing"]);
        assert_eq!(Trust::from_allowed_signers(bad).expect_err("nobody").line, 1);
        assert!(
            Trust::from_allowed_signers("# nobody\n").expect("a list").passed_over().is_empty()
        );
    }
}
