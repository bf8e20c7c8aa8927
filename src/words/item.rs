//! Owns one thing that a page says: a text, a field with its value, a button, a table. What it is
//! called in plain words is decided here.

use super::change::Change;
use super::control::{Control, is_usual};
use super::kind::ItemKind;
use super::matching::Sign;
use super::table::Table;
use super::text::{as_label, capital, common_bytes, hashed, joined, tidy};
use super::tree::Node;

/// One thing.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) kind: ItemKind,
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
    pub(super) fn new(kind: ItemKind, name: String, under: &str) -> Self {
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
    pub(super) fn control(kind: ItemKind, node: &Node, under: &str) -> Self {
        let Control { kind, name, states } = Control::read(kind, node);
        Self { states, ..Self::new(kind, name, under) }
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
            ItemKind::Button
            | ItemKind::Link
            | ItemKind::Tab
            | ItemKind::MenuItem
            | ItemKind::Option
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

    /// What is said of it when it came or went: which kind of thing it is, and where.
    pub(super) fn noun(&self) -> String {
        let noun = self.kind.noun();
        match self.kind {
            ItemKind::Option if !self.owner.is_empty() => format!("{noun} of {}", self.owner),
            ItemKind::Text | ItemKind::ListItem | ItemKind::Definition | ItemKind::Table
                if !self.under.is_empty() =>
            {
                format!("{noun} under {}", self.under)
            }
            _ => noun.to_owned(),
        }
    }

    /// What a text is called that has no name: where it stands.
    fn place(&self) -> String {
        match self.kind {
            ItemKind::Text | ItemKind::ListItem if !self.under.is_empty() => self.under.clone(),
            kind => capital(kind.noun()),
        }
    }

    /// What is said of two texts of a page that are the same thing.
    pub(super) fn text_change(&self, after: &Self) -> Change {
        let before = self;
        let same = before.pieces.iter().zip(&after.pieces).take_while(|(one, other)| one == other);
        let same = same.count().min(before.pieces.len()).min(after.pieces.len());
        let rest = |item: &Self| joined(&item.pieces[same..]);
        let first = if after.flows { 0 } else { same.saturating_sub(1) };
        let label = as_label(&joined(&after.pieces[first..same]));
        if after.kind == ItemKind::Definition && !after.name.is_empty() {
            return Change::changed(&after.name, &before.text(), &after.text());
        }
        if let Some(label) = label {
            return Change::changed(&label, &rest(before), &rest(after));
        }
        let (was, is) = (before.text(), after.text());
        let common = is.len() - common_bytes(&was, &is).1;
        let label = is[..common].rfind(": ").and_then(|at| Some((as_label(&is[..at])?, at + 2)));
        match label {
            Some((label, at)) => Change::changed(&label, &was[at..], &is[at..]),
            None => Change::changed(&after.place(), &was, &is),
        }
    }
}
