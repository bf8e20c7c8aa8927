//! Holds that the code names things by the words of docs/GLOSSARY.md: no type and no function is called
//! what it was called before it had one, and no two types share a name that says nothing of either.
//! Lines are read as text, and not compiled.

use std::collections::BTreeMap;

use super::{code, nothing, sources};

/// What types were called that have a word of the field by now.
const FORMER_TYPES: &[&str] = &[
    "Custodian",
    "Deed",
    "Making",
    "Order",
    "RecordingOrder",
    "SequenceOrder",
    "SessionOrder",
    "Stamp",
    "Taken",
    "Yield",
];

/// Names that say nothing of what a type is: one type may have each.
const PLAIN_TYPES: &[&str] =
    &["Asked", "Entry", "Kind", "Page", "Picture", "Place", "Said", "Seen", "Told", "Wanted"];

/// Words that say of no function what it answers: alone, and with more behind some of them.
const PLAIN_FUNCTIONS: &[&str] =
    &["asked", "come_to_rest", "gave", "said", "saw", "seen", "taken", "told", "went"];
const PLAIN_BEGINNINGS: &[&str] = &["said_", "told_"];

const TYPES: &[&str] = &["enum", "struct", "trait", "type", "union"];
const FUNCTIONS: &[&str] = &["fn"];

#[test]
fn nothing_is_called_what_it_was_called_before_it_had_a_word() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        for (line, name) in named(&text, TYPES) {
            if FORMER_TYPES.contains(&name) {
                wrong.push(format!("{file}:{line}: a type `{name}`"));
            }
        }
        for (line, name) in named(&text, FUNCTIONS) {
            let begins = PLAIN_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning));
            if begins || PLAIN_FUNCTIONS.contains(&name) {
                wrong.push(format!("{file}:{line}: a function `{name}`"));
            }
        }
    }
    nothing("names that docs/GLOSSARY.md has words for", wrong);
}

#[test]
fn no_two_types_share_a_name_that_says_nothing_of_either() {
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (file, text) in sources() {
        for (line, name) in named(&text, TYPES) {
            if let Some(plain) = PLAIN_TYPES.iter().find(|plain| **plain == name) {
                places.entry(*plain).or_default().push(format!("{file}:{line}"));
            }
        }
    }
    let shared = places.iter().filter(|(_, places)| places.len() > 1);
    let shared = shared.map(|(name, places)| format!("`{name}`: {}", places.join(", ")));
    nothing("types of one name; say of each which it is", shared.collect());
}

#[test]
fn a_name_is_found_where_something_gets_it_and_nowhere_else() {
    let text = "//! A struct Order.\n\
        pub(super) struct Order<'a>(&'a str);\n\
        /// The type Told.\n\
        enum Kind { Taken }\n\
        impl Kind { fn told(self) -> &'static str { \"a type Page\" } } // a fn said\n\
        type Said = (f64, String); fn typed(r#type: Order) { Order(\"\") }\n\
        \n#[cfg(test)]\nmod tests {\n    struct Place;\n}\n";
    assert_eq!(named(text, TYPES), [(2, "Order"), (4, "Kind"), (6, "Said")]);
    assert_eq!(named(text, FUNCTIONS), [(5, "told"), (6, "typed")]);
}

/// The names that stand behind one of `keywords` in the code of `text`, with the numbers of their lines.
fn named<'a>(text: &'a str, keywords: &[&str]) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    for (number, line) in code(text) {
        let line = line.split(" //").next().unwrap_or(line);
        // Of what stands in quotation marks nothing gets a name.
        for part in line.split('"').step_by(2) {
            let is_inside = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '#');
            let words: Vec<&str> = part.split(|letter: char| !is_inside(letter)).collect();
            let pairs = words.windows(2).filter(|pair| keywords.contains(&pair[0]));
            found.extend(pairs.map(|pair| (number + 1, pair[1])));
        }
    }
    found
}
