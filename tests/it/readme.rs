//! README's own commands, as somebody types them who has just cloned the repository: from the
//! demonstration to the first page of one's own. What differs from his machine is that the binary is
//! built already, that the page is served on loopback, and that root has Chromium's sandbox off.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::harness::eventually;
use crate::process::told;
use crate::site::Site;

/// The page that README captures.
const PAGE: &str = "https://example.com/";
/// Where its daemon listens.
const PORT: &str = "127.0.0.1:8420";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(repository().join("README.md")).expect("README")
}

/// The text of README's blocks that begin with `opening`.
fn blocks(text: &str, opening: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == opening {
            found.push(lines.by_ref().take_while(|line| *line != "```").fold(
                String::new(),
                |mut block, line| {
                    block.push_str(line);
                    block.push('\n');
                    block
                },
            ));
        } else if line.starts_with("```") {
            lines.by_ref().take_while(|line| *line != "```").for_each(drop);
        }
    }
    found
}

/// A machine on which the repository was cloned and built.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // As root the demonstration runs as another user.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("changed");
        let machine = Self { folder };
        let clone = machine.clone_of();
        fs::create_dir_all(clone.join("target/debug")).expect("made");
        fs::create_dir_all(clone.join("examples")).expect("made");
        fs::create_dir_all(machine.home()).expect("made");
        for name in ["Makefile", "scripts", "docs", "config.toml"] {
            symlink(repository().join(name), clone.join(name)).expect("linked");
        }
        symlink(env!("CARGO_BIN_EXE_exhibit"), clone.join("target/debug/exhibit")).expect("linked");
        symlink(repository().join("target/tools"), clone.join("target/tools")).expect("linked");
        let own = fs::read_to_string(repository().join("examples/own-user.toml")).expect("there");
        assert!(own.lines().count() <= 8 && own.contains(PORT), "{own}");
        let root = rustix::process::geteuid().is_root();
        let sandbox = if root { "browser.sandbox = false\n" } else { "" };
        let own = own.replace(PORT, "127.0.0.1:0") + sandbox;
        fs::write(clone.join("examples/own-user.toml"), own).expect("written");
        machine
    }

    fn clone_of(&self) -> PathBuf {
        self.folder.path().join("clone")
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn shell(&self, commands: &str, at: &Path) -> Command {
        let mut shell = Command::new("bash");
        // What was built is not built again.
        let commands = commands.replace("make ", "make -o build ");
        shell.args(["-euo", "pipefail", "-c", &commands]).current_dir(at);
        for name in ["EXHIBIT_CONFIG", "EXHIBIT_SOCKET", "EXHIBIT_URL", "EXHIBIT_KEY", "MAKEFLAGS"]
        {
            shell.env_remove(name);
        }
        shell.env("HOME", self.home()).env("TMPDIR", self.folder.path());
        shell
    }

    /// What `commands` say, which must succeed.
    fn done(&self, commands: &str, at: &Path) -> String {
        let Output { status, stdout, stderr } =
            self.shell(commands, at).output().expect("bash is there");
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "{commands}\n{stdout}{stderr}");
        stdout.into_owned()
    }
}

/// A program that is ended with the test.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// `text` with its ids, digests and numbers masked.
fn masked(text: &str) -> String {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let mut shown = String::new();
    for word in text.split_inclusive(|letter| !is_word(letter)) {
        let end = word.trim_end_matches(|letter| !is_word(letter));
        let digits = end.chars().any(|letter| letter.is_ascii_digit());
        shown.push_str(if digits { "#" } else { end });
        shown.push_str(&word[end.len()..]);
    }
    shown
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_readme_works_from_the_clone_to_ones_own_page() {
    let site = Site::start().await;
    let machine = Machine::new();
    let text = readme();
    let commands = blocks(&text, "```sh");
    let [demo, serve, first, whole] = commands.as_slice() else {
        panic!("the demonstration, the daemon, a first page, a whole run: {commands:?}")
    };

    let clone = machine.clone_of();
    let shown = machine.done(demo, &clone);
    let home = shown.split("All of it lies in ").nth(1).and_then(|rest| rest.split(' ').next());
    let evidence = Path::new(home.expect("said")).join("evidence");
    assert!(shown.contains("PASS") && !shown.contains("FAIL"), "{shown}");
    // The transcript is what the demonstration's store answers.
    let transcript = blocks(&text, "```").into_iter().find(|block| block.starts_with("$ exhibit"));
    let transcript = transcript.expect("a transcript of verify");
    let (command, answer) = transcript.split_once('\n').expect("an answer");
    let arguments: Vec<&str> = command.split(' ').skip(2).collect();
    let (code, verified) = told(&evidence, &arguments);
    assert_eq!((code, masked(&verified)), (0, masked(answer)));

    let daemon = serve.replace("\nexhibit serve\n", "\nexec exhibit serve\n");
    assert_ne!(&daemon, serve, "the block ends with the daemon");
    let log = fs::File::create(machine.folder.path().join("log")).expect("made");
    let daemon = machine.shell(&daemon, &clone).stdout(Stdio::null()).stderr(log).spawn();
    let _daemon = Serving(daemon.expect("bash is there"));
    let own = machine.home().join("exhibit");
    eventually("the daemon takes captures", async || {
        own.is_dir() && told(&own, &["status", "--json"]).1.contains("\"ready\": true")
    })
    .await;

    let page = site.url("/ok");
    let path = format!("export PATH=\"{}:$PATH\"\n", clone.join("target/debug").display());
    for block in [first, whole] {
        assert!(block.contains(PAGE), "{block}");
        let shown = machine.done(&(path.clone() + &block.replace(PAGE, &page)), &own);
        if block == first {
            assert!(shown.contains(": intact, sealed"), "{shown}");
        } else {
            assert!(shown.contains("INCOMPLETE") && shown.contains("recording"), "{shown}");
            assert!(shown.contains("/ui/sign-in?token="), "{shown}");
        }
    }
    let picture = fs::read(own.join("page.png")).expect("the first page of one's own");
    assert!(picture.starts_with(b"\x89PNG"));
}

#[test]
fn what_the_readme_and_the_decisions_point_to_is_there() {
    let text = readme();
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    for link in links {
        let path = link.split('#').next().expect("a path");
        assert!(repository().join(path).exists(), "README points to {path}");
    }
    for document in ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"] {
        let text = fs::read_to_string(repository().join(document)).expect("text");
        for quoted in text.split('`').skip(1).step_by(2) {
            let folders =
                ["src/", "tests/", "docs/", "examples/", "scripts/", "systemd/", "crates/"];
            let is_path = folders.iter().any(|folder| quoted.starts_with(folder))
                && quoted
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || "/._-".contains(letter));
            assert!(!is_path || repository().join(quoted).exists(), "{document} names {quoted}");
        }
    }
    let picture = fs::metadata(repository().join("docs/refund.png")).expect("the picture").len();
    assert!(picture < 100_000, "the picture has {picture} bytes");
    let decisions = repository().join("docs/decisions");
    let index = fs::read_to_string(decisions.join("README.md")).expect("the index");
    let mut count = 0;
    for entry in fs::read_dir(&decisions).expect("a folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("text");
        if name != "README.md" {
            count += 1;
            assert_eq!(index.matches(&format!("({name})")).count(), 1, "{name} in the index");
        }
    }
    assert_eq!(index.matches(".md)").count(), count);
}
