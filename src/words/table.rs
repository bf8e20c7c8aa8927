//! Owns a table: its columns by their headers, its rows by what stands first in them, and what is
//! different between two of them. A cell is the text it shows and the state of the controls in it.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use super::change::Change;
use super::control::Control;
use super::kind::ItemKind;
use super::matching::{Matching, Sign};
use super::text::{hashed, joined};
use super::tree::Tree;

/// Most rows, and most cells of a row, that are read.
const MOST: (usize, usize) = (5_000, 200);

/// A column before and after.
type Columns = (Option<usize>, Option<usize>);

/// A table.
#[derive(Clone, Debug, Hash)]
pub(super) struct Table {
    /// The headers of its columns; none when it has no header.
    columns: Vec<String>,
    rows: Vec<Row>,
}

/// One row.
#[derive(Clone, Debug)]
struct Row {
    /// What it is called.
    label: String,
    /// The cell with its name.
    labelled_by: usize,
    cells: Vec<String>,
}

impl Table {
    /// The table at `place`.
    pub(super) fn read(tree: &Tree, place: usize, is_cut: &mut bool) -> Self {
        let mut table = Self { columns: Vec::new(), rows: Vec::new() };
        let found = below(tree, place, &["row"], &["table", "grid", "treegrid"]);
        *is_cut |= found.len() > MOST.0;
        for row in found.into_iter().take(MOST.0) {
            let roles = ["cell", "gridcell", "rowheader", "columnheader"];
            let cells = below(tree, row, &roles, &[]);
            *is_cut |= cells.len() > MOST.1;
            let cells = &cells[..cells.len().min(MOST.1)];
            let is = |cell: &usize, role: &str| tree.nodes[*cell].role == role;
            let heads = cells.iter().filter(|cell| is(cell, "columnheader")).count();
            let mut texts: Vec<String> = cells.iter().map(|cell| shown(tree, *cell)).collect();
            // Empty cells at the end, and empty rows, say nothing.
            while texts.pop_if(|text| text.is_empty()).is_some() {}
            if heads > 0 && heads * 2 >= cells.len() && table.columns.is_empty() {
                table.columns = texts;
                continue;
            }
            let header = cells.iter().position(|cell| is(cell, "rowheader"));
            let named = |at: &usize| !texts[*at].is_empty();
            let header = header.filter(|at| *at < texts.len()).filter(named);
            if let Some(at) = header.or_else(|| (0..texts.len()).find(named)) {
                table.rows.push(Row { label: texts[at].clone(), labelled_by: at, cells: texts });
            }
        }
        table
    }

    /// How much it is.
    pub(super) fn described(&self) -> String {
        let rows = self.rows.len();
        format!("{rows} {}", if rows == 1 { "row" } else { "rows" })
    }

    /// What is different in `after`; `place` names the table where that is needed.
    pub(super) fn changes(&self, after: &Self, place: &str) -> Vec<Change> {
        let columns = self.matched_columns(after);
        let mut changes = self.column_changes(after, &columns, place);
        if self.columns.is_empty() != after.columns.is_empty() {
            let named = |table: &Self| table.columns.join(", ");
            let subject = format!("Column headers{place}");
            changes.push(Change::changed(&subject, &named(self), &named(after)));
        }
        let signs = |table: &Self| table.rows.iter().map(Row::sign).collect::<Vec<_>>();
        let matching = Matching::of(&signs(self), &signs(after));
        let what = format!("row{place}");
        for (row, partner) in self.rows.iter().zip(&matching.forward) {
            if partner.is_none() {
                changes.push(Change::removed(&what, &row.described()));
            }
        }
        for (row, partner) in after.rows.iter().zip(&matching.back) {
            match partner {
                None => changes.push(Change::added(&what, &row.described())),
                Some(old) => {
                    changes.extend(self.cell_changes(
                        &self.rows[*old],
                        after,
                        row,
                        &columns,
                        place,
                    ));
                }
            }
        }
        let moved = matching.moved().into_iter();
        changes.extend(moved.map(|at| Change::moved(&what, &after.rows[at].label)));
        changes
    }

    /// What a column is called.
    fn column(&self, at: usize) -> String {
        match self.columns.get(at) {
            Some(name) if !name.is_empty() => name.clone(),
            _ => format!("column {}", at + 1),
        }
    }

    fn column_changes(&self, after: &Self, columns: &[Columns], place: &str) -> Vec<Change> {
        let (what, mut last) = (format!("column{place}"), None);
        let mut changes = Vec::new();
        for columns in columns {
            match *columns {
                (Some(old), None) if !self.columns.is_empty() => {
                    changes.push(Change::removed(&what, &self.column(old)));
                }
                (None, Some(new)) if !after.columns.is_empty() => {
                    changes.push(Change::added(&what, &after.column(new)));
                }
                (Some(old), Some(new)) if last.is_some_and(|last| old < last) => {
                    changes.push(Change::moved(&what, &after.column(new)));
                }
                (old, _) => last = old.or(last),
            }
        }
        changes
    }

    /// What is different in two rows that are the same one. A column that came or went is told
    /// once, and not in each row.
    fn cell_changes(
        &self,
        old: &Row,
        after: &Self,
        new: &Row,
        columns: &[Columns],
        place: &str,
    ) -> Vec<Change> {
        let cell = |row: &Row, at: Option<usize>| {
            at.and_then(|at| row.cells.get(at).cloned()).unwrap_or_default()
        };
        let told = |columns: &&Columns| {
            (columns.0.is_some() || after.columns.is_empty())
                && (columns.1.is_some() || self.columns.is_empty())
        };
        let change = |&(before, now): &Columns| {
            let (was, is) = (cell(old, before), cell(new, now));
            let column = now.map(|at| after.column(at)).or_else(|| Some(self.column(before?)))?;
            let subject = format!("{column} of {}{place}", new.label);
            (was != is).then(|| Change::changed(&subject, &was, &is))
        };
        columns.iter().filter(told).filter_map(change).collect()
    }

    /// Which columns are the same: by their headers where both have some, else by their place.
    fn matched_columns(&self, after: &Self) -> Vec<Columns> {
        let width = |table: &Self| {
            let widest = table.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
            widest.max(table.columns.len())
        };
        let (old, new) = (width(self), width(after));
        if self.columns.is_empty() || after.columns.is_empty() {
            let place = |at: usize, width: usize| (at < width).then_some(at);
            return (0..old.max(new)).map(|at| (place(at, old), place(at, new))).collect();
        }
        let mut places: HashMap<(&str, usize), usize> = HashMap::new();
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for at in 0..old {
            let name = self.columns.get(at).map_or("", String::as_str);
            let nth = seen.entry(name).or_default();
            places.insert((name, *nth), at);
            *nth += 1;
        }
        seen.clear();
        let mut columns = Vec::new();
        for at in 0..new {
            let name = after.columns.get(at).map_or("", String::as_str);
            let nth = seen.entry(name).or_default();
            columns.push((places.remove(&(name, *nth)), Some(at)));
            *nth += 1;
        }
        let mut gone: Vec<usize> = places.into_values().collect();
        gone.sort_unstable();
        columns.extend(gone.into_iter().map(|at| (Some(at), None)));
        columns
    }
}

impl Hash for Row {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Which cell names it shows in no text.
        (&self.label, &self.cells).hash(state);
    }
}

impl Row {
    fn sign(&self) -> Sign {
        Sign { whole: hashed(self), name: Some(hashed(&self.label)), kind: None }
    }

    fn described(&self) -> String {
        let others = self.cells.iter().enumerate();
        let others = others.filter(|(at, cell)| *at != self.labelled_by && !cell.is_empty());
        let all = std::iter::once(&self.label).chain(others.map(|(_, cell)| cell));
        let all: Vec<&str> = all.map(String::as_str).collect();
        all.join(", ")
    }
}

/// The nodes below `place` with one of `roles`, in their order; not within each other, and not
/// within one of `closed`.
fn below(tree: &Tree, place: usize, roles: &[&str], closed: &[&str]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut waiting: Vec<usize> = tree.nodes[place].children.iter().rev().copied().collect();
    while let Some(at) = waiting.pop() {
        let node = &tree.nodes[at];
        if !node.ignored && roles.contains(&node.role.as_str()) {
            found.push(at);
        } else if node.ignored || !closed.contains(&node.role.as_str()) {
            waiting.extend(node.children.iter().rev().copied());
        }
    }
    found
}

/// What a cell shows: texts, and the controls in it by their value and state.
fn shown(tree: &Tree, cell: usize) -> String {
    let mut pieces = Vec::new();
    let mut controls: Vec<Control> = Vec::new();
    let mut waiting = vec![cell];
    while let Some(at) = waiting.pop() {
        let node = &tree.nodes[at];
        let role = if node.ignored { "none" } else { node.role.as_str() };
        match (role, ItemKind::of_control(role)) {
            ("InlineTextBox" | "ListMarker" | "LineBreak", _) => {}
            ("StaticText", _) => pieces.push(node.name.clone()),
            ("link", _) if !node.name.trim().is_empty() => pieces.push(node.name.clone()),
            (_, Some(kind)) => controls.push(Control::read(kind, node)),
            _ => waiting.extend(node.children.iter().rev().copied()),
        }
    }
    let only = pieces.is_empty() && controls.len() == 1;
    pieces.extend(controls.iter().map(|control| control.in_cell(only)));
    pieces.retain(|piece| !piece.trim().is_empty());
    joined(&pieces)
}
