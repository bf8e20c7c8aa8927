//! Holds the architecture: what ARCHITECTURE.md says of layers, absences and sizes.

mod circles;
mod json;
mod vocabulary;

use std::fs;
use std::path::{Path, PathBuf};

/// The layers of src/lib.rs, lowest first; `main` is above all. Below them are the crates.
const LAYERS: &[&[&str]] = &[
    &["pack", "secret", "error", "http", "compare", "redact", "words", "qr", "spans"],
    &["request"],
    &["config", "auth", "quotas", "hosted", "report", "worktree", "population", "integrity"],
    &["runs", "sessions", "sequences", "jobs", "capture"],
    &["daemon", "api", "web", "client"],
    &["cli", "demo", "fuzz"],
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_below(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Path below the repository, and text, of every file of the program; files and folders that are
/// only there for tests, by the word of the file that names them as modules, are left out.
fn sources() -> Vec<(String, String)> {
    let all = all_sources();
    let of_tests: Vec<String> = all
        .iter()
        .flat_map(|(name, text)| {
            modules_of_tests(text).map(move |module| format!("{}{module}", folder_of(name)))
        })
        .collect();
    let is_of_tests = |name: &str| {
        let mut rest = of_tests.iter().filter_map(|part| name.strip_prefix(part.as_str()));
        rest.any(|rest| rest == ".rs" || rest.starts_with('/'))
    };
    all.into_iter().filter(|(name, _)| !is_of_tests(name)).collect()
}

/// Where the modules that the file `name` names lie: `src/a/` for `src/a/mod.rs` and for `src/a.rs`.
fn folder_of(name: &str) -> String {
    match name.rsplit_once('/') {
        Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => format!("{folder}/"),
        _ => format!("{}/", name.trim_end_matches(".rs")),
    }
}

/// The modules of `text` that are compiled for tests only, or for the tests of other crates too.
fn modules_of_tests(text: &str) -> impl Iterator<Item = &str> {
    let marks = ["#[cfg(test)]\n", "#[cfg(any(test, feature = \"testing\"))]\n"];
    marks.into_iter().flat_map(move |mark| text.split(mark).skip(1)).filter_map(|part| {
        let line = part.lines().find(|line| !line.starts_with("#["))?;
        line.strip_suffix(';')?.split_once("mod ").map(|(_, name)| name)
    })
}

fn all_sources() -> Vec<(String, String)> {
    let read = |path: PathBuf| {
        let name =
            path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
        (name, fs::read_to_string(&path).expect("text"))
    };
    source_files().into_iter().map(read).collect()
}

/// The files of the program and of the crates it is made of.
fn source_files() -> Vec<PathBuf> {
    let crates = fs::read_dir(root().join("crates")).expect("the crates");
    let mut found: Vec<PathBuf> = crates
        .flat_map(|entry| files_below(&entry.expect("an entry").path().join("src"), ".rs"))
        .collect();
    found.extend(files_below(&root().join("src"), ".rs"));
    found.sort();
    found
}

/// The module directly below the crate that a file of src/ belongs to.
fn module(name: &str) -> &str {
    let inside = name.trim_start_matches("src/");
    inside.split(['/', '.']).next().expect("a name")
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The lines of a file that are code and not a test.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let program = text.split("\n#[cfg(test)]\nmod tests {").next().expect("a first part");
    program.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[track_caller]
fn nothing(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn every_module_has_a_layer_and_imports_none_above_it() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        // Of crates the compiler holds it.
        if !name.starts_with("src/") {
            continue;
        }
        let module = module(&name);
        if matches!(module, "lib" | "main") {
            continue;
        }
        let Some(own) = layer(module) else {
            wrong.push(format!("{name}: `{module}` has no layer"));
            continue;
        };
        for (number, line) in code(&text) {
            for path in line.split("crate::").skip(1) {
                let used = path.split(|c: char| !c.is_alphanumeric() && c != '_').next();
                let used = used.expect("a first part");
                if layer(used).is_some_and(|used| used > own) {
                    wrong.push(format!("{name}:{}: `{module}` uses `{used}`", number + 1));
                }
            }
        }
    }
    nothing("imports from a higher layer", wrong);
}

#[test]
fn every_file_says_what_it_owns_and_has_a_readable_size() {
    let mut wrong = Vec::new();
    for (name, text) in all_sources() {
        if !text.starts_with("//! ") {
            wrong.push(format!("{name} does not open with a paragraph"));
        }
        let lines = text.lines().count();
        if lines > 600 {
            wrong.push(format!("{name} has {lines} lines"));
        }
    }
    nothing("files", wrong);
}

#[test]
fn parts_know_only_what_they_may() {
    /// Where (a prefix of the path, or all but it), and what must not stand there.
    const RULES: &[(&str, bool, &[&str])] = &[
        ("crates/exhibit-browser/src/chromium/", false, &["chromiumoxide"]),
        (
            "crates/exhibit-store/src/clock/kernel.rs",
            false,
            &["unsafe {", "unsafe fn", "expect(unsafe_code"],
        ),
        ("crates/exhibit-store/src/", true, &["Timestamp::now", "Clock"]),
        ("src/api/", true, &["rusqlite", "std::fs::", "crate::disk"]),
        ("src/web/", true, &["rusqlite", "std::fs::", "crate::disk"]),
        ("", true, &["todo!", "TODO", "FIXME", "XXX", "unimplemented!"]),
    ];
    /// The clock itself, and a talk that ends after some time and dates nothing.
    const CLOCKS: [&str; 2] =
        ["crates/exhibit-store/src/clock.rs", "crates/exhibit-store/src/ssh_agent.rs"];
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        for &(prefix, inside, words) in RULES {
            if name.starts_with(prefix) != inside {
                continue;
            }
            for (number, line) in code(&text) {
                let dates = |word: &str| matches!(word, "Timestamp::now" | "Clock");
                let may = |word: &str| dates(word) && CLOCKS.contains(&name.as_str());
                for word in words.iter().filter(|word| line.contains(**word) && !may(word)) {
                    wrong.push(format!("{name}:{}: `{word}`", number + 1));
                }
            }
        }
    }
    nothing("what must be absent there", wrong);
}

#[test]
fn the_verifier_stands_alone_and_the_store_knows_no_browser() {
    let tree = |package: &str| {
        let mut cargo = std::process::Command::new(env!("CARGO"));
        cargo.args(["tree", "--offline", "--prefix", "none", "-e", "normal", "-p", package]);
        let done = cargo.current_dir(root()).output().expect("cargo is there");
        assert!(done.status.success(), "{done:?}");
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        let names = text.lines().filter_map(|line| line.split_whitespace().next());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let knows = |package: &str, names: &[&'static str]| {
        let known = tree(package);
        let found = names.iter().filter(|name| known.iter().any(|it| it == *name));
        found.copied().collect::<Vec<&str>>()
    };
    let heavy = ["tokio", "axum", "reqwest", "openh264", "adblock", "chromiumoxide", "rusqlite"];
    assert_eq!(knows("exhibit-verify", &heavy), [""; 0]);
    let above = ["exhibit-browser", "exhibit-store", "exhibit"];
    assert_eq!(knows("exhibit-verify", &above), [""; 0]);
    assert_eq!(
        knows("exhibit-browser", &["axum", "rusqlite", "exhibit-store", "exhibit"]),
        [""; 0]
    );
    let foreign =
        ["tokio", "axum", "reqwest", "askama", "openh264", "adblock", "chromiumoxide_cdp"];
    assert_eq!(knows("exhibit-store", &foreign), [""; 0]);
    assert_eq!(knows("exhibit-store", &["exhibit-browser", "exhibit"]), [""; 0]);
    let below = ["exhibit-verify", "exhibit-browser", "serde_json", "rustix", "tempfile"];
    assert_eq!(knows("exhibit-tlog", &below), [""; 0]);
}

#[test]
fn no_test_sleeps_and_nothing_names_a_machine() {
    let mut wrong = Vec::new();
    let mut files = files_below(&root().join("tests"), ".rs");
    files.extend(source_files());
    for folder in ["docs", "examples", "scripts", "systemd"] {
        if root().join(folder).is_dir() {
            files.extend(files_below(&root().join(folder), ""));
        }
    }
    for path in files {
        // This file names what it looks for, and a picture is no text.
        if path.ends_with("tests/it/tidy/mod.rs")
            || path.extension().is_some_and(|end| end == "png")
        {
            continue;
        }
        let text = fs::read_to_string(&path).expect("text");
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}", path.display(), number + 1);
            if path.starts_with(root().join("tests")) && line.contains("sleep(") {
                wrong.push(format!("{place} sleeps"));
            }
            if line.contains("/root/") || line.contains("/home/") {
                wrong.push(format!("{place} names a machine's own path"));
            }
        }
    }
    nothing("sleeps and paths", wrong);
}

#[test]
fn the_documents_are_there_and_know_every_code() {
    let read = |name: &str| {
        fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    for name in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"] {
        assert!(read(name).starts_with("# "), "{name} has no title");
    }
    for name in ["THREAT_MODEL", "AUDITORS", "OPERATIONS", "GLOSSARY"] {
        assert!(read(&format!("docs/{name}.md")).starts_with("# "), "{name} has no title");
    }
    let api = read("docs/API.md");
    for code in exhibit::error::Code::ALL {
        let row = format!("| `{code}` | {} | {} |", code.status(), code.exit());
        assert!(api.contains(&row), "docs/API.md lacks: {row}");
    }
    let format = read("docs/FORMAT.md");
    for code in exhibit::evidence::FindingCode::ALL {
        assert!(format.contains(&format!("`{}`", code.as_str())), "docs/FORMAT.md lacks {code:?}");
    }
}
