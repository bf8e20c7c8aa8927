//! Owns what the name of a field, a variable or an option says of its value: whether it is a secret.
//! Names come in many spellings, so they are judged by their words, and by the last ones first:
//! `DB_PASSWORD`, `db.password` and `dbPassword` are one name, `password_hint` is another.

use super::PLACEHOLDER;

/// What a name says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SecretKind {
    /// It is a secret, whatever it looks like.
    Secret,
    /// It is the header of that name, whose value goes on to the end of the line.
    Header,
    /// It is one when it is a short number: a PIN, a code sent to a telephone.
    Digits,
    /// It is one of several words, which are not in quotation marks.
    Phrase,
    /// There are several, each a secret; a number is how many.
    Several,
    /// It is one when it could be one: a short word with other meanings.
    Pass,
    /// It is one when it looks like one.
    Likely,
}

/// Longest name that is looked at, from its end.
const LONGEST: usize = 120;

/// Last words of names of secrets.
const SECRETS: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "pw",
    "psw",
    "passcode",
    "passwort",
    "kennwort",
    "wachtwoord",
    "senha",
    "contraseña",
    "contrasena",
    "motdepasse",
    "пароль",
    "密码",
    "密碼",
    "パスワード",
    "secret",
    "token",
    "credential",
    "cred",
    "creds",
    "credentials",
    "jwt",
    "phpsessid",
    "jsessionid",
    "aspxauth",
    "sshpass",
    "passin",
    "passout",
];
/// Ends of words that are written together: `dbpassword`, `authtoken`.
const GLUED: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "apikey",
    "secretkey",
    "accesskey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "accountkey",
    "authkey",
    "authtoken",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "sessiontoken",
    "bearertoken",
    "securitytoken",
];
/// Last two words of names of secrets.
const PAIRS: &[(&str, &str)] = &[
    ("api", "key"),
    ("access", "key"),
    ("secret", "key"),
    ("private", "key"),
    ("signing", "key"),
    ("encryption", "key"),
    ("master", "key"),
    ("account", "key"),
    ("auth", "key"),
    ("hmac", "key"),
    ("aes", "key"),
    ("storage", "key"),
    ("subscription", "key"),
    ("shared", "key"),
    ("session", "key"),
    ("consumer", "key"),
    ("deploy", "key"),
    ("app", "key"),
    ("application", "key"),
    ("webhook", "key"),
    ("recovery", "key"),
    ("secret", "id"),
    ("pass", "word"),
    ("pass", "code"),
    ("key", "base"),
    ("connection", "string"),
    ("access", "signature"),
    ("amz", "signature"),
    ("goog", "signature"),
    ("client", "assertion"),
    ("connect", "sid"),
];
/// Names of short numbers, by their last word, and by their last two.
const DIGITS: &[&str] = &["pin", "cvv", "cvc", "cvv2", "csc", "otp", "totp", "tan"];
const CODES: &[&str] =
    &["security", "verification", "mfa", "2fa", "auth", "sms", "otp", "pin", "access"];
/// Names of secrets of several words.
const PHRASES: &[&str] = &["passphrase", "mnemonic"];
const PHRASE_PAIRS: &[(&str, &str)] =
    &[("seed", "phrase"), ("recovery", "phrase"), ("pass", "phrase")];
/// Names of what is a secret only sometimes.
const LIKELY: &[&str] = &["tokens", "cookies", "auth", "bearer"];
/// Names of several secrets.
const SEVERAL: &[&str] = &["passwords", "passphrases", "secrets", "apikeys", "pins", "otps"];
const SEVERAL_PAIRS: &[(&str, &str)] = &[
    ("api", "keys"),
    ("access", "keys"),
    ("secret", "keys"),
    ("private", "keys"),
    ("recovery", "codes"),
    ("backup", "codes"),
    ("backup", "code"),
    ("recovery", "code"),
];
/// What before `token` makes it one of a text, a parser or a list in pages.
const TOKENS_OF_TEXT: &[&str] = &[
    "next",
    "prev",
    "previous",
    "page",
    "pagination",
    "continuation",
    "sync",
    "eos",
    "bos",
    "pad",
    "unk",
    "mask",
    "sep",
    "cls",
    "special",
    "stop",
    "unexpected",
    "invalid",
    "illegal",
    "per",
    "first",
    "last",
    "each",
    "input",
    "output",
    "prompt",
    "completion",
    "parser",
];
/// What before `pass` makes it something else.
const PASSES: &[&str] =
    &["by", "boarding", "did", "will", "test", "tests", "to", "must", "first", "season"];
/// Names inside an object of secrets whose values are none.
const INNOCENT: &[&str] = &[
    "type",
    "kind",
    "format",
    "description",
    "title",
    "label",
    "placeholder",
    "hint",
    "name",
    "id",
    "user",
    "username",
    "login",
    "email",
    "scheme",
    "alg",
    "algorithm",
    "scope",
    "scopes",
    "in",
    "at",
    "on",
    "expires",
    "expiry",
    "expiration",
    "length",
    "size",
    "count",
    "required",
    "enabled",
    "status",
    "state",
    "valid",
    "policy",
    "url",
    "uri",
    "href",
    "path",
    "host",
    "port",
    "domain",
    "samesite",
    "secure",
    "httponly",
    "version",
    "provider",
    "issuer",
    "audience",
    "selector",
    "field",
    "strength",
    "age",
    "source",
    "message",
    "error",
    "errors",
    "created",
    "updated",
    "reason",
];

/// The words of `name` in lower case, without numbers behind them.
fn words(name: &str) -> Vec<String> {
    let from = name.len().saturating_sub(LONGEST);
    let from = (from..=name.len()).find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    // What stands in place of a secret is no word of the name.
    let taken =
        name[from..].rfind("[redacted:").and_then(|at| PLACEHOLDER.find_at(name, from + at));
    let from = taken.map_or(from, |taken| taken.end());
    let mut words = Vec::new();
    let mut word = String::new();
    let letters: Vec<char> = name[from..].chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let after = letters.get(at + 1);
        // `dbPassword`, `APIKey`.
        let hump = letter.is_uppercase()
            && (before.is_some_and(char::is_lowercase)
                || (before.is_some_and(char::is_uppercase)
                    && after.is_some_and(|after| after.is_lowercase())));
        if (hump || !letter.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if letter.is_alphanumeric() {
            word.extend(letter.to_lowercase());
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    while words.len() > 1
        && words.last().is_some_and(|word| word.bytes().all(|b| b.is_ascii_digit()))
    {
        words.pop();
    }
    words
}

/// What `name` says of its value; none when nothing.
pub(super) fn kind(name: &str) -> Option<SecretKind> {
    // `-Dpassword`, a property of Java's.
    let words = words(name.strip_prefix("-D").unwrap_or(name));
    let (last, before) = words.split_last()?;
    // `password1`; `cvv2` has its number in its name.
    let bare = last.trim_end_matches(|c: char| c.is_ascii_digit());
    let (last, bare) = (last.as_str(), if bare.is_empty() { last } else { bare });
    let before = before.last().map_or("", String::as_str);
    if bare == "token" && TOKENS_OF_TEXT.contains(&before) {
        return None;
    }
    if matches!(bare, "authorization" | "cookie") {
        return Some(SecretKind::Header);
    }
    let paired = |pairs: &[(&str, &str)]| pairs.contains(&(before, bare));
    let glued = GLUED.iter().any(|end| bare.ends_with(end));
    if DIGITS.contains(&last)
        || DIGITS.contains(&bare)
        || (bare == "code" && CODES.contains(&before))
    {
        Some(SecretKind::Digits)
    } else if PHRASES.contains(&bare) || paired(PHRASE_PAIRS) {
        Some(SecretKind::Phrase)
    } else if SECRETS.contains(&bare) || glued || paired(PAIRS) {
        Some(SecretKind::Secret)
    } else if bare == "pass" {
        let kind = if before.is_empty() { SecretKind::Pass } else { SecretKind::Secret };
        (!PASSES.contains(&before)).then_some(kind)
    } else if SEVERAL.contains(&bare) || paired(SEVERAL_PAIRS) {
        Some(SecretKind::Several)
    } else {
        LIKELY.contains(&bare).then_some(SecretKind::Likely)
    }
}

/// Whether the word before a name makes it another: `unexpected token`, `boarding pass`.
pub(super) fn is_other(before: &str, name: &str) -> bool {
    let (before, name) = (words(before).pop().unwrap_or_default(), words(name));
    match name.as_slice() {
        [word] if word == "token" => TOKENS_OF_TEXT.contains(&before.as_str()),
        [word] if word == "pass" => PASSES.contains(&before.as_str()),
        _ => false,
    }
}

/// Whether the field `name` of an object of secrets tells about them.
pub(super) fn is_innocent(name: &str) -> bool {
    let words = words(name);
    let innocent = |word: &String| {
        INNOCENT.contains(&word.as_str()) || matches!(word.as_str(), "min" | "max" | "last" | "is")
    };
    words.first().is_some_and(innocent) || words.last().is_some_and(innocent)
}

/// Whether a field `name` holds the name of another field's value: `{"name": …, "value": …}`.
pub(super) fn is_naming(name: &str) -> bool {
    let last = words(name).pop().unwrap_or_default();
    matches!(
        last.as_str(),
        "name" | "key" | "header" | "field" | "variable" | "env" | "param" | "option"
    )
}

/// Whether a field `name` holds the value that another field names.
pub(super) fn is_valued(name: &str) -> bool {
    let last = words(name).pop().unwrap_or_default();
    matches!(last.as_str(), "value" | "values" | "val" | "content" | "contents")
}

/// Whether `name` is the option of a program whose next argument is a secret: `--password`.
pub(super) fn is_option(name: &str) -> bool {
    let plain = name.trim_start_matches('-');
    plain.len() < name.len()
        && matches!(
            kind(plain),
            Some(SecretKind::Secret | SecretKind::Header | SecretKind::Phrase | SecretKind::Pass)
        )
        && plain.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_judged_by_its_last_words() {
        for name in [
            "password",
            "DB_PASSWORD",
            "db.password",
            "dbPassword",
            "user[password]",
            "PGPASSWORD",
            "client_secret",
            "clientSecret",
            "AWS_SECRET_ACCESS_KEY",
            "x-api-key",
            "APIKey",
            "apikey2",
            "token",
            "_authToken",
            "private key",
            "pwd",
            "-Dtoken",
            "SMTP_PASS",
            "contraseña",
        ] {
            assert_eq!(kind(name), Some(SecretKind::Secret), "{name}");
        }
        for name in [
            "password_hint",
            "token_type",
            "max_tokens_used",
            "public_key",
            "primary_key",
            "next_page_token",
            "nextPageToken",
            "secretary",
            "passport",
            "tokenizer",
            "author",
            "compass",
            "bypass",
            "key",
            "by_pass",
            "spinner",
            "PASSWORD_FILE",
            "access_key_id",
            "cookie_policy",
            "",
            "_",
            "12",
        ] {
            assert_eq!(kind(name), None, "{name}");
        }
        assert_eq!(kind("Set-Cookie"), Some(SecretKind::Header));
        assert_eq!(
            (kind("cvv2"), kind("pin_code")),
            (Some(SecretKind::Digits), Some(SecretKind::Digits))
        );
        assert_eq!(
            (kind("tokens"), kind("pass")),
            (Some(SecretKind::Likely), Some(SecretKind::Pass))
        );
        assert_eq!(
            (kind("Seed Phrase"), kind("api_keys")),
            (Some(SecretKind::Phrase), Some(SecretKind::Several))
        );
        assert!(
            is_option("--db-password") && !is_option("password") && !is_option("--password-file")
        );
        assert!(kind(&format!("{}_password", "ä".repeat(1_000_000))).is_some());
    }
}
