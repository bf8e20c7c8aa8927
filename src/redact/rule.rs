//! Owns the rules by which secrets are recognised: those that come with the program, and those an
//! operator writes as a name and a regular expression.

use std::fmt;
use std::ops::Range;

use regex::{Captures, Regex, RegexBuilder};

use super::value::looks_secret;
use super::{assigned, spoken};

/// The names of the rules that come with the program, in the order in which they are applied.
pub const BUILT_IN: [&str; 7] =
    ["private-key", "jwt", "bearer-token", "api-key", "url-password", "credential", "card-number"];

/// The rule that goes by the names of fields, variables and options.
const CREDENTIAL: &str = "credential";

/// Largest compiled expression.
const MAX_COMPILED: usize = 1 << 20;

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
    /// None of the one that goes by names.
    expression: Option<Regex>,
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
        if source == CREDENTIAL {
            let name = source.to_owned();
            return Ok(Self { source: name.clone(), name, expression: None });
        }
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
        Ok(Self { name: name.to_owned(), source: source.to_owned(), expression: Some(compiled) })
    }

    /// What stands in place of what was taken out.
    pub(super) fn placeholder(&self) -> String {
        format!("[redacted:{}]", self.name)
    }

    /// Whether it goes by the names of things.
    pub(super) fn goes_by_names(&self) -> bool {
        self.expression.is_none()
    }

    /// Where in `text` it finds something.
    pub(super) fn find(&self, text: &str) -> Vec<Range<usize>> {
        let Some(expression) = &self.expression else {
            return [assigned::find(text), spoken::find(text)].concat();
        };
        let sound = |found: &Captures<'_>| {
            let whole = found.get(0)?;
            let none = self.source == "card-number" && !is_card(whole.as_str());
            let part = found.get(1).unwrap_or(whole);
            // "The bearer certificate": a short one must look like one.
            let word =
                self.source == "bearer-token" && part.len() < 24 && !looks_secret(part.as_str());
            (!none && !word).then(|| part.range())
        };
        expression.captures_iter(text).filter_map(|found| sound(&found)).collect()
    }
}

fn built_in(name: &str) -> Option<&'static str> {
    Some(match name {
        "private-key" => {
            r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\z)"
        }
        "jwt" => r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
        "bearer-token" => r"(?i)\bbearer[\s:=]+([a-z0-9._~+/-]{8,}=*)",
        "api-key" => {
            concat!(
                r"\b(?:(?:sk|pk|rk|pf)_(?:live|test)_[A-Za-z0-9]{8,}|whsec_[A-Za-z0-9+/=]{16,}",
                r"|sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}",
                r"|gl(?:pat|dt|rt|cbt|ptt)-[A-Za-z0-9_-]{16,}|xox[abeoprs]-[A-Za-z0-9-]{10,}",
                r"|xapp-[A-Za-z0-9-]{10,}|A[KS]IA[A-Z0-9]{16}\b|AIza[A-Za-z0-9_-]{30,}",
                r"|ya29\.[A-Za-z0-9_-]{20,}|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{20,}",
                r"|hf_[A-Za-z0-9]{20,}|dop_v1_[a-f0-9]{40,}|shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{24,}",
                r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|hv[sb]\.[A-Za-z0-9_-]{20,}",
                r"|AGE-SECRET-KEY-1[A-Z0-9]{20,}|[0-9]{8,10}:AA[A-Za-z0-9_-]{32,}",
                r"|hooks\.slack\.com/services/[A-Za-z0-9]+/[A-Za-z0-9]+/[A-Za-z0-9]+)"
            )
        }
        "url-password" => r#"://[^/\s:@"'<>]*:([^/\s"'<>]+)@"#,
        "card-number" => r"\b(?:[0-9](?:[ -]?[0-9]){12,18}|[0-9]{4}(?:\.[0-9]{4}){3})\b",
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
