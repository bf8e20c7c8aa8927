//! What is taken out of events, what stays, and what is told of it.

use proptest::prelude::*;
use serde_json::json;

use super::json_pointer::MAX_PLACES;
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

#[test]
fn names_that_are_left_alike_are_numbered() {
    let mut data = json!({
        "4111111111111111": 1, "5500005555555559": 2, "[redacted:card-number]_3": 3,
        "340000000000009": 4, "30000000000004": 5,
    });
    redact(&all(), data.as_object_mut().expect("an object"), &[]);
    let expected = json!({
        "[redacted:card-number]": 1, "[redacted:card-number]_2": 2, "[redacted:card-number]_3": 3,
        "[redacted:card-number]_4": 4, "[redacted:card-number]_5": 5,
    });
    assert_eq!(data, expected);
}

#[test]
fn a_secret_that_is_found_twice_is_taken_out_once() {
    let secret = "s3cr3t-".repeat(20);
    let mut data =
        json!({ "args": ["curl", "-H", "x".repeat(270), "curl", "-u", format!("a:{secret}")] });
    let told = redact(&all(), data.as_object_mut().expect("an object"), &[]).expect("found");
    assert_eq!(data["args"][5], "a:[redacted:credential]");
    assert_eq!(told, json!([{ "rule": "credential", "count": 1, "path": "/args/5" }]));
}

#[test]
fn a_long_list_of_secrets_is_put_down_as_one() {
    let mut data = json!({ "pwd": vec![1; MANY], "password": vec!["a"; MANY - 1] });
    let told = redact(&all(), data.as_object_mut().expect("an object"), &[]).expect("found");
    assert_eq!(data["pwd"], "[redacted:credential]");
    assert_eq!(data["password"].as_array().map(Vec::len), Some(MANY - 1));
    let pwd = json!({ "rule": "credential", "count": MANY, "path": "/pwd" });
    assert!(told.as_array().is_some_and(|told| told.contains(&pwd)), "{told}");
}

/// A placeholder in the text protects nothing beside it.
#[test]
fn a_placeholder_hides_no_secret() {
    for (text, expected) in [
        ("password=hunter2[redacted:x]", "password=[redacted:credential][redacted:x]"),
        (
            "-----BEGIN PRIVATE KEY-----\n[redacted:x]MII",
            "[redacted:private-key][redacted:x][redacted:private-key]",
        ),
        ("p://u:ab[redacted:x]@h", "p://u:[redacted:url-password][redacted:x]@h"),
    ] {
        assert_eq!(clean(text).0, expected);
    }
    let mut data = json!({ "password": "hunter2 [redacted:x]" });
    redact(&all(), data.as_object_mut().expect("an object"), &[]);
    assert_eq!(data["password"], "[redacted:credential]");
}

/// Pieces of which texts are made: signs and words at which a rule begins, goes on or ends.
pub(super) const PIECES: [&str; 64] = [
    "password",
    "pwd",
    "token",
    "api_key",
    "Cookie",
    "Authorization",
    "PIN",
    "passphrase",
    "name",
    "value",
    "is",
    "was changed from",
    " to ",
    "=",
    ":",
    ": ",
    ":=",
    "=>",
    " -> ",
    " ",
    "\n",
    "\n- ",
    "\"",
    "'",
    "`",
    "\\",
    "\\\"",
    "\\u0070",
    "%3D",
    "%25",
    "%",
    "&",
    "&amp;",
    "&#61;",
    "?sig=",
    "<",
    ">",
    "<pwd>",
    "</pwd>",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    ",",
    ";",
    ".",
    "....",
    "--password",
    "-u",
    " -p",
    "curl",
    "docker login",
    "a:s3cr3t",
    "hunter2",
    "x",
    "aaaaaaaaaaaaaaaaaaaaaaaa",
    "4111 1111 1111 1111",
    "[redacted:credential]",
    "[redacted",
    "://u:p@h",
    "-----BEGIN PRIVATE KEY-----",
    "ü密码",
];

fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        12 => proptest::sample::select(&PIECES[..]).prop_map(str::to_owned),
        1 => "\\PC{0,8}",
        1 => proptest::sample::select(vec!["x", " ", "ab1.", "ü"])
            .prop_flat_map(|one| (1..300_usize).prop_map(move |times| one.repeat(times))),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        6 => texts().prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => Just(json!(4_111_111_111_111_111_u64)),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            proptest::collection::vec(texts().prop_map(Value::from), 2..10).prop_map(Value::from),
            proptest::collection::vec((texts(), inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Whether `left` is built as `given` was: no field or item is lost.
fn built_alike(given: &Value, left: &Value) -> bool {
    match (given, left) {
        (Value::Array(given), Value::Array(left)) => {
            given.len() == left.len() && given.iter().zip(left).all(|(a, b)| built_alike(a, b))
        }
        (Value::Object(given), Value::Object(left)) => {
            given.len() == left.len()
                && given.values().zip(left.values()).all(|(a, b)| built_alike(a, b))
        }
        (given, Value::String(_)) => {
            given.is_string() || given.is_number() || given.as_array().is_some()
        }
        (given, left) => given == left,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_said_redaction_ends_and_leaves_json_in_which_nothing_more_is_found(given in values()) {
        let own = Rule::parse("own: [a-z]{5,}=").expect("sound");
        let mut rules = all();
        rules.push(own);
        let mut left = Map::from_iter([("data".to_owned(), given.clone())]);
        let told = redact(&rules, &mut left, &[""]);
        prop_assert!(built_alike(&given, &left["data"]), "{given} became {}", left["data"]);
        let text = json!(left).to_string();
        let read: Map<String, Value> = serde_json::from_str(&text).expect("it is JSON");
        prop_assert_eq!(&read, &left);
        prop_assert_eq!(told.is_none(), left["data"] == given);
        let before = left.clone();
        prop_assert_eq!(redact(&rules, &mut left, &[""]), None, "{:?}", json!(before).to_string());
        prop_assert_eq!(left, before);
    }
}
