//! Owns the taking out of secrets from what agents say: rules, and their work on a JSON object.
//! What was taken out is told by rule, number and place; the secret itself is told to nobody. All
//! expressions run in time linear to their text.

mod rule;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub use rule::{BUILT_IN, Rule, RuleError};

/// Most places that an event names; beyond these only their number is told.
const MAX_PLACES: usize = 100;

/// Take out of `data` what `rules` find, in values and in names.
///
/// The answer is what to put on record of it: a list of `rule`, `count` and `path` (a JSON pointer,
/// RFC 6901); none when nothing was found.
pub fn redact(rules: &[Rule], data: &mut Map<String, Value>) -> Option<Value> {
    let mut found = Found { rules, hits: BTreeMap::new() };
    found.object(data, "");
    if found.hits.is_empty() {
        return None;
    }
    let left_out = found.hits.len().saturating_sub(MAX_PLACES);
    let places = found.hits.into_iter().take(MAX_PLACES);
    let mut told: Vec<Value> = places
        .map(|((path, rule), count)| json!({ "rule": rule, "count": count, "path": path }))
        .collect();
    if left_out > 0 {
        told.push(json!({ "more_places": left_out }));
    }
    Some(Value::Array(told))
}

struct Found<'r> {
    rules: &'r [Rule],
    /// How often, by path and rule.
    hits: BTreeMap<(String, String), u64>,
}

impl Found<'_> {
    fn object(&mut self, map: &mut Map<String, Value>, path: &str) {
        for (name, mut value) in std::mem::take(map) {
            let mut kept = self.text(&name, path).unwrap_or_else(|| name.clone());
            while map.contains_key(&kept) {
                kept.push('_');
            }
            let place = format!("{path}/{}", kept.replace('~', "~0").replace('/', "~1"));
            let rule = self.rules.iter().find(|rule| rule.names(&name));
            match rule {
                Some(rule) if matches!(value, Value::String(_) | Value::Number(_)) => {
                    value = Value::String(rule.placeholder());
                    self.hit(&place, rule.name.clone(), 1);
                }
                _ => self.value(&mut value, &place),
            }
            map.insert(kept, value);
        }
    }

    fn value(&mut self, value: &mut Value, path: &str) {
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
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.value(item, &format!("{path}/{index}"));
                }
            }
            Value::Object(map) => self.object(map, path),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// `text` without what the rules find; none when they find nothing.
    fn text(&mut self, text: &str, path: &str) -> Option<String> {
        let mut clean: Option<String> = None;
        for rule in self.rules {
            let (count, without) = rule.apply(clean.as_deref().unwrap_or(text));
            if count > 0 {
                self.hit(path, rule.name.clone(), count);
                clean = Some(without);
            }
        }
        clean
    }

    fn hit(&mut self, path: &str, rule: String, count: u64) {
        *self.hits.entry((path.to_owned(), rule)).or_default() += count;
    }
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
        let told = redact(&all(), &mut data);
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
        let told = redact(&all(), map).expect("found");
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
        assert_eq!(redact(&all(), &mut Map::new()), None);
    }

    #[test]
    fn a_rule_of_the_operators_has_a_name_and_an_expression() {
        let rule = Rule::parse("employee: (?i)emp-([0-9]{4})").expect("sound");
        let mut data = Map::from_iter([("m".to_owned(), json!("EMP-1234, emp-99"))]);
        redact(std::slice::from_ref(&rule), &mut data);
        assert_eq!(data["m"], "EMP-[redacted:employee], emp-99", "the group alone");
        assert_eq!(rule, Rule::parse(&rule.source).expect("reads back"));
        for wrong in ["", "cards", "Name: x", "x: (", "x: a*", "x:", "x: (?=a)", ": a"] {
            let error = Rule::parse(wrong).expect_err(wrong).to_string();
            assert!(error.contains(';'), "no remedy: {error}");
        }
    }

    #[test]
    fn many_places_are_counted_and_not_all_named() {
        let items: Vec<_> = (0..250).map(|_| json!("4111111111111111")).collect();
        let mut data = Map::from_iter([("data".to_owned(), json!(items))]);
        let told = redact(&all(), &mut data).expect("found");
        assert_eq!(told.as_array().map(Vec::len), Some(MAX_PLACES + 1));
        assert_eq!(told[MAX_PLACES], json!({ "more_places": 250 - MAX_PLACES }));
    }
}
