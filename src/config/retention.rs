//! Owns what can be configured of retention: the classes by which runs are kept, and the reading of
//! `[retention]`. What is recorded of it with a run is [`retention`](crate::retention)'s.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::Config;
use super::read::Document;
use crate::retention::Retention as Promise;
use crate::workflow::Policy;

/// Longest time that can be written: a hundred years.
const MAX_DAYS: u32 = 36_525;
/// Longest name of a class.
const MAX_NAME: usize = 100;
/// What is said of a number of days that is none.
const DAYS: &str = "write whole days from \"0d\" to \"36525d\", such as \"400d\"";

/// `[retention]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days for which runs without a class are kept.
    pub default: u32,
    /// The same by class.
    pub classes: BTreeMap<String, u32>,
    /// Most days for which a bundle of another store is kept because of what was promised there; none
    /// for the longest of these.
    pub imports: Option<u32>,
}

impl Default for Retention {
    fn default() -> Self {
        let classes = [("financial", 2555), ("access", 400), ("operations", 400)];
        let classes = classes.map(|(name, days)| (name.to_owned(), days)).into();
        Self { default: 400, classes, imports: None }
    }
}

impl Retention {
    /// Days for which runs of the class `class` are kept; a class that is not there any more is
    /// kept as runs without one.
    pub fn days(&self, class: Option<&str>) -> u32 {
        class.and_then(|class| self.classes.get(class)).copied().unwrap_or(self.default)
    }

    /// Most days for which the promise of another store binds this one.
    pub fn imports(&self) -> u32 {
        let longest = || self.classes.values().copied().fold(self.default, u32::max);
        self.imports.unwrap_or_else(longest)
    }

    /// What is promised of a run that is opened under `policy`.
    pub fn promise(&self, policy: Option<&Policy>) -> Promise {
        let class = policy.and_then(|policy| policy.retention.clone());
        let days = self.days(class.as_deref());
        Promise { class, days }
    }

    /// The classes, as TOML.
    pub(super) fn classes_value(&self) -> toml::Value {
        let days = |(name, days): (&String, &u32)| (name.clone(), text_of(*days));
        self.classes.iter().map(days).collect::<toml::Table>().into()
    }
}

/// `days` as they are written.
pub(super) fn text_of(days: u32) -> toml::Value {
    format!("{days}d").into()
}

/// Read `[retention]`; the classes that come with the program stay where none of that name is given.
pub(super) fn retention(document: &mut Document<'_>, default: Retention) -> Retention {
    let mut table = document.table("retention");
    let known = default.classes;
    let retention = Retention {
        default: table.get("default", default.default, days),
        classes: table.get("classes", known.clone(), |value| classes(value, &known)),
        imports: table.get("imports", default.imports, |value| match value.as_str() {
            Some("") => Ok(None),
            _ => days(value).map(Some),
        }),
    };
    table.finish();
    retention
}

/// Workflows whose class nobody configured, each with its key and what to do.
pub(super) fn unknown_classes(config: &Config) -> Vec<(String, String)> {
    let known = &config.retention.classes;
    let unknown = |(name, policy): (&String, &Policy)| {
        let class = policy.retention.as_ref().filter(|class| !known.contains_key(*class))?;
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        let message = format!(
            "`{class}` is no retention class; write one of {}, or add it to `retention.classes`",
            names.join(", ")
        );
        Some((format!("workflows.{name}.retention"), message))
    };
    config.workflows.0.iter().filter_map(unknown).collect()
}

fn days(value: &DeValue<'_>) -> Result<u32, String> {
    let digits = value.as_str().and_then(|text| text.strip_suffix('d')).ok_or(DAYS)?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let days = plain.then(|| digits.parse().ok()).flatten();
    days.filter(|days| *days <= MAX_DAYS).ok_or_else(|| DAYS.into())
}

fn classes(
    value: &DeValue<'_>,
    known: &BTreeMap<String, u32>,
) -> Result<BTreeMap<String, u32>, String> {
    let remedy = "write { financial = \"2555d\" }: classes, each with its days";
    let table = value.as_table().ok_or(remedy)?;
    let mut classes = known.clone();
    for (name, value) in table {
        let name = name.get_ref();
        let sound = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(sound) {
            return Err(format!(
                "`{name}` is no name of a class; write 1 to 100 of letters, digits and . _ -"
            ));
        }
        let days = days(value.get_ref()).map_err(|why| format!("of `{name}`: {why}"))?;
        classes.insert(name.to_string(), days);
    }
    Ok(classes)
}
