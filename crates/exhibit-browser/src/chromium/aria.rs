//! Owns the accessibility tree as text: one line an object, indented by its depth, in the notation
//! of Playwright's ARIA snapshots (`- button "Approve" [disabled]`). The tree is the browser's own.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::PageError;
use super::limits::PAGE_CALL;
use super::page::Page;
use crate::error::CaptureError;

/// Most lines told.
const LINES: usize = 5_000;
/// Deepest level told.
const DEPTH: usize = 100;

#[derive(Debug, Deserialize)]
struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    #[serde(rename = "nodeId")]
    id: String,
    parent_id: Option<String>,
    #[serde(default)]
    ignored: bool,
    role: Option<Text>,
    name: Option<Text>,
    #[serde(default)]
    properties: Vec<Property>,
    #[serde(default)]
    child_ids: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Text {
    #[serde(default)]
    value: Value,
}

#[derive(Debug, Deserialize)]
struct Property {
    name: String,
    value: Text,
}

/// The page's tree.
pub(super) async fn tree(page: &Page) -> Result<String, PageError> {
    let answer = page.call_raw("Accessibility.getFullAXTree", json!({}), PAGE_CALL).await?;
    let tree: Tree = serde_json::from_str(answer.get())
        .map_err(|error| CaptureError::internal("reading the browser's answer", error))?;
    Ok(written(&tree))
}

fn written(tree: &Tree) -> String {
    let nodes: HashMap<&str, &Node> =
        tree.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let mut text = String::new();
    let mut lines = 0;
    // Depth first, without recursion: a page may be deeper than a stack.
    let roots = tree.nodes.iter().filter(|node| node.parent_id.is_none());
    let mut left: Vec<(&Node, usize)> = roots.map(|node| (node, 0)).collect();
    while let Some((node, depth)) = left.pop() {
        let mut below = depth;
        if node.is_told() {
            if lines == LINES {
                text.push_str("- …\n");
                break;
            }
            lines += 1;
            below += 1;
            let _ = writeln!(text, "{}- {}", "  ".repeat(depth.min(DEPTH)), node.line());
        }
        let children = node.child_ids.iter().rev();
        left.extend(children.filter_map(|id| nodes.get(id.as_str())).map(|child| (*child, below)));
    }
    text
}

impl Node {
    fn role(&self) -> &str {
        self.role.as_ref().and_then(|role| role.value.as_str()).unwrap_or_default()
    }

    fn name(&self) -> &str {
        self.name.as_ref().and_then(|name| name.value.as_str()).unwrap_or_default()
    }

    /// Whether it says something that its parts do not say.
    fn is_told(&self) -> bool {
        match self.role() {
            "" | "none" | "InlineTextBox" | "RootWebArea" | "LayoutTable" | "ListMarker" => false,
            "generic" | "StaticText" | "LabelText" | "paragraph" => {
                !self.ignored && !self.name().trim().is_empty()
            }
            _ => !self.ignored,
        }
    }

    fn line(&self) -> String {
        let role = match self.role() {
            "StaticText" => "text",
            role => role,
        };
        let mut line = role.to_owned();
        if !self.name().is_empty() {
            let _ = write!(line, " {}", json!(self.name()));
        }
        for Property { name, value } in &self.properties {
            match (name.as_str(), &value.value) {
                ("level", Value::Number(level)) => {
                    let _ = write!(line, " [level={level}]");
                }
                ("checked" | "pressed", Value::String(state)) if state != "false" => {
                    let _ = match state.as_str() {
                        "true" => write!(line, " [{name}]"),
                        other => write!(line, " [{name}={other}]"),
                    };
                }
                (
                    "disabled" | "expanded" | "selected" | "required" | "readonly",
                    Value::Bool(true),
                ) => {
                    let _ = write!(line, " [{name}]");
                }
                _ => {}
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_told_line_by_line() {
        let node = |id: &str, parent: Option<&str>, role: &str, name: &str, children: &[&str]| {
            json!({
                "nodeId": id, "parentId": parent, "role": { "value": role },
                "name": { "value": name }, "childIds": children,
            })
        };
        let mut button = node("4", Some("2"), "button", "Pay \"now\"", &[]);
        button["properties"] = json!([{ "name": "disabled", "value": { "value": true } }]);
        let mut heading = node("3", Some("2"), "heading", "Refund", &["5"]);
        heading["properties"] = json!([{ "name": "level", "value": { "value": 1 } }]);
        let tree = json!({ "nodes": [
            node("1", None, "RootWebArea", "Desk", &["2"]),
            node("2", Some("1"), "main", "", &["3", "4"]),
            heading,
            button,
            node("5", Some("3"), "StaticText", "Refund", &[]),
        ] });
        let tree: Tree = serde_json::from_value(tree).expect("a tree");
        let wanted = "- main\n  - heading \"Refund\" [level=1]\n    - text \"Refund\"\n  - button \
                      \"Pay \\\"now\\\"\" [disabled]\n";
        assert_eq!(written(&tree), wanted);
    }
}
