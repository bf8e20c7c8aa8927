//! Owns what a page says, as a list of things in the order in which they stand. Containers that
//! say nothing are looked through, and no text is told twice, however often the tree repeats it.

use super::item::Item;
use super::kind::ItemKind;
use super::table::Table;
use super::text::{joined, tidy};
use super::tree::{Node, Tree, WordsError};

/// How deep the tree is followed; browsers nest no deeper themselves.
const MAX_DEPTH: usize = 512;
/// Most pieces next to each other that may belong together, such as a label and its value.
const TOGETHER: usize = 4;

/// What a page says.
#[derive(Debug)]
pub struct PageWords {
    pub(super) items: Vec<Item>,
    /// Whether something of the tree was left out.
    pub(super) is_cut: bool,
}

/// Something on the way to becoming an item.
enum Part {
    /// A piece of text that may belong to those next to it, and whether it is a link.
    Loose(String, bool),
    Whole(Box<Item>),
}

impl PageWords {
    /// Read an accessibility tree as Chromium's `Accessibility.getFullAXTree` answers it.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(json: &[u8]) -> Result<Self, WordsError> {
        let tree = Tree::parse(json)?;
        let mut reader =
            Reader { tree: &tree, heading: String::new(), term: None, is_cut: tree.left_out > 0 };
        let mut items = Vec::new();
        let title = tidy(&tree.nodes[0].name);
        if !title.is_empty() {
            items.push(Item::new(ItemKind::Title, title, ""));
        }
        let mut parts = Vec::new();
        reader.below(0, &mut parts, false, 0);
        parts.extend(reader.unexplained());
        reader.settle(parts, &mut items);
        let is_cut = reader.is_cut;
        Ok(Self { items, is_cut })
    }
}

/// Goes through a tree.
struct Reader<'a> {
    tree: &'a Tree,
    /// The last heading.
    heading: String,
    /// The last term, until something explains it.
    term: Option<String>,
    is_cut: bool,
}

impl<'a> Reader<'a> {
    fn below(&mut self, place: usize, parts: &mut Vec<Part>, flows: bool, depth: usize) {
        if depth >= MAX_DEPTH {
            self.is_cut = true;
            return;
        }
        let tree: &'a Tree = self.tree;
        for child in &tree.nodes[place].children {
            self.read(*child, parts, flows, depth + 1);
        }
    }

    fn read(&mut self, place: usize, parts: &mut Vec<Part>, flows: bool, depth: usize) {
        let tree: &'a Tree = self.tree;
        let node = &tree.nodes[place];
        let role = if node.ignored { "none" } else { node.role.as_str() };
        match role {
            "InlineTextBox" | "ListMarker" | "LineBreak" | "Legend" | "caption" | "splitter" => {}
            "StaticText" => parts.push(Part::Loose(node.name.clone(), false)),
            "link" if !node.name.trim().is_empty() => {
                parts.push(Part::Loose(node.name.clone(), true));
            }
            "strong" | "emphasis" | "time" | "code" | "mark" | "subscript" | "superscript"
            | "insertion" | "deletion" | "Abbr" | "Ruby" | "link" => {
                self.below(place, parts, flows, depth);
            }
            "none" | "generic" | "presentation" if flows => self.below(place, parts, flows, depth),
            "none" | "generic" | "presentation" => {
                let mut inner = Vec::new();
                self.below(place, &mut inner, false, depth);
                self.together(inner, parts);
            }
            "LabelText" => {
                let mut inner = Vec::new();
                self.below(place, &mut inner, false, depth);
                // The field is named by it already.
                let names = inner.iter().any(|part| matches!(part, Part::Whole(_)));
                inner.retain(|part| !names || matches!(part, Part::Whole(_)));
                parts.append(&mut inner);
            }
            "term" => self.term(place, parts, depth),
            "table" | "grid" | "treegrid" => {
                let mut item = Item::new(ItemKind::Table, tidy(&node.name), &self.heading);
                item.table = Some(Table::read(tree, place, &mut self.is_cut));
                parts.push(Part::Whole(item.into()));
            }
            _ => self.read_thing(place, role, parts, depth),
        }
    }

    fn read_thing(&mut self, place: usize, role: &str, parts: &mut Vec<Part>, depth: usize) {
        let tree: &'a Tree = self.tree;
        let node = &tree.nodes[place];
        if let Some(kind) = ItemKind::of_control(role) {
            self.control(kind, node, place, parts);
        } else if let Some(kind) = ItemKind::of_flow(role) {
            self.flow(Item::new(kind, String::new(), ""), place, parts, depth);
        } else if role == "definition" {
            let term = self.term.take().unwrap_or_default();
            self.flow(Item::new(ItemKind::Definition, term, ""), place, parts, depth);
        } else {
            let kind = match role {
                "dialog" | "alertdialog" => Some(ItemKind::Dialog),
                "group" | "radiogroup" | "region" | "form" => Some(ItemKind::Group),
                _ => None,
            };
            let name = tidy(&node.name);
            if let Some(kind) = kind.filter(|_| !name.is_empty()) {
                parts.push(Part::Whole(Item::new(kind, name, &self.heading).into()));
            }
            let (mut inner, mut items) = (Vec::new(), Vec::new());
            self.below(place, &mut inner, false, depth);
            self.settle(inner, &mut items);
            parts.extend(items.into_iter().map(|item| Part::Whole(item.into())));
        }
    }

    /// A control; of what can be chosen in it, each option.
    fn control(&mut self, kind: ItemKind, node: &Node, place: usize, parts: &mut Vec<Part>) {
        let item = Item::control(kind, node, &self.heading);
        // A picture that says nothing is decoration.
        if item.name.is_empty() && kind == ItemKind::Image {
            return;
        }
        let owner = item.name.clone();
        let is_open = node.role == "listbox";
        parts.push(Part::Whole(item.into()));
        if kind != ItemKind::Choice {
            return;
        }
        for option in options(self.tree, place) {
            let mut item = Item::control(ItemKind::Option, &self.tree.nodes[option], &self.heading);
            item.owner.clone_from(&owner);
            if !is_open {
                // The value of the list says which is selected.
                item.states.retain(|(name, _)| *name != "selected");
            }
            parts.push(Part::Whole(item.into()));
        }
    }

    /// A text, with whatever else stands in it.
    fn flow(&mut self, mut item: Item, place: usize, parts: &mut Vec<Part>, depth: usize) {
        let mut inner = Vec::new();
        self.below(place, &mut inner, true, depth);
        if item.kind == ItemKind::Heading {
            let pieces = inner.iter().filter_map(|part| match part {
                Part::Loose(piece, _) => Some(piece.clone()),
                Part::Whole(_) => None,
            });
            self.heading = joined(&pieces.collect::<Vec<_>>());
            if self.heading.is_empty() {
                self.heading = tidy(&self.tree.nodes[place].name);
            }
        } else {
            item.under.clone_from(&self.heading);
        }
        // A field in the middle of a text does not make two texts of it.
        let is_link = matches!(&inner[..], [Part::Loose(_, true)]);
        let (mut pieces, mut others) = (Vec::new(), Vec::new());
        for part in inner {
            match part {
                Part::Loose(piece, _) => pieces.push(piece),
                Part::Whole(_) => others.push(part),
            }
        }
        if is_link && item.kind != ItemKind::Definition && item.kind != ItemKind::Heading {
            parts.push(Part::Whole(link(&joined(&pieces), &self.heading).into()));
        } else if pieces.iter().any(|piece| !piece.trim().is_empty()) {
            item.pieces = pieces.into_iter().filter(|piece| !piece.trim().is_empty()).collect();
            parts.push(Part::Whole(item.into()));
        } else if item.kind == ItemKind::Heading && !self.heading.is_empty() {
            item.pieces = vec![self.heading.clone()];
            parts.push(Part::Whole(item.into()));
        }
        parts.append(&mut others);
    }

    fn term(&mut self, place: usize, parts: &mut Vec<Part>, depth: usize) {
        let mut inner = Vec::new();
        self.below(place, &mut inner, true, depth);
        let pieces = inner.iter().filter_map(|part| match part {
            Part::Loose(piece, _) => Some(piece.clone()),
            Part::Whole(_) => None,
        });
        let term = joined(&pieces.collect::<Vec<_>>());
        parts.extend(inner.into_iter().filter(|part| matches!(part, Part::Whole(_))));
        parts.extend(self.unexplained());
        self.term = Some(term);
    }

    /// The last term as a text of its own, when nothing explained it.
    fn unexplained(&mut self) -> Option<Part> {
        let mut item = Item::new(ItemKind::Text, String::new(), &self.heading);
        item.pieces = vec![self.term.take()?];
        Some(Part::Whole(item.into()))
    }

    /// What stands in a container that says nothing: two or a few pieces make one thing, a single
    /// one may still belong to its neighbours.
    fn together(&mut self, inner: Vec<Part>, parts: &mut Vec<Part>) {
        let all_loose = inner.iter().all(|part| matches!(part, Part::Loose(..)));
        if all_loose && inner.len() <= 1 {
            parts.extend(inner);
            return;
        }
        let mut items = Vec::new();
        self.settle(inner, &mut items);
        parts.extend(items.into_iter().map(|item| Part::Whole(item.into())));
    }

    /// Make items of what is still loose.
    fn settle(&mut self, parts: Vec<Part>, items: &mut Vec<Item>) {
        let mut run = Vec::new();
        for part in parts {
            match part {
                Part::Loose(piece, _) if piece.trim().is_empty() => {}
                Part::Loose(piece, is_link) => run.push((piece, is_link)),
                Part::Whole(item) => {
                    self.settle_run(std::mem::take(&mut run), items);
                    items.push(*item);
                }
            }
        }
        self.settle_run(run, items);
    }

    fn settle_run(&mut self, run: Vec<(String, bool)>, items: &mut Vec<Item>) {
        let text = |pieces: Vec<String>| {
            let mut item = Item::new(ItemKind::Text, String::new(), &self.heading);
            item.flows = false;
            item.pieces = pieces;
            item
        };
        if (2..=TOGETHER).contains(&run.len()) && !run.iter().all(|(_, is_link)| *is_link) {
            items.push(text(run.into_iter().map(|(piece, _)| piece).collect()));
            return;
        }
        items.extend(run.into_iter().map(|(piece, is_link)| {
            if is_link { link(&piece, &self.heading) } else { text(vec![piece]) }
        }));
    }
}

fn link(text: &str, under: &str) -> Item {
    Item::new(ItemKind::Link, tidy(text), under)
}

/// Everything below `place` that can be chosen there.
fn options(tree: &Tree, place: usize) -> Vec<usize> {
    let mut found = Vec::new();
    let mut waiting: Vec<usize> = tree.nodes[place].children.iter().rev().copied().collect();
    while let Some(at) = waiting.pop() {
        let node = &tree.nodes[at];
        if node.role == "option" && !node.ignored {
            found.push(at);
        } else {
            waiting.extend(node.children.iter().rev().copied());
        }
    }
    found
}
