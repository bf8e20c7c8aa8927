//! Owns the finding of secrets in what people say and type: "the password for alice is …", the
//! arguments by which well-known programs take one, statements that set one. Each expression looks at
//! a bounded stretch of text.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::name::SecretKind;
use super::value::{Bond, is_secret, looks_secret};

/// Names in sentences.
const NAME: &str = r"(?:pass(?:word|wd|phrase|code|wort)?|pwd|kennwort|contraseña|mot\s+de\s+passe|senha|wachtwoord|secret|token|api[ _-]?key|access[ _-]?key|credentials?)";
/// Whose it is.
const WHOSE: &str = r"(?:\s+(?:for|of|on|to|in)\s+[^\n:=]{1,60}?)?";
/// How it is said.
const VERBS: &str = r"(?:\s+(?:is|was|are|has been|will be|now|set to|reset to|changed to|ist|lautet|war|es|est)){1,3}:?\s+";

/// That it is another now.
const CHANGED: &str = r"(?:\s+(?:was\s+|has been\s+)?(?:changed|reset|rotated|updated))?";

/// What somebody types, and where.
const TYPED: &str = r"\b(?:typed?|typing|enter(?:ed|ing)?|fill(?:ed)?|pasted?|put)\s+";
const INTO: &str = r#"["'`”]?\s+(?:in|into|as)\s+[^\n.,;]{0,40}?\b(?:password|passwd|passphrase|passcode|pwd|token|api[ _-]?key)\b"#;

/// Sentences that name a secret and say it: what they say must look like one.
static SAID: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let value = r#"["'`“]?([^\s"'`”]{4,200})"#;
    let called = r#"["'`“]?([^\s"'`”()]{4,200})"#;
    compiled(&[
        &format!(r"(?i)\b{NAME}{WHOSE}(?:{VERBS}|\s*(?::|->|→|=>)\s*){value}"),
        // A row of a table.
        &format!(r"(?im)\b{NAME}[ ]{{0,40}}(?:\||\t)[ \t]{{0,40}}{value}"),
        &format!(r"(?i)\b{NAME}{WHOSE}\s*(?:⇒|←|»)\s*{value}"),
        // `page.fill('#password', '…')`
        &format!(
            r"(?i)\b(?:fill|type|send_?keys|set_?value|input|enter|write)[a-z_]{{0,12}}\s*\([^()\n]{{0,60}}\b{NAME}[^(),\n]{{0,20}},\s*{called}"
        ),
        &format!(r"(?i){TYPED}{value}{INTO}"),
        // A token in place of a user.
        r#"(?i)\bhttps?://([^/\s:@"'<>]{12,200})@"#,
        &format!(r"(?i)\b(?:with|using|enter(?:ed)?|typed?|use)\s+(?:the\s+)?{NAME}\s+{value}"),
        &format!(r"(?i)\b{NAME}{WHOSE}{CHANGED}\s+from\s+{value}"),
        &format!(r"(?i)\b{NAME}{CHANGED}(?:\s+from\s+\S{{1,200}})?\s+to\s+{value}"),
        r#"(?:密码|密碼|口令|パスワード|пароль)\s*[:：=は]?\s*([^\s"'，。]{4,200})"#,
        // A line of .pgpass.
        r#"(?m)^[a-z0-9.-]{1,60}:[0-9*]{1,5}:[A-Za-z0-9_*-]{1,60}:[A-Za-z0-9_*-]{1,60}:([^\s"':]{4,200})"#,
    ])
});

/// Sentences that say one in quotation marks, and statements: it need not look like one.
static QUOTED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    compiled(&[
        &format!(r#"(?i)\b{NAME}{WHOSE}{VERBS}["'`“]([^"'`”\n]{{3,200}})["'`”]"#),
        r#"(?i)\b(?:identified\s+by|(?:with\s+)?(?:encrypted\s+)?password)\s+["']([^"'\n]{1,200})["']"#,
        r#"(?i)\bconvertto-securestring\s+(?:-string\s+)?["']([^"'\n]{1,200})["']"#,
        &format!(
            r#"(?i)\b(?:set|with|enter|type|change|reset|use)_?{NAME}[a-z_]{{0,12}}\s*\(\s*["'`]([^"'`\n]{{3,200}})["'`]"#
        ),
        &format!(r#"(?i){TYPED}["'`“]([^"'`”\n]{{3,200}})["'`”]{INTO}"#),
        r#"(?i)\bpassword\s*\(\s*["']([^"'\n]{1,200})["']"#,
        r"\bmachine\s+\S{1,100}\s+login\s+\S{1,100}\s+password\s+(\S{1,200})",
        r#"(?i)\becho\s+["']?([^\s"'|]{4,200})["']?\s*\|[^\n|]{0,60}(?:--password-stdin|--stdin|sudo\s+-S|chpasswd)"#,
    ])
});

/// Sentences that say a short number.
static COUNTED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    compiled(&[
        &format!(
            r"(?i)\b(?:pin|otp|tan|cvv|cvc|(?:pin|verification|security|one-time|login|sms|2fa|mfa)[ -]code){VERBS}((?:[A-Z]-)?[0-9]{{3,8}})\b"
        ),
        &format!(
            r"(?i)\byour\s+(?:[a-z-]{{1,20}}\s+){{0,2}}code(?:{VERBS}|\s*:\s*)((?:[A-Z]-)?[0-9]{{4,8}})\b"
        ),
        &r"\b(?:(?i:cvv2?|cvc2?)\s+([0-9]{3,4}))\b".to_owned(),
        &r"\bPIN\s+([0-9]{4,6})\b".to_owned(),
    ])
});

/// The credentials of HTTP's scheme Basic.
static BASIC: LazyLock<Vec<Regex>> =
    LazyLock::new(|| compiled(&[r"(?i)\bbasic\s+([a-z0-9+/]{8,200}={0,2})"]));

/// Programs, and the arguments by which they take a secret.
static COMMANDS: LazyLock<Vec<(Regex, Regex)>> = LazyLock::new(|| {
    let pairs = [
        (
            r"\b(?:curl|wget|http|https|svn)\b",
            r#"\s(?:-[a-zA-Z]{0,8}u|-U|--user|--proxy-user)[ =]?["']?[^\s:"'=]{1,60}:([^\s"']{1,200})"#,
        ),
        (r"\bcurl\b", r#"\s(?:-b|--cookie)[ =]?["']?([^\s"'=;]{1,60}=[^\n"']{1,300})"#),
        (r"\bsshpass\b", r#"\s-p\s*["']?([^\s"']{1,200})"#),
        (
            r"\b(?:mysql|mysqldump|mysqladmin|mariadb|mariadb-dump)\b",
            r#"\s-p["']?([^\s"']{3,200})"#,
        ),
        (
            r"\b(?:docker|podman|helm|oc|az|skopeo|buildah|crane|cf)\b",
            r#"\blogin\b[^\n|;&]{0,120}?\s-p[ =]["']?([^\s"']{1,200})"#,
        ),
        (
            r"\b(?:mongo|mongosh|mongodump|mongorestore|mongoexport|mongoimport)\b",
            r#"\s-p[ =]["']?([^\s"'-][^\s"']{0,200})"#,
        ),
        (r"\b7z[ar]?\b", r#"\s-p["']?([^\s"']{3,200})"#),
        (r"\b(?:zip|unzip|zipcloak)\b", r#"\s-P\s*["']?([^\s"'-][^\s"']{2,200})"#),
        (r"\bopenssl\b", r#"\s-k\s+["']?([^\s"'-][^\s"']{0,200})"#),
        (
            r"\bhtpasswd\b",
            r#"\s-[a-zA-Z]{0,6}b[a-zA-Z]{0,6}\s+\S{1,200}\s+\S{1,100}\s+["']?([^\s"']{1,200})"#,
        ),
        (r"\bchpasswd\b", r#"<<<\s*["']?[^\s:"']{1,60}:([^\s"']{1,200})"#),
        (r"(?i)\bnet\s+user\b", r#"(?i)\buser\s+\S{1,60}\s+["']?([^\s"'/*][^\s"']{2,200})"#),
        (
            r"\baws\s+configure\s+set\b",
            r#"\s[a-z._-]{0,60}(?:secret_access_key|session_token)\s+["']?([^\s"']{1,200})"#,
        ),
        (r"\bredis-cli\b", r#"\s-a\s+["']?([^\s"']{1,200})"#),
        (
            r"\bldap(?:search|modify|add|delete|whoami|passwd)\b",
            r#"\s-w\s+["']?([^\s"'-][^\s"']{0,200})"#,
        ),
        (r"\bsmbclient\b", r"\s-U\s*[^\s%]{1,60}%(\S{1,200})"),
        (r"(?i)\bnet\s+use\b", r#"(?i)\s/user:\S{1,60}\s+["']?([^\s"'/]{3,200})"#),
    ];
    let compile = |one: &str| Regex::new(one).expect("tested below");
    pairs.into_iter().map(|(program, argument)| (compile(program), compile(argument))).collect()
});

/// How much behind a program's name is looked at, and how far on the next look begins, in bytes.
const WINDOW: usize = 500;
const STRIDE: usize = 250;

fn compiled(expressions: &[impl AsRef<str>]) -> Vec<Regex> {
    let compile = |one: &str| Regex::new(one).expect("tested below");
    expressions.iter().map(|one| compile(one.as_ref())).collect()
}

/// Where in `text` secrets are said or typed.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let strong = |value: &str| is_secret(SecretKind::Secret, value, Bond::Strong);
    let mut found = Vec::new();
    for (expressions, sound) in [
        (&SAID, &looks_secret as &dyn Fn(&str) -> bool),
        (&QUOTED, &strong),
        (&COUNTED, &|_| true),
        (&BASIC, &is_basic),
    ] {
        for expression in expressions.iter() {
            found.extend(groups(expression, text).filter(|range| sound(&text[range.clone()])));
        }
    }
    found.extend(commands(text));
    // A sentence's end is none of the secret's.
    let trimmed = found.into_iter().map(|range: Range<usize>| {
        let length = text[range.clone()].trim_end_matches(['.', ',', ';', ':']).len();
        range.start..range.start + length
    });
    trimmed.collect()
}

/// Where in `text` programs are given a secret.
pub(super) fn commands(text: &str) -> Vec<Range<usize>> {
    let strong = |value: &str| is_secret(SecretKind::Secret, value, Bond::Strong);
    let mut found = Vec::new();
    for (program, argument) in COMMANDS.iter() {
        let mut from = 0;
        while let Some(called) = program.find_at(text, from) {
            let window = window(text, called.start());
            let (begin, end) = (window.start, window.end);
            let inside = groups(argument, &text[window]);
            let inside = inside.map(|range| begin + range.start..begin + range.end);
            found.extend(inside.filter(|range| strong(&text[range.clone()])));
            // What is called on the next line has a window of its own.
            from = boundary(text, (begin + STRIDE).min(end.max(called.end())));
        }
    }
    found
}

fn groups(expression: &Regex, text: &str) -> impl Iterator<Item = Range<usize>> {
    expression.captures_iter(text).filter_map(|one| one.get(1).map(|group| group.range()))
}

/// The rest of a line behind a program's name, as much of it as is looked at.
fn window(text: &str, from: usize) -> Range<usize> {
    let end = boundary(text, from + WINDOW);
    let line = text[from..end].find('\n').map_or(end, |line| from + line);
    from..line
}

/// The first place from `at` on where a letter begins.
fn boundary(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

/// Whether `value` is base64 of `user:password`.
fn is_basic(value: &str) -> bool {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    let decoded = STANDARD_NO_PAD.decode(value.trim_end_matches('='));
    let plain = |text: &str| !text.contains(char::is_control);
    decoded.is_ok_and(|bytes| bytes.contains(&b':') && std::str::from_utf8(&bytes).is_ok_and(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expression_is_one_and_finds_its_own() {
        for (text, secret) in [
            ("the password for alice is hunter2!", "hunter2!"),
            ("token was reset to 'abc123def'", "abc123def"),
            ("logged in with password s3cr3t!", "s3cr3t!"),
            ("changed the password from hunter1 to hunter2", "hunter1"),
            ("changed the password from hunter1 to hunter2", "hunter2"),
            ("password was changed from hunter1 to hunter2", "hunter1"),
            ("the secret is \"swordfish\"", "swordfish"),
            ("curl -s -u bob:hunter2 https://x.example", "hunter2"),
            ("curl https://x.example -b 'sid=abc; t=1'", "sid=abc; t=1"),
            ("sshpass -p hunter2 ssh host", "hunter2"),
            ("mysql -u root -phunter2 db", "hunter2"),
            ("docker login -u bob -p hunter2", "hunter2"),
            ("redis-cli -h r -a hunter2 ping", "hunter2"),
            ("ldapsearch -x -D cn=a -w hunter2", "hunter2"),
            ("smbclient //h/s -U bob%hunter2", "hunter2"),
            ("net use z: \\\\h\\s /user:bob hunter2", "hunter2"),
            ("machine h login bob password hunter2", "hunter2"),
            ("CREATE USER bob IDENTIFIED BY 'hunter2'", "hunter2"),
            ("the PIN is now 4711", "4711"),
            ("password -> hunter2", "hunter2"),
            ("密码：hunter2", "hunter2"),
            ("db:5432:shop:app:hunter2", "hunter2"),
            ("ConvertTo-SecureString 'swordfish' -AsPlainText", "swordfish"),
            ("SET PASSWORD = PASSWORD('swordfish')", "swordfish"),
            ("Basic Ym9iOmh1bnRlcjI=", "Ym9iOmh1bnRlcjI="),
            ("page.fill('#password', 'hunter2')", "hunter2"),
            ("typed \"swordfish\" into the password field", "swordfish"),
            ("typed hunter2 into #password", "hunter2"),
            ("setPassword(\"swordfish\")", "swordfish"),
            ("| password | hunter2 |", "hunter2"),
            ("password\thunter2", "hunter2"),
            ("Passwort lautet hunter2", "hunter2"),
            ("Your code is 482913", "482913"),
            ("exp 12/29 CVV 482", "482"),
            ("mongo -u root -p hunter2", "hunter2"),
            ("7z -phunter2 a x", "hunter2"),
            ("openssl enc -k hunter2", "hunter2"),
            ("htpasswd -b f bob hunter2", "hunter2"),
            ("net user bob hunter2 /add", "hunter2"),
            ("aws configure set aws_secret_access_key hunter2", "hunter2"),
            ("git clone https://hunter2abcdef@github.com/x", "hunter2abcdef"),
            ("echo hunter2 | docker login --password-stdin", "hunter2"),
        ] {
            let found: Vec<&str> = find(text).into_iter().map(|range| &text[range]).collect();
            assert!(found.contains(&secret), "{text}: {found:?}");
        }
        let none = "the password for alice is required; basic research, mysql -p, token to follow";
        assert_eq!(find(none), Vec::<Range<usize>>::new());
    }
}
