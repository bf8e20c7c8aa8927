//! Owns the strict reading of TOML into typed values: every key is asked for by name, everything
//! nobody asked for is a problem, and reading goes on after a problem so that all are found at
//! once. Knows no key of the configuration by itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use jiff::SignedDuration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use url::Url;

use super::KEYS;
use super::problem::ConfigProblem;
use crate::secret::{REDACTED, Secret};

/// What is said of a duration that is none.
const DURATION: &str =
    "write a duration with its unit, such as \"500ms\", \"30s\", \"10m\" or \"24h\"";
/// What is said of a size that is none.
const SIZE: &str = "write a size with its unit, such as \"512 KiB\", \"10 MiB\" or \"2 GiB\"";

/// The table whose tables have names of the operator's choice.
const WORKFLOWS: &str = "workflows";

/// A configuration file being read, and what is wrong with it so far.
pub(super) struct Document<'a> {
    file: &'a Path,
    source: &'a str,
    root: DeTable<'a>,
    tables: Vec<String>,
    lines: BTreeMap<String, usize>,
    problems: Vec<ConfigProblem>,
}

impl<'a> Document<'a> {
    /// Parse `source`, the content of `file`. Faults of syntax become problems like all others.
    pub(super) fn new(file: &'a Path, source: &'a str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(source);
        let root = root.into_inner();
        let (tables, lines, problems) = (Vec::new(), BTreeMap::new(), Vec::new());
        let mut document = Self { file, source, root, tables, lines, problems };
        for error in errors {
            let line = error.span().map(|span| document.line(&span));
            let message = format!("not TOML: {}", error.message().replace('\n', "; "));
            document.report(line, "", message);
        }
        document
    }

    /// The table `name`, empty when it is not there; `outer.inner` is a table within a table.
    pub(super) fn table(&mut self, name: &str) -> Section<'_, 'a> {
        self.tables.push(name.to_owned());
        let entry = match name.split_once('.') {
            None => self.root.remove_entry(name).map(|(_, value)| value),
            Some((outer, inner)) => self.take_inner(outer, inner),
        };
        let table = match entry {
            None => DeTable::new(),
            Some(value) => {
                let (line, raw) = (self.line(&value.span()), self.raw(&value.span()));
                if let DeValue::Table(table) = value.into_inner() {
                    table
                } else {
                    let message = format!("`{raw}` is no table; write a line `[{name}]`");
                    self.report(Some(line), name, message);
                    DeTable::new()
                }
            }
        };
        Section { document: self, name: name.to_owned(), table, known: Vec::new() }
    }

    /// The names of the tables within the table `outer`, with their lines.
    pub(super) fn names_in(&self, outer: &str) -> Vec<(String, usize)> {
        let table = self.root.get(outer).map(Spanned::get_ref).and_then(DeValue::as_table);
        let names = table.into_iter().flatten().map(|(name, _)| name);
        names.map(|name| (name.get_ref().to_string(), self.line(&name.span()))).collect()
    }

    /// Whether something is wrong with a key of the table `name`.
    pub(super) fn is_wrong(&self, name: &str) -> bool {
        let inside = |key: &str| key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        self.problems.iter().any(|problem| problem.key == name || inside(&problem.key))
    }

    /// Note that something is wrong with `key`.
    pub(super) fn wrong(&mut self, line: Option<usize>, key: &str, message: String) {
        self.report(line, key, message);
    }

    /// Take the table `inner` out of the table `outer`, which is left for what else is in it.
    fn take_inner(&mut self, outer: &str, inner: &str) -> Option<Spanned<DeValue<'a>>> {
        let DeValue::Table(table) = self.root.get_mut(outer)?.get_mut() else { return None };
        let found = table.remove_entry(inner).map(|(_, value)| value);
        if table.is_empty() {
            self.root.remove_entry(outer);
        }
        found
    }

    /// Report what nobody asked for, and hand over the lines of the keys and all problems.
    pub(super) fn finish(mut self) -> (BTreeMap<String, usize>, Vec<ConfigProblem>) {
        for (key, value) in std::mem::take(&mut self.root) {
            let line = self.line(&key.span());
            let prefix = format!("{}.", key.get_ref());
            let outer = self.tables.iter().any(|table| table.starts_with(&prefix));
            if let (true, DeValue::Table(inner)) = (outer, value.get_ref()) {
                for (name, _) in inner {
                    let full = format!("{prefix}{}", name.get_ref());
                    let why = unknown(&full, "table or key", "the tables are", &self.tables);
                    self.report(Some(self.line(&name.span())), &full, why);
                }
                continue;
            }
            let kind = if value.get_ref().is_table() { "table" } else { "key outside all tables" };
            if let Some(meant) = self.outer_like(key.get_ref()) {
                let why = format!("unknown {kind}; did you mean `[{meant}.NAME]`?");
                self.report(Some(line), key.get_ref(), why);
                continue;
            }
            let why = unknown(key.get_ref(), kind, "the tables are", &self.tables);
            self.report(Some(line), key.get_ref(), why);
        }
        (self.lines, self.problems)
    }

    /// The table of tables that `key` was probably meant to be: `workflows` by `workflow`.
    fn outer_like(&self, key: &str) -> Option<String> {
        let outer = self.tables.iter().filter_map(|table| table.split_once('.'));
        let mut outer = outer.map(|(outer, _)| outer).chain([WORKFLOWS]);
        let like = |outer: &&str| *outer != key && strsim::damerau_levenshtein(outer, key) <= 2;
        outer.find(like).map(str::to_owned)
    }

    fn report(&mut self, line: Option<usize>, key: &str, message: String) {
        let (file, key) = (self.file.to_owned(), key.to_owned());
        self.problems.push(ConfigProblem { file, line, key, message });
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.source.get(..span.start).unwrap_or_default();
        before.matches('\n').count() + 1
    }

    /// The value as it stands in the file, cut where it would fill the screen.
    fn raw(&self, span: &Range<usize>) -> String {
        let raw = self.source.get(span.clone()).unwrap_or_default();
        let first: String = raw.lines().next().unwrap_or_default().chars().take(60).collect();
        if first.len() < raw.len() { format!("{first}…") } else { first }
    }
}

/// One table being read.
pub(super) struct Section<'d, 'a> {
    document: &'d mut Document<'a>,
    name: String,
    table: DeTable<'a>,
    known: Vec<&'static str>,
}

impl Section<'_, '_> {
    /// The value of `key` as `read` understands it; `default` when it is not there or wrong.
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> T {
        self.read(key, default, true, read)
    }

    fn read<T>(
        &mut self,
        key: &'static str,
        default: T,
        shown: bool,
        read: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> T {
        self.known.push(key);
        let Some((name, value)) = self.table.remove_entry(key) else { return default };
        let line = self.document.line(&name.span());
        let full = format!("{}.{key}", self.name);
        self.document.lines.insert(full.clone(), line);
        read(value.get_ref()).unwrap_or_else(|why| {
            let raw = if shown { self.document.raw(&value.span()) } else { REDACTED.to_owned() };
            self.document.report(Some(line), &full, format!("`{raw}`: {why}"));
            default
        })
    }

    /// The same for a key whose empty text means "none".
    pub(super) fn option<T>(
        &mut self,
        key: &'static str,
        default: Option<T>,
        read: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        self.get(key, default, |value| match value.as_str() {
            Some("") => Ok(None),
            _ => read(value).map(Some),
        })
    }

    /// Text that is never shown, not even when it is wrong; none when it is empty.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<Secret<String>> {
        self.read(key, None, false, |value| match value.as_str() {
            Some("") => Ok(None),
            _ => text(value).map(Secret::new).map(Some),
        })
    }

    /// Report the keys nobody asked for.
    pub(super) fn finish(self) {
        for (key, _) in self.table {
            let line = self.document.line(&key.span());
            let full = format!("{}.{}", self.name, key.get_ref());
            let known = format!("the keys of [{}] are", self.name);
            let why = unknown(key.get_ref(), "key", &known, &self.known);
            self.document.report(Some(line), &full, why);
        }
    }
}

/// What is said of a key that nobody knows: what it may have been meant to be, and what there is.
fn unknown(key: &str, kind: &str, introduction: &str, known: &[impl AsRef<str>]) -> String {
    let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    let elsewhere = KEYS.iter().map(super::Key::parts).find(|(_, name)| *name == key);
    let near = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(name, key), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min_by_key(|(distance, _)| *distance);
    let remedy = match (near, elsewhere) {
        (Some((_, name)), _) => format!("did you mean `{name}`? "),
        (None, Some((table, _))) => format!("it belongs under [{table}]; "),
        (None, None) => String::new(),
    };
    format!("unknown {kind}; {remedy}{introduction} {}", known.join(", "))
}

/// Text.
pub(super) fn text(value: &DeValue<'_>) -> Result<String, String> {
    match value.as_str() {
        Some("") => Err("must not be empty".into()),
        Some(text) => Ok(text.to_owned()),
        None => Err("write text in quotes".into()),
    }
}

/// A path, not yet resolved.
pub(super) fn path(value: &DeValue<'_>) -> Result<PathBuf, String> {
    text(value).map(PathBuf::from)
}

/// An address of the web.
pub(super) fn url(value: &DeValue<'_>) -> Result<Url, String> {
    let why = "write an address with its scheme, such as \"https://pagebolt.dev\"";
    value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| why.into())
}

/// A list of whole numbers.
pub(super) fn numbers(value: &DeValue<'_>) -> Result<Vec<u32>, String> {
    let why = "write a list of numbers, such as [1000, 1001]";
    let items = value.as_array().ok_or(why)?;
    let one = number(0..=u32::MAX.into());
    items.iter().map(|item| one(item.get_ref()).map_err(|_| why.into())).collect()
}

/// `true` or `false`.
pub(super) fn switch(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "write true or false, without quotes".into())
}

/// A whole number in `range`.
pub(super) fn number<T>(range: RangeInclusive<u64>) -> impl Fn(&DeValue<'_>) -> Result<T, String>
where
    T: TryFrom<u64>,
{
    move |value| {
        let why = || format!("write a whole number from {} to {}", range.start(), range.end());
        let digits = value.as_integer().ok_or_else(why)?;
        let number = u64::from_str_radix(digits.as_str(), digits.radix()).map_err(|_| why())?;
        if !range.contains(&number) {
            return Err(why());
        }
        T::try_from(number).map_err(|_| why())
    }
}

/// A duration such as `30s`: jiff's "friendly" form.
pub(super) fn duration(value: &DeValue<'_>) -> Result<Duration, String> {
    let duration: SignedDuration =
        value.as_str().and_then(|text| text.parse().ok()).ok_or(DURATION)?;
    Duration::try_from(duration).map_err(|_| format!("a duration cannot be negative; {DURATION}"))
}

/// A size in bytes such as `10 MiB`. A bare number is refused: nobody knows what it counts.
pub(super) fn size(value: &DeValue<'_>) -> Result<u64, String> {
    let text = value.as_str().filter(|text| text.ends_with(['b', 'B'])).ok_or(SIZE)?;
    text.parse::<ByteSize>().map(|size| size.as_u64()).map_err(|_| SIZE.into())
}

/// Permission bits as octal text.
pub(super) fn mode(value: &DeValue<'_>) -> Result<u32, String> {
    let why = "write the permission bits as octal text, such as \"0660\"";
    let mode = value.as_str().and_then(|text| u32::from_str_radix(text, 8).ok()).ok_or(why)?;
    if mode <= 0o777 { Ok(mode) } else { Err(why.into()) }
}

/// An address and a port.
pub(super) fn address(value: &DeValue<'_>) -> Result<SocketAddr, String> {
    let why =
        "write a loopback address with its port, such as \"127.0.0.1:8420\" or \"[::1]:8420\"";
    value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| why.into())
}

/// A list of texts.
pub(super) fn list(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let why = "write a list of texts, such as [\"one\", \"two\"]";
    let items = value.as_array().ok_or(why)?;
    items
        .iter()
        .map(|item| item.get_ref().as_str().map(str::to_owned).ok_or_else(|| why.into()))
        .collect()
}
