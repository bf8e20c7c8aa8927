//! Holds that no files of a crate know each other in a circle. A module and its own children may: what a
//! child says of its parent is not counted. Paths are read as text, and not compiled.

use std::collections::{BTreeMap, BTreeSet};

use super::{code, folder_of, nothing, sources};

/// By file: the files that it knows.
type Graph = BTreeMap<String, BTreeSet<String>>;

#[test]
fn no_files_of_a_crate_know_each_other_in_a_circle() {
    let mut crates: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (name, text) in sources() {
        let (of, _) = name.split_once("src/").expect("below a folder of sources");
        crates.entry(of.to_owned()).or_default().push((name, text));
    }
    assert!(crates.len() >= 5, "{:?}", crates.keys());
    let circles = crates.values().flat_map(|files| circles(&graph(files)));
    nothing("circles of files", circles.map(|circle| circle.join(" ↔ ")).collect());
}

#[test]
fn a_circle_is_seen_through_groups_and_longer_ways_and_families_make_none() {
    let of = |files: &[(&str, &str)]| {
        let file = |(name, text): &(&str, &str)| (format!("src/{name}"), (*text).to_owned());
        circles(&graph(&files.iter().map(file).collect::<Vec<_>>()))
    };
    let long = [
        ("a.rs", "use crate::{x::Y, b::{C as D, self}};"),
        ("b/mod.rs", "fn f() { super::c::g() }"),
        ("c.rs", "pub use crate::a::*;"),
        ("d.rs", "use crate::a::A; pub(in crate::a) fn f() {} // crate::d"),
    ];
    assert_eq!(of(&long), [["src/a.rs", "src/b/mod.rs", "src/c.rs"]]);
    assert_eq!(of(&long[..2]), [[""; 0]; 0]);
    let family = [("a.rs", "use self::b::B; mod b;"), ("a/b.rs", "use super::A; use crate::a::C;")];
    assert_eq!(of(&family), [[""; 0]; 0]);
    let siblings = [("a/b.rs", "use super::c::C;"), ("a/c.rs", "use super::super::a::b::B;")];
    assert_eq!(of(&siblings), [["src/a/b.rs", "src/a/c.rs"]]);
}

/// Which of `files` (path and text) know which.
fn graph(files: &[(String, String)]) -> Graph {
    let modules: BTreeMap<Vec<String>, &str> =
        files.iter().map(|(name, _)| (module(name), name.as_str())).collect();
    let mut graph = Graph::new();
    for (name, text) in files {
        let known = graph.entry(name.clone()).or_default();
        for path in paths(text) {
            let other = file_at(&modules, absolute(&module(name), &path));
            let of_family = |other: &str| other == name || folder_of(other) == parent(name);
            known.extend(other.filter(|other| !of_family(other)).map(str::to_owned));
        }
    }
    graph
}

/// The module that a file is: `a`, `b` for `src/a/b.rs` and for `src/a/b/mod.rs`.
fn module(name: &str) -> Vec<String> {
    let (_, inside) = name.split_once("src/").expect("below a folder of sources");
    let inside = inside.trim_end_matches(".rs");
    let parts = inside.split('/').filter(|part| !matches!(*part, "mod" | "lib" | "main"));
    parts.map(str::to_owned).collect()
}

/// The folder in which the children lie whose module names the file `name`.
fn parent(name: &str) -> String {
    let own = folder_of(name);
    let (above, _) = own.trim_end_matches('/').rsplit_once('/').expect("a folder of sources");
    format!("{above}/")
}

/// The file of the module in which `path` ends; none for what the root of the crate names itself.
fn file_at<'a>(modules: &BTreeMap<Vec<String>, &'a str>, path: Vec<String>) -> Option<&'a str> {
    (1..=path.len()).rev().find_map(|length| modules.get(&path[..length]).copied())
}

/// `path`, as the module `here` says it, from the root of the crate.
fn absolute(here: &[String], path: &[String]) -> Vec<String> {
    let mut base = here.to_vec();
    let mut rest = path;
    while let [first, behind @ ..] = rest {
        match first.as_str() {
            "crate" => base.clear(),
            "super" => drop(base.pop()),
            "self" => {}
            _ => break,
        }
        rest = behind;
    }
    base.extend_from_slice(rest);
    base
}

/// Every path in `text` that begins with `crate`, `super` or `self`, groups taken apart; but for those
/// that say who may see something.
fn paths(text: &str) -> Vec<Vec<String>> {
    let text: String = code(text)
        .map(|(_, line)| line.split(" // ").next().unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n");
    let tokens = tokens(&text);
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| tokens[before]);
        let begins = matches!(*token, "crate" | "super" | "self");
        if begins && tokens.get(at + 1) == Some(&"::") && !matches!(before, Some("in" | "::")) {
            tree(&tokens, at, &[], &mut found);
        }
    }
    found
}

/// Read the tree of paths that begins at `at`, below `above`; where it ends.
fn tree(tokens: &[&str], mut at: usize, above: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = above.to_vec();
    loop {
        match tokens.get(at).copied() {
            Some("{") => {
                at += 1;
                while let Some(token) = tokens.get(at).copied().filter(|token| *token != "}") {
                    at = if token == "," { at + 1 } else { tree(tokens, at, &path, found) };
                }
                return at + 1;
            }
            Some("self") if !path.is_empty() => at += 1,
            Some(name) if is_name(name) => {
                path.push(name.to_owned());
                at += 1;
            }
            Some("*") => at += 1,
            // What nobody expects in a path ends it; in a group it must not be read for ever.
            _ => return at + 1,
        }
        if tokens.get(at) != Some(&"::") {
            found.push(path);
            // Another name does not matter.
            return if tokens.get(at) == Some(&"as") { at + 2 } else { at };
        }
        at += 1;
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names, `::`, and everything else one by one; blanks go.
fn tokens(text: &str) -> Vec<&str> {
    let (mut found, mut rest) = (Vec::new(), text.trim_start());
    while let Some(first) = rest.chars().next() {
        let name = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let length = match name {
            0 if rest.starts_with("::") => 2,
            0 => first.len_utf8(),
            name => name,
        };
        found.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    found
}

/// The groups of files of which each leads to each other.
fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let ways: BTreeMap<&str, BTreeSet<&str>> =
        graph.keys().map(|name| (name.as_str(), reached(graph, name))).collect();
    let circle = |name: &&str| {
        let mutual = ways[name].iter().filter(|other| ways[*other].contains(name));
        mutual.map(|other| (*other).to_owned()).collect::<Vec<_>>()
    };
    let found: BTreeSet<Vec<String>> = ways.keys().map(circle).filter(|it| it.len() > 1).collect();
    found.into_iter().collect()
}

/// What `name` knows, and what that knows in turn.
fn reached<'a>(graph: &'a Graph, name: &str) -> BTreeSet<&'a str> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![name]);
    while let Some(name) = open.pop() {
        for other in &graph[name] {
            if reached.insert(other.as_str()) {
                open.push(other);
            }
        }
    }
    reached
}
