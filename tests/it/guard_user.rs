//! The guard as it is installed: an ordinary user's process with the capability for flags and no other,
//! beside a daemon of the same user without it, and an agent who is somebody else. Only root can play
//! all of them.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use exhibit::integrity::guard::{Flag, GuardCommand, ask};
use serde_json::Value;
use tempfile::TempDir;

use crate::guard::{Unlock, chattr_works, skipped};
use crate::harness::{eventually, sealed_folder};
use crate::process::write_config;

/// Nobody's numbers: no user needs to have them.
const RECORDER: u32 = 64_501;
const AGENT: u32 = 64_502;
/// CAP_LINUX_IMMUTABLE (capabilities(7)) in the kernel's mask.
const CAPABILITY: u64 = 1 << 9;

/// The one capability of the unit.
const GUARD: [&str; 3] = [
    "--bounding-set=-all,+linux_immutable",
    "--inh-caps=-all,+linux_immutable",
    "--ambient-caps=-all,+linux_immutable",
];
const NOBODY: [&str; 3] = ["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"];

/// A folder of the recorder's user, with the program in it, where every user reaches it.
struct Host {
    folder: TempDir,
    _unlock: Unlock,
}

/// A process that ends with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Running {
    /// Its user, and the capabilities that it has.
    fn powers(&self) -> (u32, u64) {
        let text = fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("it runs");
        let line = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
            line.split_whitespace().next().expect("a value").to_owned()
        };
        let mask = u64::from_str_radix(&line("CapEff:"), 16).expect("a mask");
        (line("Uid:").parse().expect("a number"), mask)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            drop(writeln!(std::io::stderr(), "{log}"));
        }
    }
}

impl Host {
    /// None, with the reason on the terminal, where it cannot be played.
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let why_not = if !rustix::process::geteuid().is_root() {
            "this is not root"
        } else if !chattr_works(folder.path()) {
            "the file system has no immutable flag, or this root may not set it"
        } else if !as_user(RECORDER, &GUARD).arg("true").status().is_ok_and(|done| done.success()) {
            "there is no setpriv(1), or it may not hand on the capability"
        } else {
            let unlock = Unlock(folder.path().join("store"));
            let host = Self { folder, _unlock: unlock };
            host.furnish();
            return Some(host);
        };
        skipped("the guard as a user of its own", why_not);
        None
    }

    fn furnish(&self) {
        let program = env!("CARGO_BIN_EXE_exhibit");
        let own = self.path("exhibit");
        if fs::hard_link(program, &own).is_err() {
            fs::copy(program, &own).expect("copied");
        }
        fs::set_permissions(self.folder.path(), Permissions::from_mode(0o755)).expect("ours");
        for (name, guard) in [("blind.toml", "blind.sock"), ("config.toml", "guard.sock")] {
            let guard = self.path(guard);
            let more = format!(
                "[integrity]\nguard = \"{}\"\n[retention]\ndefault = \"0d\"\n",
                guard.display()
            );
            write_config(self.folder.path(), &more);
            if name != "config.toml" {
                fs::rename(self.path("config.toml"), self.path(name)).expect("ours");
            }
        }
        std::os::unix::fs::chown(self.folder.path(), Some(RECORDER), Some(RECORDER)).expect("root");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn exhibit(&self, mut as_whom: Command, arguments: &[&str]) -> Command {
        as_whom.arg(self.path("exhibit")).args(arguments).current_dir(self.folder.path());
        as_whom
    }

    /// Start one that lasts.
    fn start(&self, powers: &[&str], config: &str, command: &str) -> Running {
        let mut command = self.exhibit(as_user(RECORDER, powers), &["--config", config, command]);
        let log = File::options().create(true).append(true).open(self.path("log")).expect("ours");
        Running(command.stdout(Stdio::null()).stderr(log).spawn().expect("started"))
    }

    /// What a command of `user` came to, and what it printed.
    fn ran(&self, user: u32, arguments: &[&str]) -> (bool, String) {
        let done = self.exhibit(as_user(user, &NOBODY), arguments).output().expect("it runs");
        let text = [done.stdout, done.stderr].concat();
        (done.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    fn guarded(&self) -> Value {
        let (_, text) = self.ran(RECORDER, &["status", "--json"]);
        let status: Value = serde_json::from_str(&text).unwrap_or_default();
        status["integrity"]["guard"].clone()
    }

    /// A run that the agent has sealed.
    fn sealed(&self) -> String {
        let (done, run) = self.ran(AGENT, &["--socket", "exhibit.sock", "run", "open", "w"]);
        assert!(done, "{run}");
        let run = run.lines().next().expect("an id").to_owned();
        let (done, text) = self.ran(AGENT, &["--socket", "exhibit.sock", "run", "seal", &run]);
        assert!(done, "{text}");
        run
    }

    fn folder_of(&self, run: &str) -> PathBuf {
        sealed_folder(&self.path("store"), run)
    }
}

/// A command of `user`, who is in the recorder's group.
fn as_user(user: u32, powers: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={user}"), format!("--regid={user}")]);
    command.args([format!("--groups={RECORDER}"), "--no-new-privs".to_owned()]).args(powers);
    for name in ["EXHIBIT_CONFIG", "EXHIBIT_SOCKET", "EXHIBIT_URL", "EXHIBIT_KEY"] {
        command.env_remove(name);
    }
    command
}

/// Ways for `user` to get at the sealed folder `at`: each must be refused.
fn assert_withstands(user: u32, at: &Path) {
    let ways = [
        "chattr -R -i .",
        "chattr -R -i -a ../../../..",
        "chmod u+w .",
        "chmod u+w seal.json",
        "touch data/more",
        "echo >> data/events.jsonl",
        "mv seal.json other",
        "mv $PWD ../aside",
        "mv .. ../../aside",
        "mv ../../.. ../../../../aside",
        "mv ../../../.. ../../../../../aside",
        "chmod 755 ..",
        "ln seal.json ../link",
        "rm -rf seal.json",
        "rm -rf data",
    ];
    for way in ways {
        let mut command = as_user(user, &NOBODY);
        let done = command.args(["sh", "-c", &format!("cd \"$0\" && {way}")]).arg(at).output();
        let done = done.expect("a shell");
        assert!(!done.status.success(), "{user} could `{way}`");
    }
    for file in ["seal.json", "data/events.jsonl", "data/run.json"] {
        assert!(at.join(file).is_file(), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_user_with_one_capability_guards_what_its_own_user_cannot_let_go() {
    let Some(host) = Host::new() else { return };
    let answers = async |socket: &str| {
        let path = host.path(socket);
        let what = format!("{socket} is listened on");
        eventually(&what, async || std::os::unix::net::UnixStream::connect(&path).is_ok()).await;
        path
    };
    // The first start makes the keys and the store.
    let daemon = host.start(&NOBODY, "config.toml", "serve");
    answers("exhibit.sock").await;
    drop(daemon);

    // The same program and user without the capability says what it lacks.
    let blind = host.start(&NOBODY, "blind.toml", "guard");
    let socket = answers("blind.sock").await;
    assert_eq!(blind.powers(), (RECORDER, 0));
    for flag in [Flag::Immutable, Flag::AppendOnly] {
        let why = ask(&socket, GuardCommand::Measure(flag)).expect_err("it cannot");
        assert!(why.contains("CAP_LINUX_IMMUTABLE"), "{why}");
    }
    drop(blind);

    let guard = host.start(&GUARD, "config.toml", "guard");
    let socket = answers("guard.sock").await;
    assert_eq!(guard.powers(), (RECORDER, CAPABILITY));
    for flag in [Flag::Immutable, Flag::AppendOnly] {
        ask(&socket, GuardCommand::Measure(flag)).expect("it holds");
    }
    let daemon = host.start(&NOBODY, "config.toml", "serve");
    answers("exhibit.sock").await;
    assert_eq!(daemon.powers(), (RECORDER, 0));
    let (first, second) = (host.sealed(), host.sealed());
    eventually("both are immutable", async || host.guarded()["immutable"] == 2).await;
    for run in [&first, &second] {
        assert_withstands(RECORDER, &host.folder_of(run));
        assert_withstands(AGENT, &host.folder_of(run));
    }
    let mut agent = as_user(AGENT, &NOBODY);
    let agent = agent.args(["cat", "store/lock"]).current_dir(host.folder.path()).output();
    assert!(!agent.expect("it runs").status.success(), "the agent reads no store");
    let (_, told) = host.ran(RECORDER, &["--config", "config.toml", "doctor"]);
    assert!(told.contains("1 of 1 folders of days have it"), "{told}");
    assert!(told.contains("2 of 2 sealed folders and archives have it"), "{told}");

    let purge = |user, run: &str| {
        let purge = ["--socket", "exhibit.sock", "purge", "--reason", "r", "--run", run];
        host.ran(user, &purge)
    };
    assert!(!purge(AGENT, &first).0, "an agent purges nothing");
    assert_withstands(RECORDER, &host.folder_of(&first));
    let (done, text) = purge(RECORDER, &first);
    assert!(done && !host.folder_of(&first).exists(), "{text}");
    assert_withstands(RECORDER, &host.folder_of(&second));
    let verify = ["--config", "config.toml", "keys", "export", "--out", "trust"];
    assert!(host.ran(RECORDER, &verify).0);
    let (sound, text) = host.ran(RECORDER, &["verify", "--trust", "trust", "store"]);
    assert!(sound, "{text}");
}
