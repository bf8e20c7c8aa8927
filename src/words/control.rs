//! Owns a control as it stands in an accessibility tree: what it is called, its value and its state.

use super::kind::ItemKind;
use super::text::tidy;
use super::tree::Node;

/// A control.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) kind: ItemKind,
    /// What it is called.
    pub(super) name: String,
    /// Its value and its state: what it is, and how it is.
    pub(super) states: Vec<(&'static str, String)>,
}

impl Control {
    /// The control of a node.
    pub(super) fn read(kind: ItemKind, node: &Node) -> Self {
        Self { kind, name: tidy(&node.name), states: states(kind, node) }
    }

    /// A control as a cell of a table shows it; when it is all there is in the cell, the column
    /// says what it is called.
    pub(super) fn in_cell(&self, only: bool) -> String {
        let shown = self.states.iter().filter(|(_, word)| !is_usual(word));
        let shown: Vec<&str> = shown.map(|(_, word)| word.as_str()).collect();
        let says_its_name = self.kind.says_its_name() || self.name.is_empty();
        match (only && !says_its_name, shown.is_empty()) {
            (true, _) => shown.join(", "),
            (false, true) => self.name.clone(),
            (false, false) => format!("{} ({})", self.name, shown.join(", ")).trim().to_owned(),
        }
    }
}

/// A state that goes without saying.
pub(super) fn is_usual(word: &str) -> bool {
    matches!(
        word,
        "enabled" | "not pressed" | "collapsed" | "can be changed" | "optional" | "valid"
    ) || word.is_empty()
}

/// The value of a control and how it is, in words.
fn states(kind: ItemKind, node: &Node) -> Vec<(&'static str, String)> {
    let mut states = Vec::new();
    let mut say = |name, word: &str| states.push((name, word.to_owned()));
    if matches!(kind, ItemKind::Field | ItemKind::Choice | ItemKind::Gauge) {
        say("value", &tidy(&node.value));
    }
    if let Some(checked) = node.property("checked") {
        let words = match kind {
            ItemKind::Radio => ["selected", "not selected"],
            ItemKind::Switch => ["on", "off"],
            _ => ["checked", "not checked"],
        };
        say(
            "checked",
            match checked.as_str() {
                "true" => words[0],
                "mixed" => "partly checked",
                _ => words[1],
            },
        );
    }
    if kind == ItemKind::Tab || node.property("selected").is_some() {
        say("selected", if node.is("selected") { "selected" } else { "not selected" });
    }
    if let Some(pressed) = node.property("pressed") {
        say("pressed", if pressed == "false" { "not pressed" } else { "pressed" });
    }
    if kind == ItemKind::Button && node.property("expanded").is_some() {
        say("expanded", if node.is("expanded") { "expanded" } else { "collapsed" });
    }
    if matches!(kind, ItemKind::Image | ItemKind::Gauge) {
        return states;
    }
    say("disabled", if node.is("disabled") { "disabled" } else { "enabled" });
    if kind == ItemKind::Field {
        say("readonly", if node.is("readonly") { "read-only" } else { "can be changed" });
        say("required", if node.is("required") { "required" } else { "optional" });
    }
    if matches!(kind, ItemKind::Field | ItemKind::Choice | ItemKind::Checkbox) {
        let valid = node.property("invalid").is_none_or(|word| word == "false");
        say("invalid", if valid { "valid" } else { "marked as wrong" });
    }
    states
}
