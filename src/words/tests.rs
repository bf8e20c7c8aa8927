//! Trees written by hand, as Chromium gives them, and what is said of two.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::tree::MAX_NODES;
use super::{Became, MOST, PageWords, Words};

/// A node on its way into a tree.
#[derive(Clone, Debug)]
struct Node {
    role: String,
    name: String,
    ignored: bool,
    value: Value,
    properties: Vec<(&'static str, Value)>,
    children: Vec<Node>,
}

fn node(role: &str, name: &str, children: Vec<Node>) -> Node {
    Node {
        role: role.to_owned(),
        name: name.to_owned(),
        ignored: role == "none",
        value: Value::Null,
        properties: Vec::new(),
        children,
    }
}

/// A text, with the box that Chromium puts below it and that repeats it.
fn text(text: &str) -> Node {
    node("StaticText", text, vec![node("InlineTextBox", text, Vec::new())])
}

/// A container that says nothing.
fn div(children: Vec<Node>) -> Node {
    node("none", "", children)
}

fn control(role: &str, name: &str, properties: &[(&'static str, Value)]) -> Node {
    Node { properties: properties.to_vec(), ..node(role, name, Vec::new()) }
}

fn field(name: &str, value: &str) -> Node {
    let inner = node("generic", "", vec![text(value)]);
    Node { value: json!(value), ..node("textbox", name, vec![inner]) }
}

fn row(cells: &[&str]) -> Node {
    let cell = |name: &&str| node("cell", name, vec![text(name)]);
    node("row", "", cells.iter().map(cell).collect())
}

fn table(name: &str, header: &[&str], rows: &[&[&str]]) -> Node {
    let head = |name: &&str| node("columnheader", name, vec![text(name)]);
    let mut inner = Vec::new();
    if !header.is_empty() {
        let header = node("row", "", header.iter().map(head).collect());
        inner.push(node("rowgroup", "", vec![header]));
    }
    inner.push(div(rows.iter().map(|cells| row(cells)).collect()));
    node("table", name, inner)
}

/// The answer of Chromium for a page.
fn answer(title: &str, children: Vec<Node>) -> Vec<u8> {
    fn put(node: &Node, nodes: &mut Vec<Value>) -> String {
        let id = nodes.len();
        let properties = node.properties.iter();
        let properties: Vec<Value> = properties
            .map(|(name, value)| json!({"name": name, "value": {"value": value}}))
            .collect();
        let mut told = json!({
            "nodeId": id.to_string(), "ignored": node.ignored, "properties": properties,
            "role": {"type": "role", "value": node.role}, "childIds": [],
            "name": {"type": "computedString", "value": node.name, "sources": [{"type": "contents"}]},
        });
        if !node.value.is_null() {
            told["value"] = json!({ "value": node.value });
        }
        nodes.push(Value::Null);
        let ids: Vec<String> = node.children.iter().map(|child| put(child, nodes)).collect();
        told["childIds"] = json!(ids);
        nodes[id] = told;
        id.to_string()
    }
    let mut nodes = Vec::new();
    put(&node("RootWebArea", title, children), &mut nodes);
    serde_json::to_vec(&json!({ "nodes": nodes })).expect("JSON")
}

fn page(children: Vec<Node>) -> PageWords {
    PageWords::read(&answer("A page", children)).expect("a page")
}

/// What is said of two pages.
fn told(before: Vec<Node>, after: Vec<Node>) -> Vec<String> {
    let words = Words::between(&page(before), &page(after));
    assert!(!words.is_cut && words.untold == 0);
    words.changes.iter().map(ToString::to_string).collect()
}

#[test]
fn a_cell_is_told_by_its_row_and_its_column() {
    let people = |rows: &[&[&str]]| vec![table("", &["Name", "Team", "Role"], rows)];
    let before = people(&[&["alice", "Ops", "Viewer"], &["carl", "Ops", "Viewer"]]);
    let after = people(&[
        &["alice", "Ops", "Admin"],
        &["bob", "Eng", "Editor"],
        &["carl", "Ops", "Viewer"],
    ]);
    let expected = ["Role of alice: Viewer → Admin", "New row: bob, Eng, Editor"];
    assert_eq!(told(before.clone(), after.clone()), expected);
    let expected = ["Removed row: bob, Eng, Editor", "Role of alice: Admin → Viewer"];
    assert_eq!(told(after.clone(), before), expected);
    assert_eq!(told(after.clone(), after), [""; 0]);
}

#[test]
fn columns_come_and_go_once_and_rows_may_have_no_header() {
    let before = vec![table("", &["Name", "Role"], &[&["alice", "Viewer"], &["bob", "Editor"]])];
    let after = vec![table(
        "",
        &["Name", "Mail", "Role"],
        &[&["alice", "a@x", "Admin"], &["bob", "b@x", "Editor"]],
    )];
    let expected = ["New column: Mail", "Role of alice: Viewer → Admin"];
    assert_eq!(told(before.clone(), after.clone()), expected);
    assert_eq!(told(after, before)[0], "Removed column: Mail");
    let turned = |header: &[&str], cells: &[&str]| vec![table("", header, &[cells])];
    let turned = told(
        turned(&["A", "B", "C"], &["x", "y", "z"]),
        turned(&["A", "C", "B"], &["x", "z", "y"]),
    );
    assert_eq!(turned, ["Moved column: B"]);
    let plain = |sum: &str| vec![table("", &[], &[&["P-1", "DE02", sum], &["P-2", "FR14", "1"]])];
    assert_eq!(told(plain("48.50 €"), plain("50.00 €")), ["column 3 of P-1: 48.50 € → 50.00 €"]);
}

#[test]
fn equal_labels_and_another_order_confuse_no_table() {
    let before = vec![table("", &["Id", "Sum"], &[&["P-7", "1"], &["P-7", "2"], &["P-8", "3"]])];
    let after = vec![table(
        "",
        &["Id", "Sum"],
        &[&["P-8", "3"], &["P-7", "1"], &["P-7", "9"], &["P-7", "2"]],
    )];
    assert_eq!(told(before, after), ["New row: P-7, 9", "Moved row: P-8"]);
    let two = |role: &str| {
        let rows: &[&[&str]] = &[&["alice", role]];
        vec![table("Users", &["Name", "Role"], rows), table("Guests", &["Name", "Role"], &[])]
    };
    assert_eq!(told(two("Viewer"), two("Admin")), ["Role of alice in Users: Viewer → Admin"]);
}

#[test]
fn a_control_in_a_cell_is_told_by_its_state() {
    let with = |checked: &str, disabled: bool, role: &str| {
        let cell = |inner: Node| node("cell", "", vec![inner]);
        let options = |one: &str| control("option", one, &[("selected", json!(one == role))]);
        let mut choice = node("combobox", "role of bob", vec![options("Viewer"), options("Admin")]);
        choice.value = json!(role);
        let head = |name: &str| node("columnheader", name, vec![text(name)]);
        let heads = ["Name", "Active", "Role", ""].map(head).to_vec();
        let row = node(
            "row",
            "",
            vec![
                node("rowheader", "bob", vec![text("bob")]),
                cell(control("checkbox", "Active bob", &[("checked", json!(checked))])),
                cell(choice),
                cell(control("button", "Edit", &[("disabled", json!(disabled))])),
            ],
        );
        vec![node("grid", "", vec![node("row", "", heads), row])]
    };
    let expected = [
        "Active of bob: checked → not checked",
        "Role of bob: Viewer → Admin",
        "column 4 of bob: “Edit (disabled)” → Edit",
    ];
    assert_eq!(told(with("true", true, "Viewer"), with("false", false, "Admin")), expected);
}

#[test]
fn fields_and_buttons_are_told_by_what_they_are_called() {
    let form = |mail: &str, dark: bool, plan: &str, busy: bool| {
        let label = node("LabelText", "", vec![text("Mail "), field("Mail", mail)]);
        let radio =
            |name: &str| control("radio", name, &[("checked", json!((name == plan).to_string()))]);
        vec![node(
            "form",
            "",
            vec![
                label,
                control("switch", "Dark", &[("checked", json!(dark.to_string()))]),
                radio("Free"),
                radio("Pro"),
                node(
                    "paragraph",
                    "",
                    vec![control("button", "Save", &[("disabled", json!(busy))])],
                ),
            ],
        )]
    };
    let expected = [
        "Mail: a@x → (empty)",
        "Dark: on → off",
        "Free: selected → not selected",
        "Pro: not selected → selected",
        "button Save: disabled → enabled",
    ];
    assert_eq!(told(form("a@x", true, "Free", true), form("", false, "Pro", false)), expected);
    let gauge = |value: f64| vec![Node { value: json!(value), ..node("meter", "", Vec::new()) }];
    assert_eq!(told(gauge(0.400_000_005), gauge(0.5)), ["Gauge: 0.4 → 0.5"]);
    let options = |names: &[&str], chosen: &str| {
        let options = names.iter().map(|name| control("option", name, &[])).collect();
        vec![Node { value: json!(chosen), ..node("combobox", "Role", options) }]
    };
    let expected = ["Role: Viewer → Root", "New option of Role: Root"];
    assert_eq!(
        told(options(&["Viewer"], "Viewer"), options(&["Viewer", "Root"], "Root")),
        expected
    );
}

#[test]
fn a_text_is_told_by_what_stands_before_its_value() {
    let desk = |role: &str, count: &str, last: &str| {
        let tile = |label: &str, value: &str| div(vec![div(vec![text(label)]), text(value)]);
        let status =
            node("status", "", vec![text("Role of alice: "), node("strong", "", vec![text(role)])]);
        let item = node("listitem", "", vec![node("ListMarker", "• ", Vec::new()), text(last)]);
        vec![node(
            "main",
            "",
            vec![
                node("heading", "Alice", vec![text("Alice")]),
                div(vec![tile("Role", role), tile("Team", "Ops"), tile("Changes", count)]),
                div(vec![status, node("paragraph", "", vec![node("link", "Change…", Vec::new())])]),
                node("heading", "History", vec![text("History")]),
                node("list", "", vec![item]),
            ],
        )]
    };
    let expected = [
        "Role: Viewer → Admin",
        "Changes: 0 → 1",
        "Role of alice: Viewer → Admin",
        "History: No changes → “Viewer → Admin, approved by APR-118”",
    ];
    let after = desk("Admin", "1", "Viewer → Admin, approved by APR-118");
    assert_eq!(told(desk("Viewer", "0", "No changes"), after), expected);
}

#[test]
fn terms_headings_titles_and_whole_sentences() {
    let details = |status: &str, more: bool| {
        let term = |name: &str| node("term", name, vec![text(name)]);
        let definition = |value: &str| node("definition", "", vec![text(value)]);
        let mut inner = vec![
            node("heading", "", vec![text("TX-1042 "), text(&status.to_lowercase())]),
            node(
                "DescriptionList",
                "",
                vec![term("Customer"), definition("Mara"), term("Status"), definition(status)],
            ),
            node("alert", "", vec![text(if more { "It is done" } else { "It is not done yet" })]),
        ];
        if more {
            inner.push(node("paragraph", "", vec![text("Total: 5")]));
            inner.push(node("dialog", "Confirm", vec![text("Sure?")]));
        } else {
            inner.push(node("paragraph", "", vec![node("link", "Refund…", Vec::new())]));
        }
        inner
    };
    let expected = [
        "TX-1042: paid → refunded",
        "Status: Paid → Refunded",
        "Alert: It is not done yet → It is done",
        "New text under TX-1042 refunded: “Total: 5”",
        "New dialog: Confirm",
        "New text under TX-1042 refunded: Sure?",
        "Removed link: Refund…",
    ];
    let mut told = told(details("Paid", false), details("Refunded", true));
    let at = told.iter().position(|one| one.starts_with("Removed")).expect("told");
    let gone = told.remove(at);
    told.push(gone);
    assert_eq!(told, expected);
    let titled = |title: &str| PageWords::read(&answer(title, Vec::new())).expect("a page");
    let words = Words::between(&titled("Pay"), &titled("Paid"));
    assert_eq!(words.changes[0].to_string(), "Page title: Pay → Paid");
}

#[test]
fn an_insertion_above_changes_nothing_below() {
    let lines = |from: usize| {
        let line = |number: usize| node("paragraph", "", vec![text(&format!("Line {number}."))]);
        (from..400).map(line).collect::<Vec<_>>()
    };
    assert_eq!(told(lines(2), lines(0)), ["New text: Line 0.", "New text: Line 1."]);
    assert_eq!(told(lines(0), lines(1)), ["Removed text: Line 0."]);
    let mut turned = lines(0);
    turned.swap(10, 11);
    assert_eq!(told(lines(0), turned).len(), 1);
    // What is repeated is told once, with how often.
    let marks =
        |word: &str| ["a", "b", "c"].map(|_| node("paragraph", "", vec![text(word)])).to_vec();
    assert_eq!(told(marks("open"), marks("done")), ["Text: open → done (3 times)"]);
}

#[test]
fn what_a_page_says_cannot_pass_for_our_words_nor_draw() {
    let status = |word: &str| vec![node("status", "", vec![text("Role: "), text(word)])];
    let evil = "Viewer” → “Admin";
    assert_eq!(told(status("x"), status(evil)), ["Role: x → “Viewer\\” → \\“Admin”"]);
    assert_eq!(told(status("x"), status("\u{202e}nimdA")), ["Role: x → “\\u{202e}nimdA”"]);
    let same = told(status("Admin"), status("Adm\u{200b}in"));
    assert_eq!(same, ["Role: Admin → “Adm\\u{200b}in”"]);
    let long = "word ".repeat(500);
    let long = told(status(&format!("{long}one end")), status(&format!("{long}two ends")));
    assert!(long[0].contains("one end") && long[0].contains("two ends"), "{long:?}");
    assert!(long[0].chars().count() < 400, "{long:?}");
}

#[test]
fn a_large_page_is_cut_and_many_differences_are_counted() {
    let line =
        |number: usize, word: &str| node("paragraph", "", vec![text(&format!("{word} {number}"))]);
    let lines = |word: &str| (0..1_000).map(|number| line(number, word)).collect::<Vec<_>>();
    let words = Words::between(&page(lines("one")), &page(lines("two")));
    assert_eq!((words.changes.len(), words.untold), (MOST, 1_000 - MOST));
    let many = (0..MAX_NODES).map(|number| text(&number.to_string())).collect::<Vec<_>>();
    let words = Words::between(&page(many.clone()), &page(many));
    assert!(words.is_empty() && words.is_cut);
    // Deeper than any browser nests.
    let deep = (0..2_000).map(
        |number| json!({"nodeId": number.to_string(), "childIds": [(number + 1).to_string()]}),
    );
    let deep = json!({ "nodes": deep.collect::<Vec<_>>() }).to_string();
    assert!(PageWords::read(deep.as_bytes()).expect("a page").is_cut);
}

#[test]
fn what_is_no_tree_is_refused_and_a_ring_ends() {
    for bytes in [&b""[..], b"{}", b"{\"nodes\": []}", b"{\"nodes\": [{}]}", b"[1]", b"\xff"] {
        PageWords::read(bytes).expect_err("no tree");
    }
    let ring = json!({"nodes": [
        {"nodeId": "1", "role": {"value": "RootWebArea"}, "name": 0, "childIds": ["2", "2", "9"]},
        {"nodeId": "2", "childIds": ["1", "2"]},
    ]});
    assert!(PageWords::read(ring.to_string().as_bytes()).is_err(), "a name is no number");
    let ring = ring.to_string().replace("\"name\":0", "\"name\":{\"value\":[]}");
    assert!(PageWords::read(ring.as_bytes()).expect("a tree").items.is_empty());
}

fn any_node() -> impl Strategy<Value = Node> {
    const ROLES: [&str; 24] = [
        "none",
        "generic",
        "StaticText",
        "link",
        "table",
        "grid",
        "row",
        "cell",
        "columnheader",
        "rowheader",
        "heading",
        "paragraph",
        "listitem",
        "term",
        "definition",
        "LabelText",
        "textbox",
        "combobox",
        "option",
        "checkbox",
        "button",
        "status",
        "dialog",
        "image",
    ];
    const NAMES: [&str; 8] = ["", "a", "b", "a: b", "→", "“", "\u{202e}", " c "];
    let leaf = (
        prop::sample::select(&ROLES[..]),
        prop::sample::select(&NAMES[..]),
        prop::sample::select(&["checked", "selected", "disabled", "invalid"][..]),
        any::<bool>(),
    )
        .prop_map(|(role, name, property, on)| Node {
            value: json!(name),
            ..control(role, name, &[(property, json!(on))])
        });
    leaf.prop_recursive(6, 60, 6, |inner| {
        (prop::sample::select(&ROLES[..]), prop::collection::vec(inner, 0..6))
            .prop_map(|(role, children)| node(role, "", children))
    })
}

/// A table of few words, so that many cells are alike.
fn any_table() -> impl Strategy<Value = Node> {
    let cell =
        (prop::sample::select(&["cell", "cell", "rowheader", "columnheader"][..]), 0..4_usize)
            .prop_map(|(role, word)| node(role, "", vec![text(["", "a", "b", "c"][word])]));
    let row = prop::collection::vec(cell, 0..4).prop_map(|cells| node("row", "", cells));
    prop::collection::vec(row, 0..6).prop_map(|rows| node("table", "", rows))
}

/// Put `new` in the place of the node that is reached after `steps`.
fn replace(nodes: &mut [Node], steps: &mut usize, new: &Node) {
    for node in nodes {
        if *steps == 0 {
            *steps = usize::MAX;
            node.clone_from(new);
            return;
        }
        *steps -= 1;
        replace(&mut node.children, steps, new);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_page_says_the_same_as_itself(nodes in prop::collection::vec(any_node(), 0..6)) {
        prop_assert_eq!(told(nodes.clone(), nodes), [""; 0]);
    }

    #[test]
    fn no_two_trees_confuse_it_and_they_differ_both_ways(
        before in prop::collection::vec(any_node(), 0..6),
        after in prop::collection::vec(any_node(), 0..6),
    ) {
        let (before, after) = (page(before), page(after));
        let (there, back) = (Words::between(&before, &after), Words::between(&after, &before));
        prop_assert_eq!(there.is_empty(), back.is_empty());
        let all = |page: &PageWords| page.items.iter().map(|item| item.sign().whole).collect::<Vec<_>>();
        prop_assert_eq!(there.is_empty(), all(&before) == all(&after), "nothing passes in silence");
        for change in &there.changes {
            let told = change.to_string();
            prop_assert!(!told.contains('\u{202e}') && told.chars().count() < 700, "{}", told);
            prop_assert_eq!(change.before().is_none(), matches!(change.became(), Became::Added | Became::Moved));
        }
    }

    #[test]
    fn one_change_is_never_passed_over(
        nodes in prop::collection::vec(prop_oneof![any_node(), any_table()], 1..6),
        mut steps in 0..40_usize,
        new in prop_oneof![any_node(), any_table()],
    ) {
        let mut other = nodes.clone();
        replace(&mut other, &mut steps, &new);
        let (before, after) = (page(nodes), page(other));
        let all = |page: &PageWords| page.items.iter().map(|item| item.sign().whole).collect::<Vec<_>>();
        let words = Words::between(&before, &after);
        prop_assert_eq!(words.is_empty(), all(&before) == all(&after));
    }

    #[test]
    fn no_bytes_confuse_it(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = PageWords::read(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _ = PageWords::read(json!({"nodes": [{"nodeId": text, "childIds": [text]}]}).to_string().as_bytes());
    }
}
