//! The corpus: secrets in the spellings in which agents write them, and what only looks like one.
//! How many are found, and how many of what is found are secrets, is held here and told in
//! docs/THREAT_MODEL.md.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{BUILT_IN, Rule, redact};

/// Secrets: in which spelling, as it is written, and where.
const SECRETS: &str = include_str!("../../tests/data/redaction/secrets.jsonl");
/// What is none.
const INNOCENTS: &str = include_str!("../../tests/data/redaction/innocents.jsonl");
/// Longest piece of a secret that may be left.
const LEFT: usize = 5;

#[derive(Deserialize)]
struct Case {
    #[serde(default)]
    spelling: String,
    #[serde(default)]
    secret: String,
    data: Value,
}

fn cases(lines: &str) -> Vec<Case> {
    lines.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// `data` after the rules that come with the program.
fn redacted(rules: &[Rule], data: &Value) -> Value {
    let mut map = Map::from_iter([("data".to_owned(), data.clone())]);
    redact(rules, &mut map, &[]);
    map.remove("data").expect("it stays there")
}

/// All texts and numbers in `value`, as they are.
fn texts(value: &Value, all: &mut String) {
    match value {
        Value::String(text) => all.push_str(text),
        Value::Number(number) => all.push_str(&number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, all)),
        Value::Object(map) => map.iter().for_each(|(name, item)| {
            all.push_str(name);
            all.push('\n');
            texts(item, all);
        }),
        Value::Null | Value::Bool(_) => {}
    }
    all.push('\n');
}

/// Whether a piece of `secret` is left in `value`.
fn leaks(value: &Value, secret: &str) -> bool {
    let (mut all, secret) = (String::new(), secret.chars().collect::<Vec<_>>());
    texts(value, &mut all);
    let piece = secret.len().min(LEFT + 1);
    secret.windows(piece).any(|window| all.contains(&window.iter().collect::<String>()))
}

#[test]
fn of_the_corpus_nearly_all_secrets_are_found_and_nearly_nothing_else() {
    let rules: Vec<Rule> =
        BUILT_IN.iter().map(|name| Rule::parse(name).expect("built in")).collect();
    let (secrets, innocents) = (cases(SECRETS), cases(INNOCENTS));
    let mut spellings: Vec<&str> = secrets.iter().map(|case| case.spelling.as_str()).collect();
    spellings.dedup();
    assert!(secrets.len() >= 200 && spellings.len() >= 40 && innocents.len() >= 200);
    let mut said = String::new();
    let mut missed = 0;
    for case in &secrets {
        assert!(
            leaks(&case.data, &case.secret),
            "it is not there: {} in {}",
            case.secret,
            case.data
        );
        let left = redacted(&rules, &case.data);
        if leaks(&left, &case.secret) {
            missed += 1;
            let _ = writeln!(said, "missed, {}: {left}", case.spelling);
        }
    }
    let mut wrong = 0;
    for case in &innocents {
        let left = redacted(&rules, &case.data);
        if left != case.data {
            wrong += 1;
            let _ = writeln!(said, "no secret: {} became {left}", case.data);
        }
    }
    let count = |number: usize| f64::from(u32::try_from(number).expect("few"));
    let found = count(secrets.len() - missed);
    let (recall, precision) = (found / count(secrets.len()), found / (found + count(wrong)));
    assert!(recall >= 0.99 && precision >= 0.99, "recall {recall}, precision {precision}\n{said}");
}
