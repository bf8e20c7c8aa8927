//! Owns one thing that a page says: a text, a field with its value, a button, a table. What it is
//! called in plain words is decided here.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::matching::Sign;
use super::table::Table;
use super::tree::Node;

/// Longest text that stands for what follows it, in characters.
const LABEL: usize = 60;

/// What kind of thing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Title,
    Heading,
    Text,
    ListItem,
    Status,
    Alert,
    /// A text that explains the term it is named by.
    Definition,
    Link,
    Button,
    Field,
    Choice,
    Checkbox,
    Radio,
    Switch,
    Option,
    Tab,
    MenuItem,
    Image,
    Gauge,
    Dialog,
    Group,
    Table,
}

impl Kind {
    /// What a control is; none for what is no control.
    pub(super) fn of_control(role: &str) -> Option<Self> {
        Some(match role {
            "button" | "DisclosureTriangle" | "popUpButton" => Self::Button,
            "textbox" | "searchbox" | "spinbutton" | "slider" | "Date" | "DateTime"
            | "InputTime" | "ColorWell" => Self::Field,
            "combobox" | "listbox" => Self::Choice,
            "checkbox" => Self::Checkbox,
            "radio" => Self::Radio,
            "switch" => Self::Switch,
            "option" => Self::Option,
            "tab" => Self::Tab,
            "menuitem" | "menuitemcheckbox" | "menuitemradio" => Self::MenuItem,
            "image" | "img" => Self::Image,
            "progressbar" | "meter" => Self::Gauge,
            _ => return None,
        })
    }

    /// What a text is that flows from its beginning to its end; none for what is no such text.
    pub(super) fn of_flow(role: &str) -> Option<Self> {
        Some(match role {
            "heading" => Self::Heading,
            "paragraph" | "blockquote" | "cell" | "gridcell" | "rowheader" | "columnheader"
            | "caption" | "note" | "log" | "marquee" | "timer" | "Figcaption" | "Pre" => Self::Text,
            "listitem" | "treeitem" => Self::ListItem,
            "status" => Self::Status,
            "alert" => Self::Alert,
            _ => return None,
        })
    }

    /// What it is called in a sentence.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Title => "page title",
            Self::Heading => "heading",
            Self::Text | Self::Definition => "text",
            Self::ListItem => "list item",
            Self::Status => "status",
            Self::Alert => "alert",
            Self::Link => "link",
            Self::Button => "button",
            Self::Field => "field",
            Self::Choice => "choice",
            Self::Checkbox => "checkbox",
            Self::Radio => "radio button",
            Self::Switch => "switch",
            Self::Option => "option",
            Self::Tab => "tab",
            Self::MenuItem => "menu item",
            Self::Image => "image",
            Self::Gauge => "gauge",
            Self::Dialog => "dialog",
            Self::Group => "group",
            Self::Table => "table",
        }
    }

    /// Whether its name is what it says, so that one can become another where it stands.
    fn says_its_name(self) -> bool {
        matches!(self, Self::Title | Self::Link | Self::Button | Self::Image | Self::Tab)
    }

    /// Whether one can become another where it stands, whatever both say.
    fn is_exchangeable(self) -> bool {
        self.says_its_name()
            || matches!(self, Self::Heading | Self::Status | Self::Alert | Self::Table)
    }
}

/// One thing.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) kind: Kind,
    /// What it is called: a field's label, a button's text, a table's caption.
    pub(super) name: String,
    /// What it belongs to: the list of an option.
    pub(super) owner: String,
    /// What it says, piece by piece.
    pub(super) pieces: Vec<String>,
    /// Whether the pieces are one text, and not things that stand next to each other.
    pub(super) flows: bool,
    /// The value and the state of a control: what it is, and how it is.
    pub(super) states: Vec<(&'static str, String)>,
    /// The heading it stands under.
    pub(super) under: String,
    pub(super) table: Option<Table>,
}

impl Item {
    pub(super) fn new(kind: Kind, name: String, under: &str) -> Self {
        Self {
            kind,
            name,
            owner: String::new(),
            pieces: Vec::new(),
            flows: true,
            states: Vec::new(),
            under: under.to_owned(),
            table: None,
        }
    }

    /// A control, with its value and its state.
    pub(super) fn control(kind: Kind, node: &Node, under: &str) -> Self {
        let mut item = Self::new(kind, tidy(&node.name), under);
        item.states = states(kind, node);
        item
    }

    /// All that it says, as one text.
    pub(super) fn text(&self) -> String {
        joined(&self.pieces)
    }

    /// What it is matched by: its name, or of a text what stands before its value.
    pub(super) fn label(&self) -> String {
        if !self.name.is_empty() {
            return self.name.clone();
        }
        if self.pieces.len() > 1 {
            return tidy(&self.pieces[0]);
        }
        let text = self.text();
        text.split_once(": ").map_or_else(String::new, |(label, _)| label.to_owned())
    }

    /// What it is matched by, as numbers.
    pub(super) fn sign(&self) -> Sign {
        let label = self.label();
        let whole =
            hashed(&(self.kind, &self.name, &self.owner, self.text(), &self.states, &self.table));
        let name = (!label.is_empty()).then(|| hashed(&(self.kind, &label, &self.owner)));
        let can_change = label.is_empty() || self.kind.is_exchangeable();
        let kind = can_change.then(|| hashed(&self.kind));
        Sign { whole, name, kind }
    }

    /// What its states are said of.
    pub(super) fn subject(&self) -> String {
        let noun = self.kind.noun();
        let of = |text: &str| {
            if self.owner.is_empty() {
                text.to_owned()
            } else {
                format!("{text} of {}", self.owner)
            }
        };
        match self.kind {
            Kind::Button | Kind::Link | Kind::Tab | Kind::MenuItem | Kind::Option
                if !self.name.is_empty() =>
            {
                of(&format!("{noun} {}", self.name))
            }
            _ if self.name.is_empty() => of(&capital(noun)),
            _ => of(&self.name),
        }
    }

    /// The thing in a few words: what it is called, says and shows.
    pub(super) fn described(&self) -> String {
        if let Some(table) = &self.table {
            return table.described();
        }
        let mut text = match (self.name.as_str(), self.text()) {
            ("", text) => text,
            (name, text) if text.is_empty() => name.to_owned(),
            (name, text) => format!("{name}: {text}"),
        };
        let states = self.states.iter().filter(|(_, word)| !is_usual(word));
        let states: Vec<&str> = states.map(|(_, word)| word.as_str()).collect();
        if !states.is_empty() {
            text = format!("{text} ({})", states.join(", "));
        }
        text.trim().to_owned()
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
fn is_usual(word: &str) -> bool {
    matches!(
        word,
        "enabled" | "not pressed" | "collapsed" | "can be changed" | "optional" | "valid"
    ) || word.is_empty()
}

/// The value of a control and how it is, in words.
fn states(kind: Kind, node: &Node) -> Vec<(&'static str, String)> {
    let mut states = Vec::new();
    let mut say = |name, word: &str| states.push((name, word.to_owned()));
    if matches!(kind, Kind::Field | Kind::Choice | Kind::Gauge) {
        say("value", &tidy(&node.value));
    }
    if let Some(checked) = node.property("checked") {
        let words = match kind {
            Kind::Radio => ["selected", "not selected"],
            Kind::Switch => ["on", "off"],
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
    if kind == Kind::Tab || node.property("selected").is_some() {
        say("selected", if node.is("selected") { "selected" } else { "not selected" });
    }
    if let Some(pressed) = node.property("pressed") {
        say("pressed", if pressed == "false" { "not pressed" } else { "pressed" });
    }
    if kind == Kind::Button && node.property("expanded").is_some() {
        say("expanded", if node.is("expanded") { "expanded" } else { "collapsed" });
    }
    if matches!(kind, Kind::Image | Kind::Gauge) {
        return states;
    }
    say("disabled", if node.is("disabled") { "disabled" } else { "enabled" });
    if kind == Kind::Field {
        say("readonly", if node.is("readonly") { "read-only" } else { "can be changed" });
        say("required", if node.is("required") { "required" } else { "optional" });
    }
    if matches!(kind, Kind::Field | Kind::Choice | Kind::Checkbox) {
        let valid = node.property("invalid").is_none_or(|word| word == "false");
        say("invalid", if valid { "valid" } else { "marked as wrong" });
    }
    states
}

/// `text` without line breaks, and without more than one space anywhere.
pub(super) fn tidy(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `noun` at the beginning of a line.
pub(super) fn capital(noun: &str) -> String {
    let mut letters = noun.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Pieces as one text. Where the page leaves no space between two, it shows one nevertheless, unless
/// the next begins with a mark.
pub(super) fn joined(pieces: &[String]) -> String {
    let mut text = String::new();
    for piece in pieces {
        let closes = piece.starts_with([',', '.', ';', ':', '!', '?', ')', '…']);
        if !text.is_empty() && !closes && !text.ends_with(['(', '“']) {
            text.push(' ');
        }
        text.push_str(piece);
    }
    tidy(&text)
}

/// What names the value after it: short enough, and without the colon at its end.
pub(super) fn as_label(text: &str) -> Option<String> {
    let text = tidy(text);
    let text = text.trim_end_matches([':', ' ', '=', '–', '-']);
    let fits = text.chars().any(char::is_alphanumeric) && text.chars().count() <= LABEL;
    fits.then(|| text.to_owned())
}

pub(super) fn hashed(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
