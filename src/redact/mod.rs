//! Owns the taking out of secrets from what callers say: rules, and their work on a JSON object.
//! What was taken out is told by rule, number and place; the secret itself is told to nobody. The time
//! it takes grows with the text and with nothing else.

mod assigned;
#[cfg(test)]
mod corpus;
mod forms;
mod name;
mod rule;
mod spoken;
mod value;
mod view;

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value, json};

use self::name::Kind;
use self::value::{Bond, is_secret};
use self::view::View;
pub use rule::{BUILT_IN, Rule, RuleError};

/// Most places that an event names; beyond these only their number is told.
const MAX_PLACES: usize = 100;
/// Longest place that is named, in bytes: names of fields are the caller's.
const MAX_PLACE: usize = 1_000;

/// Take out of `data` what `rules` find, in values and in names; the names in the objects at the places
/// `ours` are not the caller's, and stay.
///
/// The answer is what to put on record of it: a list of `rule`, `count` and `path` (a JSON pointer,
/// RFC 6901); none when nothing was found.
pub fn redact(rules: &[Rule], data: &mut Map<String, Value>, ours: &[&str]) -> Option<Value> {
    let names = rules.iter().find(|rule| rule.goes_by_names());
    let mut found = Found { rules, names, ours, hits: BTreeMap::new() };
    found.object(data, "", None);
    if found.hits.is_empty() {
        return None;
    }
    let places = found.hits.len();
    let named = found.hits.into_iter().filter(|((path, _), _)| path.len() <= MAX_PLACE);
    let mut told: Vec<Value> = named
        .take(MAX_PLACES)
        .map(|((path, rule), count)| json!({ "rule": rule, "count": count, "path": path }))
        .collect();
    if told.len() < places {
        told.push(json!({ "more_places": places - told.len() }));
    }
    Some(Value::Array(told))
}

struct Found<'r> {
    rules: &'r [Rule],
    /// The rule that goes by names, where it is one of them.
    names: Option<&'r Rule>,
    /// Objects whose names are not the caller's.
    ours: &'r [&'r str],
    /// How often, by path and rule.
    hits: BTreeMap<(String, String), u64>,
}

impl Found<'_> {
    /// `under` is what the name of something around it says of all that is in it.
    fn object(&mut self, map: &mut Map<String, Value>, path: &str, under: Option<Kind>) {
        let (named, ours) = (names_a_secret(map), self.ours.contains(&path));
        for (name, mut value) in std::mem::take(map) {
            let clean = if ours { None } else { self.text(&name, path) };
            let mut kept = clean.unwrap_or_else(|| name.clone());
            while map.contains_key(&kept) {
                kept.push('_');
            }
            let place = format!("{path}/{}", kept.replace('~', "~0").replace('/', "~1"));
            let above = under.filter(|_| !name::is_innocent(&name));
            let beside = (named && name::is_valued(&name)).then_some(Kind::Secret);
            let kind = name::kind(&name).or(beside).or(above);
            self.value(&mut value, &place, kind);
            map.insert(kept, value);
        }
    }

    /// `kind` is what the name of the value says of it.
    fn value(&mut self, value: &mut Value, path: &str, kind: Option<Kind>) {
        if let (Some(rule), Some(kind)) = (self.names, kind)
            && is_secret_value(kind, value)
        {
            *value = Value::String(rule.placeholder());
            return self.hit(path, rule.name.clone(), 1);
        }
        match value {
            Value::String(text) => {
                if let Some(clean) = self.text(text, path) {
                    *text = clean;
                }
            }
            // A card's number is one whether or not it stands in quotes.
            Value::Number(number) => {
                if let Some(clean) = self.text(&number.to_string(), path) {
                    *value = Value::String(clean);
                }
            }
            Value::Array(items) => self.list(items, path, kind),
            Value::Object(map) => self.object(map, path, kind),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// A list; one of arguments or of a name and its value tells by one item what the next one is.
    fn list(&mut self, items: &mut [Value], path: &str, kind: Option<Kind>) {
        self.arguments(items, path);
        let pair = items.len() == 2;
        let mut next = None;
        for (index, item) in items.iter_mut().enumerate() {
            let told = item.as_str().and_then(|text| match name::kind(text) {
                _ if name::is_option(text) => Some(Kind::Secret),
                Some(kind) if pair && index == 0 && text.len() < 100 => Some(kind),
                _ => None,
            });
            let option = item.as_str().is_some_and(|text| text.starts_with("--"));
            let before = next.take().filter(|_| item.is_string() && !option);
            self.value(item, &format!("{path}/{index}"), before.or(kind));
            next = told;
        }
    }

    /// A list that is a command: what a program is given there as a secret.
    fn arguments(&mut self, items: &mut [Value], path: &str) {
        let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
        let (Some(rule), Some(texts)) = (self.names, texts.filter(|texts| texts.len() > 1)) else {
            return;
        };
        let mut found = spoken::commands(&texts.join(" "));
        found.sort_by_key(|range| range.start);
        let mut begin = 0;
        for (index, item) in items.iter_mut().enumerate() {
            let Value::String(text) = item else { continue };
            let whole = begin..begin + text.len();
            begin = whole.end + 1;
            let inside = |range: &&Range<usize>| whole.contains(&range.start);
            // The last first, so that the places of the others stay.
            for range in found.iter().filter(inside).rev() {
                let end = range.end.min(whole.end) - whole.start;
                text.replace_range(range.start - whole.start..end, &rule.placeholder());
                self.hit(&format!("{path}/{index}"), rule.name.clone(), 1);
            }
        }
    }

    /// `text` without what the rules find; none when they find nothing.
    fn text(&mut self, text: &str, path: &str) -> Option<String> {
        let rules = self.rules;
        let mut found: Vec<(Range<usize>, usize)> = Vec::new();
        for view in View::all(text) {
            for (at, rule) in rules.iter().enumerate() {
                let ranges = rule.find(&view.text).into_iter().map(|range| view.origin(range));
                found.extend(ranges.filter(|range| !range.is_empty()).map(|range| (range, at)));
            }
        }
        if found.is_empty() {
            return None;
        }
        let mut clean = String::new();
        let mut end = 0;
        for (range, at) in merged(found) {
            let rule = &rules[at];
            clean.push_str(&text[end..range.start]);
            clean.push_str(&rule.placeholder());
            self.hit(path, rule.name.clone(), 1);
            end = range.end;
        }
        clean.push_str(&text[end..]);
        Some(clean)
    }

    fn hit(&mut self, path: &str, rule: String, count: u64) {
        *self.hits.entry((path.to_owned(), rule)).or_default() += count;
    }
}

/// Whether an object holds the name of a secret, whose value is in another field of it.
fn names_a_secret(map: &Map<String, Value>) -> bool {
    map.iter().any(|(name, value)| {
        let names = |text: &str| {
            text.len() < 100 && !matches!(name::kind(text), None | Some(Kind::Likely | Kind::Pass))
        };
        name::is_naming(name) && value.as_str().is_some_and(names)
    })
}

/// Whether `value` is a secret under a name of this kind.
fn is_secret_value(kind: Kind, value: &Value) -> bool {
    match value {
        Value::String(text) => is_secret(kind, text, Bond::Strong),
        Value::Number(_) if matches!(kind, Kind::Secret | Kind::Phrase) => true,
        Value::Number(number) if kind == Kind::Digits => {
            is_secret(kind, &number.to_string(), Bond::Strong)
        }
        _ => false,
    }
}

/// What was found, in order: where two overlap, both as one, told by the rule that comes first.
fn merged(mut found: Vec<(Range<usize>, usize)>) -> Vec<(Range<usize>, usize)> {
    found.sort_by_key(|(range, rule)| (range.start, range.end, *rule));
    let mut merged: Vec<(Range<usize>, usize)> = Vec::new();
    for (range, rule) in found {
        match merged.last_mut() {
            Some((last, first)) if range.start < last.end => {
                last.end = last.end.max(range.end);
                *first = rule.min(*first);
            }
            _ => merged.push((range, rule)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Rule> {
        BUILT_IN.iter().map(|name| Rule::parse(name).expect("built in")).collect()
    }

    /// `text` after all rules that come with the program, and the names of those that found
    /// something.
    fn clean(text: &str) -> (String, Vec<String>) {
        let mut data = Map::from_iter([("message".to_owned(), json!(text))]);
        let told = redact(&all(), &mut data, &[]);
        let rules = told.iter().flat_map(|told| told.as_array().into_iter().flatten());
        let rules = rules.map(|one| one["rule"].as_str().expect("a name").to_owned()).collect();
        (data["message"].as_str().expect("text").to_owned(), rules)
    }

    #[test]
    fn secrets_go_and_the_words_around_them_stay() {
        let key = ["sk", "live", "4eC39HqLyjWDarjtT1zdp7dc"].join("_");
        let token = ["ghp", "abcdefghijklmnopqrstuvwxyz0123456789"].join("_");
        let jwt = ["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0In0", "dBjftJeZ4CVPmB92K27u"].join(".");
        let pem = format!("-----BEGIN {0}-----\nMIIE\n-----END {0}-----", "RSA PRIVATE KEY");
        let cases = [
            (format!("key {key}."), "key [redacted:api-key].", "api-key"),
            (format!("got {token} now"), "got [redacted:api-key] now", "api-key"),
            (format!("a {jwt} b"), "a [redacted:jwt] b", "jwt"),
            (
                "Authorization: Bearer abcdef0123456789abcdef".to_owned(),
                "Authorization: Bearer [redacted:bearer-token]",
                "bearer-token",
            ),
            (format!("<{pem}>"), "<[redacted:private-key]>", "private-key"),
            (
                "card 4111 1111 1111 1111 charged".to_owned(),
                "card [redacted:card-number] charged",
                "card-number",
            ),
            ("amex 378282246310005".to_owned(), "amex [redacted:card-number]", "card-number"),
            (
                "password=hunter22&user=eve".to_owned(),
                "password=[redacted:credential]&user=eve",
                "credential",
            ),
            (
                "postgres://app:s3cr3t@db/x".to_owned(),
                "postgres://app:[redacted:url-password]@db/x",
                "url-password",
            ),
        ];
        for (text, expected, rule) in cases {
            assert_eq!(clean(&text), (expected.to_owned(), vec![rule.to_owned()]), "{text}");
        }
    }

    #[test]
    fn what_is_no_secret_stays_as_it_was() {
        for text in [
            "Refunded 48.50 € on TX-1042",
            "The bearer of this letter",
            "order 4111111111111112 is no card: the check digit is wrong",
            "sequence 1763972146120, 1234567890123456789",
            "password reset for alice",
            "the token was accepted",
            "https://shop.example/a:b@c",
            "01a20cfc-4612-7588-878e-5b7a1d5cb702",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ] {
            assert_eq!(clean(text), (text.to_owned(), Vec::new()));
        }
    }

    #[test]
    fn the_place_is_told_wherever_it_is_and_never_the_secret() {
        let card = 4_111_111_111_111_111_u64;
        let mut data = json!({
            "message": format!("{card} and {card}"),
            "data": {
                "a/b": [1, { "n": card }],
                "Api-Key": "anything", "tokens": 17, "password": { "hint": "dog" },
                format!("k {card}"): true,
            },
        });
        let map = data.as_object_mut().expect("an object");
        let told = redact(&all(), map, &[]).expect("found");
        let expected = json!([
            { "rule": "card-number", "count": 1, "path": "/data" },
            { "rule": "credential", "count": 1, "path": "/data/Api-Key" },
            { "rule": "card-number", "count": 1, "path": "/data/a~1b/1/n" },
            { "rule": "card-number", "count": 2, "path": "/message" },
        ]);
        assert_eq!(told, expected);
        let text = data.to_string() + &told.to_string();
        assert!(!text.contains("4111") && !text.contains("anything"), "{text}");
        assert_eq!(data["data"]["tokens"], 17);
        assert_eq!(data["data"]["password"]["hint"], "dog", "an object is looked into");
        assert_eq!(data["data"]["k [redacted:card-number]"], true);
        assert_eq!(redact(&all(), &mut Map::new(), &[]), None);
    }

    #[test]
    fn a_rule_of_the_operators_has_a_name_and_an_expression() {
        let rule = Rule::parse("employee: (?i)emp-([0-9]{4})").expect("sound");
        let mut data = Map::from_iter([("m".to_owned(), json!("EMP-1234, emp-99"))]);
        redact(std::slice::from_ref(&rule), &mut data, &[]);
        assert_eq!(data["m"], "EMP-[redacted:employee], emp-99", "the group alone");
        assert_eq!(rule, Rule::parse(&rule.source).expect("reads back"));
        for wrong in ["", "cards", "Name: x", "x: (", "x: a*", "x:", "x: (?=a)", ": a"] {
            let error = Rule::parse(wrong).expect_err(wrong).to_string();
            assert!(error.contains(';'), "no remedy: {error}");
        }
    }

    #[test]
    fn names_of_ours_stay_whatever_a_rule_says() {
        let rule = Rule::parse("all: [a-z]{4,}").expect("sound");
        let labels = Map::from_iter([("name".to_owned(), json!("words"))]);
        let mut data = Map::from_iter([("labels".to_owned(), json!(labels))]);
        redact(std::slice::from_ref(&rule), &mut data, &[""]);
        assert_eq!(json!(data), json!({ "labels": { "[redacted:all]": "[redacted:all]" } }));
    }

    #[test]
    fn a_place_with_a_long_name_is_counted_and_not_named() {
        let mut data = json!({ "x".repeat(2_000): "4111111111111111", "y": "4111111111111111" });
        let told = redact(&all(), data.as_object_mut().expect("an object"), &[]).expect("found");
        assert_eq!(told[0]["path"], "/y");
        assert_eq!(told[1], json!({ "more_places": 1 }));
    }

    #[test]
    fn many_places_are_counted_and_not_all_named() {
        let items: Vec<_> = (0..250).map(|_| json!("4111111111111111")).collect();
        let mut data = Map::from_iter([("data".to_owned(), json!(items))]);
        let told = redact(&all(), &mut data, &[]).expect("found");
        assert_eq!(told.as_array().map(Vec::len), Some(MAX_PLACES + 1));
        assert_eq!(told[MAX_PLACES], json!({ "more_places": 250 - MAX_PLACES }));
    }
}
