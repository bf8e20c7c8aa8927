//! Owns the taking out of secrets from what callers say: rules, and their work on a JSON object.
//! What was taken out is told by rule, number and place; the secret itself is told to nobody. The time
//! it takes grows with the text and with nothing else (`cost.rs` holds that).

mod assigned;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod cost;
mod forms;
mod json_pointer;
mod name;
mod rule;
mod spoken;
#[cfg(test)]
mod tests;
mod value;
mod view;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use self::json_pointer::{Hits, JsonPointer, Tally};
use self::name::SecretKind;
use self::value::{Bond, is_secret};
use self::view::View;
pub use rule::{BUILT_IN, Rule, RuleError};

/// How often what is left is looked through again, while something is found in it: what was taken out
/// may have kept a secret out of a rule's reach.
const ROUNDS: usize = 4;
/// From how many items on a list of nothing but secrets is put down as one.
const MANY: usize = 100;

/// What stands in place of what was taken out.
static PLACEHOLDER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\[redacted:[a-z0-9-]{1,60}\]").expect("sound"));

/// Take out of `data` what `rules` find, in values and in names; the names in the objects at the places
/// `ours` are not the caller's, and stay.
///
/// The answer is what to put on record of it: a list of `rule`, `count` and `path` (a JSON pointer,
/// RFC 6901); none when nothing was found.
pub fn redact(rules: &[Rule], data: &mut Map<String, Value>, ours: &[&str]) -> Option<Value> {
    let names = rules.iter().position(Rule::goes_by_names);
    let mut found = Found { rules, names, ours, hits: Hits::default() };
    for _ in 0..ROUNDS {
        let before = found.hits.times();
        found.object(data, &JsonPointer::ROOT, None);
        if found.hits.times() == before {
            break;
        }
    }
    found.hits.into_record()
}

struct Found<'r> {
    rules: &'r [Rule],
    /// The rule that goes by names, where it is one of them.
    names: Option<usize>,
    /// Objects whose names are not the caller's.
    ours: &'r [&'r str],
    hits: Hits<'r>,
}

impl Found<'_> {
    /// `under` is what the name of something around it says of all that is in it.
    fn object(
        &mut self,
        map: &mut Map<String, Value>,
        place: &JsonPointer<'_>,
        under: Option<SecretKind>,
    ) {
        let named = names_a_secret(map);
        let ours = self.ours.iter().any(|ours| place.is(ours));
        let (mut tally, mut numbers) = (Tally::default(), HashMap::new());
        for (name, mut value) in std::mem::take(map) {
            let clean = if ours { None } else { self.text(&name, &[], &mut tally) };
            let own = name::kind(&name);
            let innocent = name::is_innocent(&name);
            let beside = (named && name::is_valued(&name)).then_some(SecretKind::Secret);
            // The names are looked at as they are left, too: so the next look finds nothing else.
            let left = clean
                .as_deref()
                .map_or((own, innocent), |clean| (name::kind(clean), name::is_innocent(clean)));
            let above = under.filter(|_| !(innocent && left.1));
            let kept = free_name(map, &mut numbers, clean.unwrap_or(name));
            self.value(&mut value, &place.field(&kept), own.or(left.0).or(beside).or(above), &[]);
            map.insert(kept, value);
        }
        self.hits.add(place, self.rules, tally);
    }

    /// `kind` is what the name of the value says of it; `given` is where a secret was found in it.
    fn value(
        &mut self,
        value: &mut Value,
        place: &JsonPointer<'_>,
        kind: Option<SecretKind>,
        given: &[Range<usize>],
    ) {
        let mut tally = Tally::default();
        match (self.names, kind) {
            (Some(rule), Some(kind)) if is_secret_value(kind, value) => {
                *value = Value::String(self.rules[rule].placeholder());
                tally.add(rule, 1);
            }
            (Some(rule), Some(kind)) if is_many_secrets(kind, value) => {
                tally.add(rule, value.as_array().map_or(0, Vec::len) as u64);
                *value = Value::String(self.rules[rule].placeholder());
            }
            _ => self.content(value, place, kind, given, &mut tally),
        }
        self.hits.add(place, self.rules, tally);
    }

    fn content(
        &mut self,
        value: &mut Value,
        place: &JsonPointer<'_>,
        kind: Option<SecretKind>,
        given: &[Range<usize>],
        tally: &mut Tally,
    ) {
        match value {
            Value::String(text) => {
                if let Some(clean) = self.text(text, given, tally) {
                    *text = clean;
                }
            }
            // A card's number is one whether or not it stands in quotes.
            Value::Number(number) => {
                if let Some(clean) = self.text(&number.to_string(), &[], tally) {
                    *value = Value::String(clean);
                }
            }
            Value::Array(items) => self.list(items, place, kind),
            Value::Object(map) => self.object(map, place, kind),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// A list; one of arguments or of a name and its value tells by one item what the next one is.
    fn list(&mut self, items: &mut [Value], place: &JsonPointer<'_>, kind: Option<SecretKind>) {
        let given = self.arguments(items);
        let pair = items.len() == 2;
        let (mut next, mut begin, mut passed) = (None, 0, 0);
        for (index, item) in items.iter_mut().enumerate() {
            let whole = begin..begin + item.as_str().map_or(0, str::len);
            let inside = given[passed..].iter().take_while(|range| range.start < whole.end);
            let within = |at: usize| at.clamp(whole.start, whole.end) - whole.start;
            let inside: Vec<Range<usize>> =
                inside.map(|range| within(range.start)..within(range.end)).collect();
            passed += inside.len();
            begin = whole.end + 1;
            let told = item.as_str().and_then(|text| match name::kind(text) {
                _ if name::is_option(text) => Some(SecretKind::Secret),
                Some(kind) if pair && index == 0 && text.len() < 100 => Some(kind),
                _ => None,
            });
            let option = item.as_str().is_some_and(|text| text.starts_with("--"));
            let before = next.take().filter(|_| item.is_string() && !option);
            self.value(item, &place.item(index), before.or(kind), &inside);
            next = told;
        }
    }

    /// In a list that is a command, joined by one blank each: where a program is given a secret, in
    /// order and apart from each other.
    fn arguments(&self, items: &[Value]) -> Vec<Range<usize>> {
        let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
        let (Some(rule), Some(texts)) = (self.names, texts.filter(|texts| texts.len() > 1)) else {
            return Vec::new();
        };
        let found = spoken::commands(&texts.join(" "));
        merged(found.into_iter().map(|range| (range, rule)).collect())
            .into_iter()
            .map(|(range, _)| range)
            .collect()
    }

    /// `text` without what the rules find and what was found before; none when that is nothing.
    fn text(&self, text: &str, given: &[Range<usize>], tally: &mut Tally) -> Option<String> {
        let mut clean = self.once(text, given, tally)?;
        for _ in 1..ROUNDS {
            let Some(next) = self.once(&clean, &[], tally) else { break };
            clean = next;
        }
        Some(clean)
    }

    fn once(&self, text: &str, given: &[Range<usize>], tally: &mut Tally) -> Option<String> {
        let given = given.iter().cloned();
        let mut found: Vec<(Range<usize>, usize)> =
            self.names.map(|names| given.map(|range| (range, names)).collect()).unwrap_or_default();
        found.retain(|(range, _)| !range.is_empty());
        for view in View::all(text) {
            for (at, rule) in self.rules.iter().enumerate() {
                let ranges = rule.find(&view.text).into_iter().map(|range| view.origin(range));
                found.extend(ranges.filter(|range| !range.is_empty()).map(|range| (range, at)));
            }
        }
        let found = beside_placeholders(text, merged(found));
        if found.is_empty() {
            return None;
        }
        let mut clean = String::new();
        let mut end = 0;
        for (range, at) in found {
            clean.push_str(&text[end..range.start]);
            clean.push_str(&self.rules[at].placeholder());
            tally.add(at, 1);
            end = range.end;
        }
        clean.push_str(&text[end..]);
        Some(clean)
    }
}

/// `name`, or with a number behind it where `map` has it already. `numbers` is the next number of each
/// name, so that no number is tried twice.
fn free_name(map: &Map<String, Value>, numbers: &mut HashMap<String, u64>, name: String) -> String {
    if !map.contains_key(&name) {
        return name;
    }
    let number = numbers.entry(name.clone()).or_insert(1);
    loop {
        *number += 1;
        let other = format!("{name}_{number}");
        if !map.contains_key(&other) {
            return other;
        }
    }
}

/// Whether an object holds the name of a secret, whose value is in another field of it.
fn names_a_secret(map: &Map<String, Value>) -> bool {
    map.iter().any(|(name, value)| {
        let names = |text: &str| {
            text.len() < 100
                && !matches!(name::kind(text), None | Some(SecretKind::Likely | SecretKind::Pass))
        };
        name::is_naming(name) && value.as_str().is_some_and(names)
    })
}

/// Whether `value` is a secret under a name of this kind.
fn is_secret_value(kind: SecretKind, value: &Value) -> bool {
    match value {
        Value::String(text) => is_secret(kind, text, Bond::Strong),
        Value::Number(_) if matches!(kind, SecretKind::Secret | SecretKind::Phrase) => true,
        Value::Number(number) if kind == SecretKind::Digits => {
            is_secret(kind, &number.to_string(), Bond::Strong)
        }
        _ => false,
    }
}

/// Whether `value` is a long list of nothing but secrets; many placeholders say no more than one.
fn is_many_secrets(kind: SecretKind, value: &Value) -> bool {
    let Value::Array(items) = value else { return false };
    items.len() >= MANY && items.iter().all(|item| is_secret_value(kind, item))
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

/// What of `found`, which is in order, is not taken out of `text` already.
fn beside_placeholders(
    text: &str,
    found: Vec<(Range<usize>, usize)>,
) -> Vec<(Range<usize>, usize)> {
    if found.is_empty() || !text.contains("[redacted:") {
        return found;
    }
    let mut taken = PLACEHOLDER.find_iter(text).map(|one| one.range()).peekable();
    let mut left = Vec::new();
    for (range, rule) in found {
        let mut begin = range.start;
        while taken.next_if(|taken| taken.end <= begin).is_some() {}
        while let Some(next) = taken.peek().filter(|taken| taken.start < range.end).cloned() {
            left.extend((begin < next.start).then_some((begin..next.start, rule)));
            begin = next.end;
            if next.end > range.end {
                break;
            }
            taken.next();
        }
        left.extend((begin < range.end).then_some((begin..range.end, rule)));
    }
    left
}
