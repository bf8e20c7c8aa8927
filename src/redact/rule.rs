//! Owns the rules by which secrets are recognised: those that come with the program, and those an
//! operator writes as a name and a regular expression.

use std::fmt;

use regex::{Captures, Regex, RegexBuilder};

/// The names of the rules that come with the program, in the order in which they are applied.
pub const BUILT_IN: [&str; 7] =
    ["private-key", "jwt", "bearer-token", "api-key", "url-password", "credential", "card-number"];

/// Largest compiled expression.
const MAX_COMPILED: usize = 1 << 20;

/// Names of fields whose values are secrets, in lower case, without `-` and `_`.
const SECRET_NAMES: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "clientsecret",
    "token",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "apikey",
    "xapikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "authorization",
    "proxyauthorization",
    "cookie",
    "setcookie",
];

/// Why a rule is none.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// Neither a known name nor a name with an expression.
    #[error("`{0}` is no rule; write one of {names}, or a name and a regular expression, such as \
             \"employee: E[0-9]{{6}}\"", names = BUILT_IN.join(", "))]
    Form(String),
    /// The expression cannot be used.
    #[error("the expression of `{name}` cannot be used ({why}); correct it")]
    Expression {
        /// The rule.
        name: String,
        /// Why not.
        why: String,
    },
}

/// A rule.
#[derive(Clone)]
pub struct Rule {
    /// Its name, which is told where it found something.
    pub name: String,
    /// As it is written in the configuration.
    pub source: String,
    expression: Regex,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

/// Two rules are the same when they are written the same.
impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Rule {
    /// The rule that `source` names or describes: where its expression has a group, what the first
    /// group matches is taken out, else all of it.
    ///
    /// # Errors
    /// See [`RuleError`].
    pub fn parse(source: &str) -> Result<Self, RuleError> {
        let (name, expression) = match (built_in(source), source.split_once(':')) {
            (Some(expression), _) => (source, expression),
            (None, Some((name, expression))) => (name, expression.trim_start()),
            (None, None) => return Err(RuleError::Form(source.to_owned())),
        };
        let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 60 || !name.chars().all(sound) || expression.is_empty() {
            return Err(RuleError::Form(source.to_owned()));
        }
        let unusable = |why: String| RuleError::Expression { name: name.to_owned(), why };
        let built = RegexBuilder::new(expression).size_limit(MAX_COMPILED).build();
        let compiled = built.map_err(|error| {
            unusable(error.to_string().lines().last().unwrap_or_default().trim().to_owned())
        })?;
        if compiled.is_match("") {
            return Err(unusable("it matches where nothing is".to_owned()));
        }
        Ok(Self { name: name.to_owned(), source: source.to_owned(), expression: compiled })
    }

    /// What stands in place of what was taken out.
    pub(super) fn placeholder(&self) -> String {
        format!("[redacted:{}]", self.name)
    }

    /// Whether the values of a field called `name` are secrets by this rule.
    pub(super) fn names(&self, name: &str) -> bool {
        let plain = || name.replace(['-', '_'], "").to_ascii_lowercase();
        self.source == "credential" && SECRET_NAMES.contains(&plain().as_str())
    }

    /// How often it finds something in `text`, and `text` without that.
    pub(super) fn apply(&self, text: &str) -> (u64, String) {
        let mut count = 0;
        let cards = self.source == "card-number";
        let replaced = self.expression.replace_all(text, |found: &Captures<'_>| {
            let whole = found.get(0).map_or("", |whole| whole.as_str());
            // What was taken out already is no secret any more.
            if whole.contains("[redacted:") || (cards && !is_card(whole)) {
                return whole.to_owned();
            }
            count += 1;
            match (found.get(0), found.get(1)) {
                (Some(whole), Some(part)) => {
                    let (from, to) = (part.start() - whole.start(), part.end() - whole.start());
                    let text = whole.as_str();
                    format!("{}{}{}", &text[..from], self.placeholder(), &text[to..])
                }
                _ => self.placeholder(),
            }
        });
        (count, if count > 0 { replaced.into_owned() } else { String::new() })
    }
}

fn built_in(name: &str) -> Option<&'static str> {
    Some(match name {
        "private-key" => {
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)"
        }
        "jwt" => r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
        "bearer-token" => r"(?i)\bbearer\s+([a-z0-9._~+/-]{16,}=*)",
        "api-key" => {
            r"\b(?:(?:sk|pk|rk|pf)_(?:live|test)_[A-Za-z0-9]{8,}|sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|xox[abeoprs]-[A-Za-z0-9-]{10,}|A[KS]IA[A-Z0-9]{16}\b|AIza[A-Za-z0-9_-]{30,})"
        }
        "url-password" => r"://[^/\s:@]+:([^/\s@]+)@",
        "credential" => {
            r#"(?i)\b(?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?key|access[_-]?token|authorization)["']?\s*[:=]\s*["']?(?:(?:basic|bearer)\s+)?([^\s"',;&]{4,})"#
        }
        "card-number" => r"\b[0-9](?:[ -]?[0-9]){12,18}\b",
        _ => return None,
    })
}

/// Whether `text` is the number of a payment card: digits of a network's length and beginning, with
/// a check digit by Luhn's formula (ISO/IEC 7812-1).
fn is_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let start =
        |count: usize| digits.iter().take(count).fold(0, |number, digit| number * 10 + digit);
    let network = match digits.len() {
        13 | 19 => start(1) == 4,
        14 => matches!(start(2), 30 | 36 | 38 | 39),
        15 => matches!(start(2), 34 | 37),
        16 => start(1) == 4 || matches!(start(2), 35 | 50..=65) || matches!(start(4), 2221..=2720),
        _ => false,
    };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| match (index % 2, digit * 2) {
            (0, _) => *digit,
            (_, doubled) if doubled > 9 => doubled - 9,
            (_, doubled) => doubled,
        })
        .sum();
    network && sum.is_multiple_of(10)
}
