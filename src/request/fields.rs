//! Owns the reading of one JSON object field by field: types, limits and leftovers. Every problem
//! is collected, so that a caller learns all of them from one answer.

use std::fmt::Display;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::error::{Code, Problem};

/// Most unknown fields that are told of, and most bytes of a name that may be meant for another.
const LEFTOVERS: usize = 20;
const LONGEST: usize = 100;

/// A JSON object whose fields are taken out one by one; what is left over is unknown.
#[derive(Debug)]
pub(super) struct Fields {
    map: Map<String, Value>,
    /// What stands before a field's name in messages: `clip.` for the fields of `clip`.
    prefix: String,
    problems: Vec<Problem>,
    known: Vec<&'static str>,
    aliases: Vec<(&'static str, &'static str)>,
}

impl Fields {
    /// The fields of `value`.
    ///
    /// # Errors
    /// `invalid_json` when it is no object.
    pub(super) fn of(value: Value) -> Result<Self, Problem> {
        match value {
            Value::Object(map) => Ok(Self::new(map, String::new())),
            other => Err(Problem::new(
                Code::InvalidJson,
                format!("the body is {}; send a JSON object", kind(&other)),
            )),
        }
    }

    fn new(map: Map<String, Value>, prefix: String) -> Self {
        Self { map, prefix, problems: Vec::new(), known: Vec::new(), aliases: Vec::new() }
    }

    /// Whether `name` is there (and not null).
    pub(super) fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    /// Move the value of `from` to `to`, unless `to` is there: for spellings callers also use.
    pub(super) fn rename(&mut self, from: &'static str, to: &'static str) {
        if self.has(from)
            && !self.has(to)
            && let Some(value) = self.map.remove(from)
        {
            self.map.insert(to.to_owned(), value);
            self.alias(from, to);
        }
    }

    /// Note that `from` was sent for `to`.
    pub(super) fn alias(&mut self, from: &'static str, to: &'static str) {
        self.aliases.push((from, to));
    }

    /// The spellings that were accepted for others: (sent, meant).
    pub(super) fn aliases(&mut self) -> Vec<(&'static str, &'static str)> {
        std::mem::take(&mut self.aliases)
    }

    /// The value of `name` as it is; null counts as absent.
    pub(super) fn value(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.map.remove(name).filter(|value| !value.is_null())
    }

    /// A string of at most `limit` bytes.
    pub(super) fn text(&mut self, name: &'static str, limit: usize) -> Option<String> {
        match self.value(name)? {
            Value::String(text) if text.len() <= limit => Some(text),
            Value::String(text) => {
                let found = format!("{} bytes long", text.len());
                self.wrong(name, &found, &format!("give at most {limit} bytes"))
            }
            other => self.wrong(name, kind(&other), "give a string"),
        }
    }

    /// A string that is not empty, of at most `limit` bytes.
    pub(super) fn filled_text(&mut self, name: &'static str, limit: usize) -> Option<String> {
        match self.text(name, limit)? {
            text if text.is_empty() => self.wrong(name, "empty", "give a value or leave it out"),
            text => Some(text),
        }
    }

    /// A whole number within `limits`.
    pub(super) fn int(&mut self, name: &'static str, limits: RangeInclusive<u32>) -> Option<u32> {
        let remedy = format!("give a whole number from {} to {}", limits.start(), limits.end());
        let value = self.value(name)?;
        // 720.0 is a whole number to every caller whose language has one kind of number.
        let whole = value.as_u64().or_else(|| {
            let number = value.as_f64().filter(|number| number.fract() == 0.0 && *number >= 0.0)?;
            format!("{number:.0}").parse().ok()
        });
        match whole.and_then(|whole| u32::try_from(whole).ok()) {
            Some(whole) if limits.contains(&whole) => Some(whole),
            _ => self.wrong(name, &shown(&value), &remedy),
        }
    }

    /// A number within `limits`.
    pub(super) fn number(
        &mut self,
        name: &'static str,
        limits: RangeInclusive<f64>,
    ) -> Option<f64> {
        let remedy = format!("give a number from {} to {}", limits.start(), limits.end());
        let value = self.value(name)?;
        match value.as_f64() {
            Some(number) if limits.contains(&number) => Some(number),
            _ => self.wrong(name, &shown(&value), &remedy),
        }
    }

    /// true or false.
    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.value(name)? {
            Value::Bool(flag) => Some(flag),
            other => self.wrong(name, &shown(&other), "give true or false"),
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let value = self.value(name)?;
        let chosen = value.as_str().and_then(|word| choices.iter().find(|(name, _)| *name == word));
        if let Some((_, chosen)) = chosen {
            return Some(*chosen);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        self.wrong(name, &shown(&value), &format!("give one of {}", words.join(", ")))
    }

    /// A list of at most `limit` values.
    pub(super) fn list(&mut self, name: &'static str, limit: usize) -> Option<Vec<Value>> {
        match self.value(name)? {
            Value::Array(values) if values.len() <= limit => Some(values),
            Value::Array(values) => {
                let found = format!("a list of {}", values.len());
                self.wrong(name, &found, &format!("give at most {limit}"))
            }
            other => self.wrong(name, kind(&other), "give a list"),
        }
    }

    /// An object, whose fields `read` takes out.
    pub(super) fn object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        match self.value(name)? {
            Value::Object(map) => self.nested(map, format!("{}{name}.", self.prefix), read),
            other => self.wrong(name, kind(&other), "give an object"),
        }
    }

    /// The fields of `map`, called `prefix` in messages; its problems become ours.
    pub(super) fn nested<T>(
        &mut self,
        map: Map<String, Value>,
        prefix: String,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let mut inner = Self::new(map, prefix);
        let result = read(&mut inner);
        inner.refuse_leftovers();
        self.problems.append(&mut inner.problems);
        self.aliases.append(&mut inner.aliases);
        result
    }

    /// Everything that was not taken out.
    pub(super) fn rest(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.map)
    }

    /// What a field is called in messages.
    pub(super) fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Note that the value found for `name` will not do, and what to do about it.
    pub(super) fn wrong<T>(&mut self, name: &str, found: &str, remedy: &str) -> Option<T> {
        let field = format!("{}{name}", self.prefix);
        let message = format!("`{field}` is {found}; {remedy}");
        self.problem(Problem::new(Code::InvalidField, message).field(field))
    }

    /// Note a problem.
    pub(super) fn problem<T>(&mut self, problem: Problem) -> Option<T> {
        self.problems.push(problem);
        None
    }

    /// Refuse what was not taken out, naming the nearest known field.
    pub(super) fn refuse_leftovers(&mut self) {
        for name in self.rest().keys().take(LEFTOVERS) {
            let field = format!("{}{name}", self.prefix);
            let message = match nearest(name, &self.known) {
                Some(near) => {
                    format!("`{field}` is not a field here; did you mean `{}{near}`?", self.prefix)
                }
                None => format!("`{field}` is not a field here; leave it out"),
            };
            self.problems.push(Problem::new(Code::UnknownField, message).field(field));
        }
    }

    /// `result`, unless a problem was noted: then the first problem, with the others in its hint.
    ///
    /// # Errors
    /// The problems noted so far.
    pub(super) fn finish<T>(mut self, result: Option<T>) -> Result<T, Problem> {
        if self.problems.is_empty()
            && let Some(result) = result
        {
            return Ok(result);
        }
        let others: Vec<String> = self.problems.iter().skip(1).map(ToString::to_string).collect();
        let first = if self.problems.is_empty() {
            Problem::new(Code::Internal, "the request could not be read, and nothing says why")
        } else {
            self.problems.swap_remove(0)
        };
        Err(if others.is_empty() {
            first
        } else {
            first.hint(format!("also: {}", others.join(". ")))
        })
    }
}

/// The name in `known` that `name` was probably meant to be.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    let scored = known.iter().map(|known| (strsim::damerau_levenshtein(name, known), *known));
    let (distance, near) = scored.min()?;
    (distance <= 1 + name.len() / 4).then_some(near)
}

/// What sort of JSON value this is, with an article.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A value short enough for a message.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => kind(value).to_owned(),
        scalar => shortened(scalar),
    }
}

/// The first 60 characters of `text`.
pub(super) fn shortened(text: impl Display) -> String {
    let text = text.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
