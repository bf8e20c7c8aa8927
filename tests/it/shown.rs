//! Everything that the binary prints, whichever command, and the daemon's journal: nothing that agents
//! and pages say draws, hides, or begins a line of its own; and a reader who stops reading meets no
//! panic. Clap's own list of commands leads the tests, so that a new one is not forgotten.

use std::fs::File;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Process, exhibit, write_config};
use crate::site::Site;

/// What an agent says: a forged line, what moves the cursor, what turns and hides text, a letter that
/// passes for another, and a formula.
const EVIL: &str = "=ok\nVerdict: complete\r\u{1b}[2J\u{9b}1A\u{202e}\u{200b}\u{e0041}p\u{430}y";
/// The same where no controls are taken.
const MILD: &str = "=ok Verdict: complete\u{202e}\u{200b}\u{e0041}p\u{430}y";
/// What would read as the daemon's observation, were it not in quotation marks.
const FORGED: &str = "https://desk/42, work tree clean";
/// Commands that set what callers say beside words of ours.
const BESIDE: [&str; 4] = ["list", "show", "population", "sample"];
/// Exit codes of the contract (docs/API.md).
const CODES: std::ops::RangeInclusive<i32> = 0..=14;
/// It prints nothing and logs: its journal is looked at.
const UNTRIED: [&str; 1] = ["serve"];
/// How each command is tried, with all that can be hostile in what it is asked and in what it tells.
const ROWS: &str = "\
guard:
shot: PAGE --out a.png
shot: EVIL
pdf: PAGE
pdf: EVIL
record: PAGE --for 100ms
record: EVIL
run open: EVIL --agent EVIL --label a=b
run open: x --label EVIL
run log: OPEN EVIL
run log: OPEN x --kind EVIL
run log: OPEN x --data EVIL
run attach: OPEN EVIL
run attach: OPEN EVIL --name EVIL
run code: OPEN --commit EVIL
run code: OPEN --work-tree EVIL
run seal: SEALED
run seal: EVIL
list:
list: --workflow EVIL
list: --state EVIL
show: SEALED
show: OPEN
show: EVIL
open: --print
verify: FOLDER
verify: store
verify: EVIL
verify: store --trust EVIL
report: FOLDER --out a.html
report: FOLDER --csv --out a.csv
report: FOLDER --oscal --out a.json
report: FOLDER --changes
report: EVIL
population:
population: --csv
population: --workflow EVIL
population: EVIL
sample: -n 2 --seed EVIL
sample: -n 2 --seed EVIL --csv
export: SEALED --out a.tar.zst
export: SEALED --out EVIL
import: --list
import: EVIL
custody:
custody: --store EVIL
hold add: SEALED --reason MILD --matter m-2
hold add: SEALED --reason x --matter EVIL
hold release: SEALED --reason MILD --matter m-2
hold list:
purge: --dry-run --run SEALED --reason EVIL
purge: --dry-run --reason EVIL
purge: --dry-run --reason MILD
archive: --dry-run SEALED
archive: EVIL
log checkpoint:
log checkpoint: --qr
log proof: SEALED
log proof: EVIL
log witness key: --witness-key w --name w.example
log witness key: --witness-key w2 --name EVIL
log witness request:
log witness sign: --witness-key w --name EVIL --log-key EVIL --state s EVIL
log witness add: EVIL
log witness status:
log timestamp export: --out a.tsq
log timestamp import: EVIL
log timestamp status:
keys add: ci
keys add: EVIL
keys list:
keys remove: EVIL
keys signers:
keys rotate: --reason MILD
keys rotate: --reason EVIL
keys revoke: EVIL --reason EVIL
keys export:
keys export: --out EVIL
config check:
config check: EVIL
doctor:
status:
index rebuild:
demo: --scenario EVIL
demo: --store /dev/null/no
";
/// What `log checkpoint --qr` draws with.
const QR: [&str; 2] = ["\u{1b}[30;47m", "\u{1b}[0m"];

/// Every command that does something, with its words: `log witness add`.
fn commands() -> Vec<String> {
    fn leaves(command: &clap::Command, path: &str, all: &mut Vec<String>) {
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            let path = format!("{path} {}", inner.get_name());
            if inner.has_subcommands() {
                leaves(inner, &path, all);
            } else {
                all.push(path.trim_start().to_owned());
            }
        }
    }
    let mut all = Vec::new();
    leaves(&exhibit::cli::command(), "", &mut all);
    all
}

/// What the commands are about.
struct Scene {
    folder: TempDir,
    daemon: Process,
    site: Site,
    sealed: String,
    open: String,
}

impl Scene {
    async fn set() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        write_config(folder.path(), "[log]\nfilter = \"debug\"\n");
        let (daemon, site) = (Process::start(&folder).await, Site::start().await);
        let evil = json!({
            "workflow": EVIL, "agent": EVIL, "principal": EVIL, "subject": EVIL,
            "controls": [EVIL], "labels": { EVIL: EVIL }, "code": { "repository": EVIL, "symbol": EVIL, "review": FORGED },
        });
        let opened = async || {
            let run = daemon.post("/v1/runs", evil.clone()).await.ok().json();
            let run = run["run"].as_str().expect("an id").to_owned();
            let event = json!({ "kind": "decision", "message": EVIL, "data": { EVIL: EVIL } });
            daemon.post(&format!("/v1/runs/{run}/events"), event).await.ok();
            run
        };
        let (sealed, open) = (opened().await, opened().await);
        for stage in ["before", "after"] {
            let page = format!("<title>{EVIL}</title><h1>{EVIL}</h1><p>{stage} {EVIL}");
            let shot = json!({ "html": page, "stage": stage, "waitUntil": "load" });
            daemon.post(&format!("/v1/runs/{sealed}/captures"), shot).await.ok();
        }
        let end = json!({ "outcome": EVIL, "reason": EVIL });
        daemon.post(&format!("/v1/runs/{sealed}/seal"), end).await.ok();
        let hold = json!({ "runs": [sealed], "reason": MILD, "matter": "m-1" });
        daemon.post("/v1/holds", hold).await.ok();
        std::fs::write(folder.path().join(EVIL.replace('/', "_")), "no bundle").expect("written");
        Self { folder, daemon, site, sealed, open }
    }

    fn at(&self) -> &Path {
        self.folder.path()
    }

    fn sealed_folder(&self) -> String {
        let days = self.at().join("store/runs");
        let found = walk(&days).into_iter().find(|path| path.ends_with(&self.sealed));
        found.expect("it is sealed").display().to_string()
    }

    /// How `command` is tried.
    fn tries(&self, command: &str) -> Vec<Vec<String>> {
        let (page, folder) = (self.site.url("/ok"), self.sealed_folder());
        let word = |word: &str| match word {
            "EVIL" => EVIL.to_owned(),
            "MILD" => MILD.to_owned(),
            "SEALED" => self.sealed.clone(),
            "OPEN" => self.open.clone(),
            "FOLDER" => folder.clone(),
            "PAGE" => page.clone(),
            other => other.to_owned(),
        };
        let rows = ROWS.lines().filter_map(|row| row.strip_prefix(command)?.strip_prefix(':'));
        let whole = |words: &str| {
            command
                .split(' ')
                .map(str::to_owned)
                .chain(words.split_whitespace().map(word))
                .collect()
        };
        rows.map(whole).collect()
    }

    /// Every try of every command, also asked for JSON.
    fn all_tries(&self) -> Vec<Vec<String>> {
        let mut all = vec![vec!["--help".to_owned()], vec![EVIL.to_owned()]];
        for command in commands() {
            let tries = self.tries(&command);
            assert!(!tries.is_empty() || UNTRIED.contains(&&*command), "`{command}` has no row");
            for words in tries {
                let mut as_json = words.clone();
                as_json.push("--json".to_owned());
                all.extend([words, as_json]);
            }
        }
        all
    }
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            all.extend(walk(&entry.path()));
        }
        all.push(entry.path());
    }
    all
}

/// What of `text` draws, hides or passes for something else, by a list of this test's own.
fn betrays(text: &str) -> Option<char> {
    let hides = |one: char| {
        (one.is_control() && one != '\n')
            || matches!(one, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}' | '\u{430}')
    };
    text.chars().find(|one| hides(*one))
}

#[track_caller]
fn assert_honest(what: &str, text: &str) {
    let text = QR.iter().fold(text.to_owned(), |text, drawn| text.replace(drawn, ""));
    assert_eq!(betrays(&text), None, "{what}: {text:?}");
    let forged = text.lines().find(|line| line.trim_start().starts_with("Verdict: complete"));
    assert_eq!(forged, None, "{what}: {text}");
}

fn told(output: &Output) -> (Option<i32>, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

/// A line in which what a caller says stands outside of quotation marks.
fn unquoted(text: &str) -> Option<&str> {
    let stands_free = |line: &&str| {
        let said = ["Verdict: complete", "work tree clean"].iter().filter_map(|it| line.find(it));
        let opened = |at: usize| line[..at].rfind(['“', '"']);
        said.into_iter().any(|at| opened(at).is_none_or(|open| line[open..at].contains('”')))
    };
    text.lines().find(stands_free)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_printed_draws_or_forges() {
    let scene = Scene::set().await;
    let mut quoted = 0;
    for words in scene.all_tries() {
        let output = exhibit().args(&words).current_dir(scene.at()).stdin(Stdio::null()).output();
        let (code, text) = told(&output.expect("the binary runs"));
        // The lines of such a table end so (RFC 4180).
        let ends = if words.iter().any(|word| word == "--csv") { "\r\n" } else { "\n" };
        assert_honest(&format!("{words:?}"), &text.replace(ends, "\n"));
        assert!(code.is_some_and(|code| CODES.contains(&code)), "{words:?}: {code:?}, {text}");
        assert!(!text.contains("panicked"), "{words:?}: {text}");
        quoted += usize::from(text.contains("Verdict: complete"));
        let is_table = words.iter().any(|word| word == "--csv" || word == "--json");
        if BESIDE.contains(&words[0].as_str()) && !is_table && code == Some(0) {
            assert_eq!(unquoted(&text), None, "{words:?}");
        }
        if words[0] == "show" && words[1] == scene.sealed && !words.contains(&"--json".to_owned()) {
            assert!(text.contains("=ok\\u{a}Verdict: complete\\u{d}\\u{1b}[2J"), "{text}");
            assert!(text.contains("\\u{200b}\\u{e0041}p\\u{430}y"), "{text}");
        }
    }
    assert!(quoted > 20, "what is hostile is there to be seen: {quoted}");
    // JSON has the same values, whatever they are.
    let output = exhibit().args(["show", &scene.sealed, "--json"]).current_dir(scene.at()).output();
    let shown: Value = serde_json::from_slice(&output.expect("it runs").stdout).expect("JSON");
    assert_eq!(shown["agent"], EVIL);
    // What was written, for people, spreadsheets and programs.
    for name in ["a.html", "a.csv", "a.json"] {
        let text = std::fs::read_to_string(scene.at().join(name)).expect("written");
        let body = text.split("<script type=\"text/plain\"").next().expect("a part");
        assert_honest(name, &body.replace(['\t', '\r'], ""));
        assert!(body.contains("\\u{e0041}"), "{name}");
    }
    // OSCAL is Markdown, and says whose word it is.
    let oscal = std::fs::read_to_string(scene.at().join("a.json")).expect("written");
    assert!(oscal.contains("review “https\\\\://desk/42, work tree clean”"), "{oscal}");
    let rows = std::fs::read_to_string(scene.at().join("a.csv")).expect("written");
    assert!(!rows.split(['\n', ',']).any(|cell| cell.trim_matches('"').starts_with('=')), "{rows}");
    let output = exhibit().args(["population", "--csv"]).current_dir(scene.at()).output();
    let rows = String::from_utf8(output.expect("it runs").stdout).expect("text");
    assert!(rows.contains(",'=ok\\u{a}Verdict"), "{rows}");
    // The journal of a daemon that met all of it, as JSON and for people.
    let journal = std::fs::read_to_string(scene.at().join("log")).expect("a journal");
    assert_honest("the journal", &journal);
    let events = journal.lines().filter(|line| line.starts_with('{'));
    let broken = events.clone().find(|line| serde_json::from_str::<Value>(line).is_err());
    assert_eq!((broken, events.count() > 10), (None, true));
    drop(scene.daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_stops_reading_meets_no_panic() {
    let scene = Scene::set().await;
    for words in scene.all_tries() {
        // The reading end is gone before the first word.
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = exhibit();
        command.args(&words).current_dir(scene.at()).stdin(Stdio::null()).stdout(writer);
        let output = command.stderr(Stdio::piped()).output().expect("the binary runs");
        let (code, text) = told(&output);
        assert!(!text.contains("panicked") && !text.contains("roken pipe"), "{words:?}: {text}");
        assert!(code.is_some_and(|code| CODES.contains(&code)), "{words:?}: {code:?}, {text}");
    }
    // Nobody reads what goes wrong either, nor the journal.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let status = exhibit().args(["show", "none"]).current_dir(scene.at()).stderr(writer).status();
    assert_eq!(status.expect("the binary runs").code(), Some(2));
    // The verdict is the exit code's, whoever reads.
    let verdict = |stdout: Stdio| {
        let mut command = exhibit();
        command.args(["verify", "store"]).current_dir(scene.at()).stderr(Stdio::null());
        command.stdout(stdout).status().expect("the binary runs").code()
    };
    assert_eq!(verdict(Stdio::null()), Some(0));
    damage(&Path::new(&scene.sealed_folder()).join("data/run.json"));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    assert_eq!((verdict(Stdio::null()), verdict(writer.into())), (Some(10), Some(10)));
    // Standard output that takes no more is no success.
    let full = File::options().write(true).open("/dev/full").expect("Linux");
    let output = exhibit().arg("list").current_dir(scene.at()).stdout(full).output();
    let (code, text) = told(&output.expect("the binary runs"));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("standard output takes no more"), "{text}");
    drop(scene.daemon);
}

fn damage(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, mode).expect("changed");
    let mut bytes = std::fs::read(path).expect("read");
    bytes[10] ^= 1;
    std::fs::write(path, bytes).expect("written");
}
