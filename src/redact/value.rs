//! Owns the judgement over what stands behind a secret's name: a secret, or a word about one
//! (`required`), a place where it is kept (`$PASSWORD`), or stars in its place.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::PLACEHOLDER;
use super::name::{self, SecretKind};

/// How surely a value belongs to the name before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bond {
    /// By a sign that only programs write: `name=value`, quotation marks, a field.
    Strong,
    /// It is all that stands on its line beside the name.
    Alone,
    /// By a sign of prose, with more words behind.
    Weak,
}

/// Words that stand where a secret would and tell about it.
static ABOUT: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "required optional expired invalid missing changed reset unchanged ok valid incorrect wrong \
     empty hidden accepted rejected refreshed revoked string str text none null nil yes no true \
     false unknown set unset undefined stored generated rotated updated removed deleted masked \
     redacted encrypted hashed number integer int bool boolean object array any bytes float char \
     varchar secretstring option self this default include omit same-origin secure strict lax ok! \
     done failed failure success succeeded passed present absent provided given granted denied \
     approved allowed forbidden disabled enabled active inactive pending locked unlocked weak \
     strong short mismatch match matched ready new old current n/a na tbd todo write-only \
     readonly required* not get post put delete patch read write admin user refresh bearer basic \
     jwt oauth oauth2 sha256 sha512 sha1 md5 hs256 rs256 es256 bcrypt argon2 argon2id base64 \
     utf-8 utf8 confirmation confirm forgot change partial full all some many create rotate \
     revoke login logout shared private public blank good"
        .split(' ')
        .collect()
});
/// Words of sentences: where one is among others, it is a sentence and no secret.
static PROSE: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "an the is are was were be been to of for in on at by with from and or not no has have had \
     must should can can't cannot will may please your you it its this that these if when as too \
     than least does do did doesn't don't didn't isn't wasn't see use using used via only after \
     before until unless because but into out up back again instead requires needs expects takes \
     sets flag option argument parameter value field page form input rotation manager policy \
     store vault they we he she who which their so and/or characters next last first two three \
     one"
    .split(' ')
    .collect()
});

/// Words before the credentials in a header.
const SCHEMES: &[&str] = &[
    "basic",
    "bearer",
    "digest",
    "token",
    "negotiate",
    "ntlm",
    "apikey",
    "hmac",
    "aws4-hmac-sha256",
];

/// What stands behind the scheme of a header: `Bearer …`.
pub(super) fn behind_scheme(value: &str) -> &str {
    let scheme = value.split_once(' ').filter(|(first, _)| {
        first.len() < 20 && SCHEMES.contains(&first.to_ascii_lowercase().as_str())
    });
    scheme.map_or(value, |(_, rest)| rest.trim_start())
}

/// Whether `value`, bound to a name of this kind, is a secret.
pub(super) fn is_secret(kind: SecretKind, value: &str, bond: Bond) -> bool {
    let value = value.trim();
    let value = if kind == SecretKind::Header { behind_scheme(value) } else { value };
    if value.is_empty() || is_reference(value) {
        return false;
    }
    match (kind, bond) {
        (SecretKind::Digits, _) => {
            let digits = value.bytes().filter(u8::is_ascii_digit).count();
            let plain = value.bytes().all(|b| b.is_ascii_digit() || matches!(b, b' ' | b'-'));
            plain && (3..=10).contains(&digits) || bond == Bond::Strong && looks_secret(value)
        }
        (SecretKind::Pass, Bond::Strong) if value.len() >= 5 => {
            !is_about(value) && value.bytes().any(|byte| byte.is_ascii_alphabetic())
        }
        // `mnemonic: MOV` is a processor's.
        (SecretKind::Phrase, _)
            if value.len() < 6 && value.bytes().all(|b| b.is_ascii_uppercase()) =>
        {
            false
        }
        (SecretKind::Likely | SecretKind::Pass, _) => looks_secret(value),
        (_, Bond::Weak) => {
            let digits = value.trim_end_matches(['.', ',', ';']);
            looks_secret(value) || digits.len() >= 6 && digits.bytes().all(|b| b.is_ascii_digit())
        }
        (_, Bond::Strong) => !is_about(value),
        (_, Bond::Alone) => {
            let lower = value.to_ascii_lowercase();
            let inflected = ["ed", "ing", "able", "ible", "ly"];
            let word = lower.bytes().all(|byte| byte.is_ascii_lowercase());
            let digits = value.bytes().all(|byte| byte.is_ascii_digit());
            let short = value.len() < if digits { 6 } else { 3 };
            !(is_about(value) || word && inflected.iter().any(|end| lower.ends_with(end)) || short)
        }
    }
}

/// Whether `value` tells about a secret in words.
fn is_about(value: &str) -> bool {
    let lower = value.to_lowercase();
    let trimmed = lower.trim_end_matches(['.', ',', ';', ':', '!', '?', ')']);
    let mut words = trimmed.split_whitespace();
    if ABOUT.contains(trimmed) || PROSE.contains(trimmed) {
        return true;
    }
    // A passphrase has several words, and none that makes a sentence.
    words.clone().nth(1).is_some()
        && words.any(|word| {
            let word = word.trim_matches(|c: char| !c.is_alphanumeric());
            PROSE.contains(word) || ABOUT.contains(word)
        })
}

/// Whether `value` is no value: stars, a variable, a place in a text to be filled, a piece of code,
/// the path of a file.
pub(super) fn is_reference(value: &str) -> bool {
    let first = value.chars().next().unwrap_or(' ');
    let masked = value.chars().all(|c| "*•●·.…-_#".contains(c))
        || value.len() > 3 && value.chars().all(|c| matches!(c, 'x' | 'X'));
    let framed = |open: &str, close: char| value.starts_with(open) && value.ends_with(close);
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let variable = value.strip_prefix('$').is_some_and(word)
        || value.strip_prefix('%').and_then(|rest| rest.strip_suffix('%')).is_some_and(word);
    masked
        || variable
        || value.starts_with("${")
        || value.starts_with("$(")
        || is_taken(value)
        || framed("{", '}')
        || framed("<", '>')
        || framed("[", ']') && value.len() < 3
        || matches!(value, "%s" | "%d" | "%v" | "%r" | "%q" | "?" | "{}" | "()" | "[]")
        || is_code(value)
        || is_chord(value)
        || matches!(first, '/' | '~' | '.') && is_path(value)
        || name::kind(value).is_some()
            && value.bytes().all(|b| b.is_ascii_alphabetic() || b"_-.".contains(&b))
}

/// Keys that are pressed together: `Alt+S`.
fn is_chord(value: &str) -> bool {
    let Some((first, key)) = value.split_once('+') else { return false };
    let held = ["alt", "ctrl", "control", "shift", "cmd", "command", "meta", "option", "win"];
    held.contains(&first.to_ascii_lowercase().as_str()) && key.len() < 20
}

/// Whether nothing but signs is left of `value` beside what was taken out of it.
fn is_taken(value: &str) -> bool {
    value.contains("[redacted:")
        && !PLACEHOLDER.replace_all(value, "").contains(char::is_alphanumeric)
}

/// A call, or what belongs to something: `os.getenv("X")`, `config.token`.
fn is_code(value: &str) -> bool {
    let identifier = |text: &str| {
        let mut bytes = text.bytes();
        bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let path = |text: &str| text.split(['.', ':']).filter(|part| !part.is_empty()).all(identifier);
    if let Some((called, _)) = value.split_once(['(', '[']) {
        let ends = value.ends_with([')', ']', '(', '[']) || value.contains(['"', '\'']);
        return !called.is_empty() && ends && path(called);
    }
    let parts: Vec<&str> = value.split('.').collect();
    // A token has its points, too, but no words between them.
    parts.len() > 1
        && parts.iter().all(|part| identifier(part) && !looks_secret(part) && part.len() < 24)
}

fn is_path(value: &str) -> bool {
    let part = |part: &str| {
        part.len() < 40
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
    };
    value.contains('/') && value.trim_start_matches('~').split('/').all(part)
}

/// Whether `value` by itself looks like a secret: one word with letters and digits, with signs that
/// words have not, or long and without sense.
pub(super) fn looks_secret(value: &str) -> bool {
    let value = value.trim_end_matches(['.', ',', ';', ':', '?', ')']);
    if value.len() < 6
        || value.contains(char::is_whitespace)
        || is_reference(value)
        || is_about(value)
    {
        return false;
    }
    let count = |which: fn(&u8) -> bool| value.bytes().filter(which).count();
    let (digits, letters) = (count(u8::is_ascii_digit), count(u8::is_ascii_alphabetic));
    let signs = value.bytes().filter(|byte| b"!@#$%^*+=~?&".contains(byte)).count();
    let upper = count(u8::is_ascii_uppercase);
    let date = value.len() >= 10
        && value.as_bytes()[4] == b'-'
        && value.as_bytes()[7] == b'-'
        && value.bytes().take(4).all(|byte| byte.is_ascii_digit());
    let address = value.contains("://")
        || value.matches('@').count() == 1 && signs == 1 && value.contains('.');
    let measure =
        value.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-').len() <= 3
            && value.as_bytes()[0].is_ascii_digit()
            && signs == 0
            && value.len() < 10;
    let version = value
        .strip_prefix('v')
        .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
    if date || address || measure || version {
        return false;
    }
    let mixed = upper >= 3 && letters - upper >= 3 && letters == value.len() && letters >= 16;
    let hyphens = value.bytes().filter(|byte| *byte == b'-').count();
    digits > 0 && letters > 0
        || signs > 0 && letters + digits > 3
        || mixed
        || hyphens >= 3 && letters >= 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_about_a_secret_are_none() {
        for value in [
            "required",
            "must be at least 8 characters",
            "is too short",
            "$DB_PASSWORD",
            "${X}",
            "{{ x }}",
            "<password>",
            "********",
            "•••",
            "process.env.TOKEN",
            "getToken()",
            "os.environ[\"X\"]",
            "/run/secrets/db",
            "user_password",
            "",
            "%s",
            "[redacted:credential]",
            "null",
            "String",
        ] {
            assert!(!is_secret(SecretKind::Secret, value, Bond::Strong), "{value}");
        }
        for value in [
            "hunter2",
            "swordfish",
            "correct horse battery staple",
            "zx",
            "p@ss,w0rd!",
            "/x9+A/b==",
        ] {
            assert!(is_secret(SecretKind::Secret, value, Bond::Strong), "{value}");
        }
        assert!(is_secret(SecretKind::Secret, "swordfish", Bond::Alone));
        assert!(!is_secret(SecretKind::Secret, "refused", Bond::Alone));
        assert!(!is_secret(SecretKind::Secret, "swordfish", Bond::Weak));
        assert!(
            is_secret(SecretKind::Digits, "4711", Bond::Weak)
                && !is_secret(SecretKind::Digits, "12", Bond::Weak)
        );
    }

    #[test]
    fn what_looks_like_a_secret() {
        for value in [
            "hunter2",
            "s3cr3t-value",
            "Tr0ub4dor&3",
            "abcDEFghiJKLmnoPQRs",
            "a-b-horse-staple-battery",
        ] {
            assert!(looks_secret(value), "{value}");
        }
        for value in [
            "yesterday",
            "2026-11-30",
            "100px",
            "v1.2.3",
            "a@b.example",
            "https://x.example/1",
            "12345678",
        ] {
            assert!(!looks_secret(value), "{value}");
        }
    }
}
