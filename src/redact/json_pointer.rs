//! Owns where secrets were found: places in a JSON value, how often each rule found one there, and what
//! of that is told. A place is written out only when something was found there.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::rule::Rule;

/// Most places that an event names; beyond these only their number is told.
pub(super) const MAX_PLACES: usize = 100;
/// Longest place that is named, in bytes: names of fields are the caller's.
const MAX_PLACE: usize = 1_000;

/// A place in a JSON value: a step from the place above it.
#[derive(Clone, Copy)]
pub(super) struct JsonPointer<'p> {
    above: Option<&'p JsonPointer<'p>>,
    step: Step<'p>,
    /// Bytes of its pointer; no longer counted above [`MAX_PLACE`].
    length: usize,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Name(&'p str),
    Index(usize),
}

impl<'p> JsonPointer<'p> {
    pub(super) const ROOT: JsonPointer<'static> =
        JsonPointer { above: None, step: Step::Root, length: 0 };

    /// The field `name` of what is here.
    pub(super) fn field(&'p self, name: &'p str) -> JsonPointer<'p> {
        let escaped = || name.bytes().filter(|byte| matches!(byte, b'~' | b'/')).count();
        let short = self.length + name.len() <= MAX_PLACE;
        let own = if short { name.len() + escaped() } else { MAX_PLACE };
        JsonPointer { above: Some(self), step: Step::Name(name), length: self.length + 1 + own }
    }

    /// The item `index` of what is here.
    pub(super) fn item(&'p self, index: usize) -> JsonPointer<'p> {
        let digits = index.checked_ilog10().unwrap_or(0) as usize + 1;
        JsonPointer {
            above: Some(self),
            step: Step::Index(index),
            length: self.length + 1 + digits,
        }
    }

    /// Whether `pointer` names this place.
    pub(super) fn is(&self, pointer: &str) -> bool {
        self.length == pointer.len() && self.pointer().as_deref() == Some(pointer)
    }

    /// The place as a JSON pointer (RFC 6901); none of one that is too long to be named.
    fn pointer(&self) -> Option<String> {
        if self.length > MAX_PLACE {
            return None;
        }
        let up = std::iter::successors(Some(self), |place| place.above);
        let steps: Vec<Step<'_>> = up.map(|place| place.step).collect();
        let mut pointer = String::with_capacity(self.length);
        for step in steps.into_iter().rev() {
            match step {
                Step::Root => {}
                Step::Name(name) => {
                    pointer.push('/');
                    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                }
                Step::Index(index) => {
                    pointer.push('/');
                    pointer.push_str(&index.to_string());
                }
            }
        }
        Some(pointer)
    }
}

/// How often each rule found something at one place, by the rule's number.
#[derive(Default)]
pub(super) struct Tally(BTreeMap<usize, u64>);

impl Tally {
    pub(super) fn add(&mut self, rule: usize, count: u64) {
        *self.0.entry(rule).or_default() += count;
    }
}

/// What was found: by place and rule, how often. Of many places the first by name are kept.
#[derive(Default)]
pub(super) struct Hits<'r> {
    told: BTreeMap<(String, &'r str), u64>,
    places: usize,
    times: u64,
}

impl<'r> Hits<'r> {
    /// What was found at `place`.
    pub(super) fn add(&mut self, place: &JsonPointer<'_>, rules: &'r [Rule], tally: Tally) {
        for (rule, count) in tally.0 {
            self.places += 1;
            self.times += count;
            let Some(pointer) = place.pointer() else { continue };
            let key = (pointer, rules[rule].name.as_str());
            if let Some(told) = self.told.get_mut(&key) {
                *told += count;
                self.places -= 1;
                continue;
            }
            self.told.insert(key, count);
            if self.told.len() > MAX_PLACES {
                self.told.pop_last();
            }
        }
    }

    /// How often something was found.
    pub(super) fn times(&self) -> u64 {
        self.times
    }

    /// What is put on record; none when nothing was found.
    pub(super) fn into_record(self) -> Option<Value> {
        let one = |((path, rule), count)| json!({ "rule": rule, "count": count, "path": path });
        let mut told: Vec<Value> = self.told.into_iter().map(one).collect();
        if told.len() < self.places {
            told.push(json!({ "more_places": self.places - told.len() }));
        }
        (!told.is_empty()).then_some(Value::Array(told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_knows_the_length_of_its_pointer() {
        let (root, long) = (JsonPointer::ROOT, "~".repeat(MAX_PLACE));
        let a = root.field("a/~b");
        let b = a.item(10);
        let c = b.item(9);
        for (place, pointer) in
            [(&root, ""), (&a, "/a~1~0b"), (&b, "/a~1~0b/10"), (&c, "/a~1~0b/10/9")]
        {
            assert_eq!(place.pointer().as_deref(), Some(pointer));
            assert!(place.is(pointer) && !place.is("/x"));
        }
        assert_eq!(c.field(&long).pointer(), None);
        assert_eq!(c.field(&long).field("x").item(1).pointer(), None);
    }
}
