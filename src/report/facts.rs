//! Owns what is said of a run as a whole: who, what, when, where and which code. Says of each fact
//! whose word it is.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::story::Story;
use super::text::{between, lines, moment, quoted, spoken, text};
use crate::evidence::CodeNamed;

/// One fact.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) label: String,
    pub(super) value: String,
    /// Whether it is the caller's word.
    pub(super) declared: bool,
    /// Whether it is a digest, an id or an address.
    pub(super) code: bool,
    /// Whether it has several lines.
    pub(super) block: bool,
}

/// Facts that belong together.
#[derive(Debug)]
pub(super) struct Panel {
    pub(super) title: Cow<'static, str>,
    pub(super) facts: Vec<Fact>,
}

/// Facts, of which those without a value are left out.
#[derive(Debug, Default)]
pub(super) struct Facts(Vec<Fact>);

impl Facts {
    pub(super) fn observed(self, label: &str, value: impl Into<String>) -> Self {
        self.add(label, value.into(), false, false)
    }

    pub(super) fn exact(self, label: &str, value: impl Into<String>) -> Self {
        self.add(label, value.into(), false, true)
    }

    fn declared(self, label: &str, value: impl Into<String>) -> Self {
        self.add(label, value.into(), true, false)
    }

    fn add(mut self, label: &str, value: String, declared: bool, code: bool) -> Self {
        if !value.is_empty() {
            let block = value.contains('\n');
            self.0.push(Fact { label: label.to_owned(), value, declared, code, block });
        }
        self
    }

    pub(super) fn list(self) -> Vec<Fact> {
        self.0
    }
}

/// What is known of a run: its record, or while it is open its first event.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) fields: Map<String, Value>,
    /// Whether there is a record: the run ended.
    pub(super) ended: bool,
}

impl Record {
    /// The text of the field `name`; empty when there is none.
    pub(super) fn get(&self, name: &str) -> String {
        self.fields.get(name).map_or_else(String::new, spoken)
    }

    /// When the run was opened and when it ended, as far as is known.
    pub(super) fn times(&self, story: &Story) -> (String, String) {
        let (first, last) = story.times.clone().unwrap_or_default();
        let or = |name: &str, other: String| match self.get(name) {
            text if text.is_empty() => other,
            text => text,
        };
        let sealed = if self.ended { last } else { String::new() };
        (or("opened_at", first), or("sealed_at", sealed))
    }

    /// Who, what, when and where.
    pub(super) fn panels(&self, story: &Story) -> Vec<Panel> {
        let (opened, ended) = self.times(story);
        let in_words = |time: &str| {
            if time.is_empty() {
                return String::new();
            }
            let (day, time) = moment(time);
            format!("{day}, {time} UTC").trim_start_matches(", ").to_owned()
        };
        let who = Facts::default()
            .declared("Agent", self.get("agent"))
            .declared("On behalf of", self.get("principal"))
            .observed("Asked by", self.fields.get("caller").map_or_else(String::new, caller));
        let what = Facts::default()
            .declared("Workflow", self.get("workflow"))
            .declared("Subject", self.get("subject"))
            .declared("Controls", self.get("controls"))
            .declared("Outcome", self.get("outcome"))
            .declared("Reason", self.get("reason"))
            .declared("Labels", self.fields.get("labels").map_or_else(String::new, labels));
        let when = Facts::default()
            .observed("Opened", in_words(&opened))
            .observed(if self.ended { "Sealed" } else { "Last event" }, in_words(&ended))
            .observed("Lasted", between(&opened, &ended))
            .observed("Clock", story.clock.to_string());
        let place = Facts::default()
            .observed("Host", self.get("host"))
            .observed("Recorded by", prefixed("exhibit ", self.get("exhibit")))
            .exact("Run", self.get("run"))
            .exact("Trace", self.get("traceparent"));
        [("Who", who), ("What", what), ("When", when), ("Where", place)]
            .map(|(title, facts)| Panel { title: title.into(), facts: facts.list() })
            .into()
    }

    /// The code that ran, as its caller declared it or as it was read, by each event that names some.
    pub(super) fn code(&self, story: &Story) -> Vec<Panel> {
        if !story.code.is_empty() {
            return story.code.iter().map(code_panel).collect();
        }
        // Without readable events the record is all there is.
        let code = self.fields.get("code").and_then(Value::as_object).cloned();
        let named = code.map(|code| CodeNamed { event: 1, code, work_tree: None, file: None });
        named.iter().map(code_panel).collect()
    }

    /// What the run is called.
    pub(super) fn title(&self) -> String {
        let mut workflow = self.get("workflow").replace(['-', '_'], " ");
        if let Some(first) = workflow.get(..1) {
            workflow = format!("{}{}", first.to_uppercase(), &workflow[1..]);
        }
        match (workflow.is_empty(), self.get("subject")) {
            (true, _) => "A run without a readable record".to_owned(),
            (false, subject) if subject.is_empty() => workflow,
            (false, subject) => format!("{workflow} · {subject}"),
        }
    }
}

/// What one event names of the code.
fn code_panel(named: &CodeNamed) -> Panel {
    const KNOWN: [(&str, &str); 8] = [
        ("repository", "Repository"),
        ("commit", "Commit"),
        ("path", "Path"),
        ("symbol", "Symbol"),
        ("sha256", "SHA-256"),
        ("reviewer", "Reviewer"),
        ("review", "Review"),
        ("snippet", "Snippet"),
    ];
    let CodeNamed { event, code, work_tree, file } = named;
    // What was read here is no longer the caller's word alone.
    let seen = |name: &str| match name {
        "commit" => work_tree.is_some(),
        "sha256" => file.is_some(),
        _ => false,
    };
    let mut facts = Facts::default();
    for (name, label) in KNOWN {
        // Only code has lines of its own; elsewhere they could pass for facts of ours.
        let shown = if name == "snippet" { block } else { spoken };
        let value = code.get(name).map_or_else(String::new, shown);
        facts = facts.add(label, value, !seen(name), true);
    }
    let others = code.iter().filter(|(name, _)| !KNOWN.iter().any(|known| known.0 == *name));
    for (name, value) in others.take(20) {
        facts = facts.add(&text(name), spoken(value), true, true);
    }
    let tree = work_tree.clone().unwrap_or_default();
    for (name, label) in [
        ("state", "Work tree"),
        ("commit", "Its commit"),
        ("compared", "Files compared"),
        ("changed", "Files changed"),
        ("reason", "Reason"),
    ] {
        facts = facts.add(label, tree.get(name).map_or_else(String::new, spoken), false, true);
    }
    let facts = facts.exact("File", file.as_deref().map_or_else(String::new, text));
    let title = match event {
        1 => "Named when the run was opened".to_owned(),
        event => format!("Named by event {event}"),
    };
    Panel { title: title.into(), facts: facts.list() }
}

/// A text with its lines, at most 20,000 characters of it; other values as JSON.
fn block(value: &Value) -> String {
    match value {
        Value::String(string) => {
            lines(&string.chars().take(20_000).collect::<String>()).trim_end().to_owned()
        }
        other => spoken(other),
    }
}

fn prefixed(prefix: &str, value: String) -> String {
    if value.is_empty() { value } else { format!("{prefix}{value}") }
}

/// Who asked, in words.
pub(crate) fn caller(caller: &Value) -> String {
    let get = |name: &str| spoken(&caller[name]);
    match caller["via"].as_str() {
        Some("socket") => {
            let process = prefixed(", process ", get("pid"));
            format!("user {}, group {}{process}, over the Unix socket", get("uid"), get("gid"))
        }
        Some("key") => format!("key {} ({})", quoted(&get("name")), get("id")),
        Some("daemon") => "the daemon itself".to_owned(),
        _ => spoken(caller),
    }
}

fn labels(labels: &Value) -> String {
    let labels = labels.as_object().into_iter().flatten().take(50);
    let labels: Vec<String> =
        labels.map(|(name, value)| format!("{} = {}", text(name), spoken(value))).collect();
    text(&labels.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(fields: Value) -> Record {
        let Value::Object(fields) = fields else { panic!("an object") };
        Record { fields, ended: true }
    }

    #[test]
    fn a_record_of_any_shape_has_a_title() {
        assert_eq!(record(json!({"workflow": "access-change"})).title(), "Access change");
        assert_eq!(
            record(json!({"workflow": "", "subject": {}})).title(),
            "A run without a readable record"
        );
        assert_eq!(record(json!({"workflow": "über"})).title(), "über");
    }
}
