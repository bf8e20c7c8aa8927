//! Owns an accessibility tree as Chromium gives it (`Accessibility.getFullAXTree`), read from bytes
//! that nobody vouches for: so many nodes and no more, each reached once, however they are linked.
//! Knows nothing of what the roles mean.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;

/// Most nodes that are read.
pub(super) const MAX_NODES: usize = 20_000;

/// Why a tree cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WordsError {
    /// It is not what Chromium gives.
    #[error("it is no accessibility tree as Chromium gives it")]
    Unreadable(#[source] serde_json::Error),
    /// There is nothing in it.
    #[error("the accessibility tree has no node")]
    Empty,
}

/// The nodes of a page, the first of them its root.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    /// Nodes that were not read.
    pub(super) left_out: usize,
}

/// One node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) role: String,
    pub(super) name: String,
    pub(super) value: String,
    /// Whether it says nothing itself, only through what is below it.
    pub(super) ignored: bool,
    pub(super) children: Vec<usize>,
    properties: Vec<Property>,
}

impl Node {
    /// The word of the property `name`.
    pub(super) fn property(&self, name: &str) -> Option<String> {
        let property = self.properties.iter().find(|property| property.name == name)?;
        Some(worded(&property.value.value)).filter(|word| !word.is_empty())
    }

    /// Whether the property `name` is true.
    pub(super) fn is(&self, name: &str) -> bool {
        self.property(name).is_some_and(|word| word == "true")
    }
}

impl Tree {
    /// The tree in `json`.
    pub(super) fn parse(json: &[u8]) -> Result<Self, WordsError> {
        let answer: Answer = serde_json::from_slice(json).map_err(WordsError::Unreadable)?;
        let Nodes { read, left_out } = answer.nodes;
        if read.is_empty() {
            return Err(WordsError::Empty);
        }
        // The first of those with one id is meant.
        let mut places = HashMap::new();
        for (place, raw) in read.iter().enumerate() {
            places.entry(raw.node_id.clone()).or_insert(place);
        }
        // A node has one place in the tree: whatever else claims it does not get it.
        let mut taken = vec![false; read.len()];
        taken[0] = true;
        let nodes = read
            .into_iter()
            .map(|raw| {
                let places = raw.child_ids.iter().filter_map(|id| places.get(id).copied());
                let children = places.filter(|place| !std::mem::replace(&mut taken[*place], true));
                Node {
                    children: children.collect(),
                    role: worded(&raw.role.value),
                    name: worded(&raw.name.value),
                    value: worded(&raw.value.value),
                    ignored: raw.ignored,
                    properties: raw.properties,
                }
            })
            .collect();
        Ok(Self { nodes, left_out })
    }
}

/// A value as a word; what is a list or an object is none.
fn worded(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => match number.as_f64() {
            // Chromium widens its numbers, which shows in the last places.
            Some(number) => ((number * 1e6).round() / 1e6).to_string(),
            None => number.to_string(),
        },
        _ => String::new(),
    }
}

#[derive(Deserialize)]
struct Answer {
    nodes: Nodes,
}

/// The first nodes, and how many more there are.
struct Nodes {
    read: Vec<Raw>,
    left_out: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    node_id: String,
    #[serde(default)]
    ignored: bool,
    #[serde(default)]
    role: AxValue,
    #[serde(default)]
    name: AxValue,
    #[serde(default)]
    value: AxValue,
    #[serde(default)]
    properties: Vec<Property>,
    #[serde(default)]
    child_ids: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Property {
    name: String,
    #[serde(default)]
    value: AxValue,
}

#[derive(Debug, Default, Deserialize)]
#[serde(expecting = "struct Told")]
struct AxValue {
    #[serde(default)]
    value: Value,
}

impl<'de> Deserialize<'de> for Nodes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counting;
        impl<'de> Visitor<'de> for Counting {
            type Value = Nodes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of nodes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Nodes, A::Error> {
                let (mut read, mut left_out) = (Vec::new(), 0);
                while read.len() < MAX_NODES {
                    match list.next_element()? {
                        Some(node) => read.push(node),
                        None => return Ok(Nodes { read, left_out }),
                    }
                }
                while list.next_element::<IgnoredAny>()?.is_some() {
                    left_out += 1;
                }
                Ok(Nodes { read, left_out })
            }
        }
        deserializer.deserialize_seq(Counting)
    }
}
