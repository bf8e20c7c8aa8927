//! The command line, as the real binary: what it prints, and its exit codes.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::harness::{TestDaemon, eventually};
use crate::process::{Process, exhibit, write_config};
use crate::site::{Site, refused_url};

/// Run the binary in `folder`.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    exhibit().args(arguments).current_dir(folder).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Exit code, standard output, standard error.
fn told(output: &Output) -> (i32, String, String) {
    (output.status.code().expect("an exit code"), text(&output.stdout), text(&output.stderr))
}

/// Standard output of something that must succeed.
#[track_caller]
fn done(output: &Output) -> String {
    let (code, stdout, stderr) = told(output);
    assert_eq!(code, 0, "{stdout}{stderr}");
    stdout
}

#[test]
fn the_configuration_is_checked_in_one_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let broken = "[daemon]\nsockt = \"x\"\ndrain = \"30 parsecs\"\nlisten = \"0.0.0.0:80\"\n\n[store]\nmin_free = 7\n\n[colour]\nred = 1\n";
    std::fs::write(folder.path().join("broken.toml"), broken).expect("written");
    let (code, _, stderr) = told(&run(folder.path(), &["config", "check", "broken.toml"]));
    assert_eq!(code, 6, "{stderr}");
    for (line, key) in [(2, "sockt"), (3, "drain"), (4, "listen"), (7, "min_free"), (9, "colour")] {
        let named = stderr
            .lines()
            .any(|told| told.contains(&format!("broken.toml:{line}")) && told.contains(key));
        assert!(named, "line {line}, {key}: {stderr}");
    }
    assert!(
        stderr.contains("did you mean `socket`") || stderr.contains("did you mean socket"),
        "{stderr}"
    );
    let (code, _, serve) = told(&run(folder.path(), &["--config", "broken.toml", "serve"]));
    assert_eq!(code, 6, "serve says the same: {serve}");
    assert!(serve.contains("sockt") && serve.contains("colour"), "{serve}");

    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml");
    let (code, stdout, stderr) = told(&run(folder.path(), &["config", "check", shipped]));
    assert_eq!(code, 0, "{stdout}{stderr}");
}

#[test]
fn commands_without_a_daemon_say_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = ["--socket", "none.sock", "shot", "http://a.example/"];
    let (code, _, stderr) = told(&run(folder.path(), &arguments));
    assert_eq!(code, 3);
    assert!(stderr.contains("exhibit serve"), "{stderr}");
    assert_eq!(told(&run(folder.path(), &["no-such-command"])).0, 2);
    assert_eq!(told(&run(folder.path(), &["show", "not-an-id"])).0, 2);
    let help = done(&run(folder.path(), &["--help"]));
    assert!(help.contains("Exit codes") && help.contains("verify"), "{help}");
}

#[test]
fn keys_are_made_listed_and_forgotten() {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let keys = |more: &[&str]| run(folder.path(), &[&["keys"], more].concat());
    assert_eq!(told(&keys(&["export"])).0, 6, "there is no signing key yet");
    let key = done(&keys(&["add", "agent"]));
    assert!(key.trim().starts_with("exk_"), "{key}");
    assert_eq!(told(&keys(&["add", "agent"])).0, 8, "taken");
    let list = done(&keys(&["list"]));
    assert!(list.contains("agent") && !list.contains(key.trim()), "{list}");
    done(&keys(&["remove", "agent"]));
    assert!(!done(&keys(&["list"])).contains("agent"));
}

#[test]
fn doctor_says_what_it_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let (code, stdout, _) = told(&run(folder.path(), &["doctor", "--json"]));
    let answer: Value = serde_json::from_str(&stdout).expect("JSON");
    let checks = answer["checks"].as_array().expect("a list");
    let failed = checks.iter().any(|check| check["health"] == "failed");
    assert_eq!((code, answer["healthy"].clone()), (if failed { 14 } else { 0 }, json!(!failed)));
    let names: Vec<_> =
        checks.iter().map(|check| check["name"].as_str().expect("a name")).collect();
    for name in ["browser", "sandbox", "emoji", "CJK font", "/dev/shm", "clock", "signing key"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    for check in checks {
        assert_eq!(check["health"] == "ok", check.get("remedy").is_none(), "{check}");
    }
    let browserless = "[browser]\npath = \"/bin/sh\"\n";
    std::fs::write(folder.path().join("other.toml"), browserless).expect("written");
    let (code, stdout, stderr) = told(&run(folder.path(), &["--config", "other.toml", "doctor"]));
    assert_eq!(code, 14, "{stdout}{stderr}");
    // What is kept for too short a time for most duties is a warning.
    assert!(stdout.contains("400 days, 3 classes"), "{stdout}");
    let short = format!("{browserless}[retention]\nclasses = {{ access = \"30d\" }}\n");
    std::fs::write(folder.path().join("other.toml"), short).expect("written");
    let (_, stdout, _) = told(&run(folder.path(), &["--config", "other.toml", "doctor"]));
    assert!(stdout.contains("warning  retention        short: access 30 days"), "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_an_error_page_is_told_as_one() {
    let site = Site::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let daemon = Process::start(&folder).await;
    let (code, stdout, stderr) = told(&run(folder.path(), &["shot", &site.url("/status/404")]));
    assert!(stdout.contains("HTTP 404: an error page"), "{stdout}");
    assert_eq!((code, stderr.contains("HTTP 404: this is a picture of an error page")), (0, true));
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_run_by_the_command_line() {
    let site = Site::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let daemon = Process::start(&folder).await;
    let here = |arguments: &[&str]| run(folder.path(), arguments);
    let url = site.url("/ok");

    done(&here(&["shot", &url, "--wait-until", "load", "--out", "alone.png"]));
    let picture = std::fs::read(folder.path().join("alone.png")).expect("saved");
    assert!(picture.starts_with(b"\x89PNG"));
    assert_eq!(told(&here(&["shot", &url, "--out", "alone.png"])).0, 8, "not overwritten");
    assert_eq!(told(&here(&["shot", "file:///etc/passwd"])).0, 4);
    let (code, _, stderr) = told(&here(&["shot", &refused_url()]));
    assert_eq!(code, 5);
    assert!(stderr.contains("the attempt is on record in run"), "{stderr}");

    done(&here(&["record", &url, "--for", "500ms", "--out", "page.mp4"]));
    let mp4 = std::fs::read(folder.path().join("page.mp4")).expect("saved");
    assert_eq!(&mp4[4..8], b"ftyp");
    std::fs::write(
        folder.path().join("steps.json"),
        r#"[{"action": "hover", "selector": "body"}]"#,
    )
    .expect("written");
    done(&here(&["record", &url, "--steps", "steps.json"]));
    assert_eq!(told(&here(&["record", &url, "--for", "1h"])).0, 2);
    done(&here(&["pdf", &url, "--wait-until", "load", "--landscape", "--out", "page.pdf"]));
    let document = std::fs::read(folder.path().join("page.pdf")).expect("saved");
    assert!(document.starts_with(b"%PDF-"));
    let opened = here(&["run", "open", "refund", "--agent", "bot", "--label", "ticket=7"]);
    let id = done(&opened).trim().to_owned();
    done(&here(&["run", "log", &id, "approved", "--kind", "decision", "--data", "{\"n\":1}"]));
    done(&here(&["shot", &url, "--run", &id, "--stage", "before", "--wait-until", "load"]));
    done(&here(&["run", "attach", &id, "alone.png", "--media-type", "image/png"]));
    let list = done(&here(&["list", "--state", "open"]));
    assert!(list.contains(&id) && list.contains("refund"), "{list}");
    let sealed = done(&here(&["run", "seal", &id, "--outcome", "succeeded", "--json"]));
    let receipt: Value = serde_json::from_str(&sealed).expect("JSON");
    assert_eq!(told(&here(&["run", "log", &id, "late"])).0, 8);
    assert_eq!(told(&here(&["show", "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57"])).0, 7);
    assert!(done(&here(&["show", &id])).contains("succeeded"));
    assert!(done(&here(&["status"])).contains("ready"));

    let signers = done(&here(&["keys", "export"]));
    std::fs::write(folder.path().join("signers"), signers).expect("written");
    let kept = format!("store/{}", receipt["folder"].as_str().expect("a path"));
    done(&here(&["verify", "--allowed-signers", "signers", &kept, "store"]));
    assert!(daemon.terminate().success());
    done(&here(&["index", "rebuild"]));

    // verify tells apart: unknown key, altered, incomplete, unreadable.
    let code =
        |path: &str, signers: &str| told(&here(&["verify", "--allowed-signers", signers, path])).0;
    std::fs::write(folder.path().join("nobody"), "").expect("written");
    assert_eq!(code(&kept, "nobody"), 12);
    assert_eq!(code("no-such-folder", "signers"), 2, "a mistake, and no evidence");
    let inside = folder.path().join(&kept);
    let copy = |name: &str| {
        let copied = std::process::Command::new("cp")
            .arg("-r")
            .arg(&inside)
            .arg(folder.path().join(name))
            .status();
        assert!(copied.expect("cp").success());
        let opened = std::process::Command::new("chmod")
            .args(["-R", "u+w", name])
            .current_dir(folder.path())
            .status();
        assert!(opened.expect("chmod").success());
        // A folder is known by its name.
        let place = folder.path().join(name);
        std::fs::create_dir(folder.path().join(format!("{name}.d"))).expect("made");
        let named = format!("{name}.d/{id}");
        std::fs::rename(place, folder.path().join(&named)).expect("moved");
        named
    };
    let altered = copy("altered");
    let screenshot = "data/captures/0001-before/screenshot.png";
    std::fs::write(folder.path().join(&altered).join(screenshot), b"other").expect("written");
    assert_eq!(code(&altered, "signers"), 10);
    let incomplete = copy("incomplete");
    std::fs::remove_file(folder.path().join(&incomplete).join("tagmanifest-sha256.txt.sig"))
        .expect("removed");
    assert_eq!(code(&incomplete, "signers"), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_is_followed_and_a_broken_one_is_not() {
    let site = Site::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let daemon = Process::start(&folder).await;
    let shot = json!({ "url": site.url("/ok"), "waitUntil": "load" });
    daemon.post("/v1/screenshot", shot.clone()).await.ok();
    let log = || std::fs::read_to_string(folder.path().join("log")).expect("the log");

    let denied = "[policy]\ndeny_hosts = [\"127.0.0.1\"]\n";
    write_config(folder.path(), denied);
    eventually("the new policy is in force", async || {
        daemon.post("/v1/screenshot", shot.clone()).await.status == 403
    })
    .await;
    std::fs::write(folder.path().join("config.toml"), "[policy]\ndeny_hosts = 7\n")
        .expect("written");
    eventually("the broken file is told of", async || log().contains("deny_hosts")).await;
    assert_eq!(daemon.post("/v1/screenshot", shot.clone()).await.status, 403, "the old one holds");
    write_config(folder.path(), "");
    eventually("the mended file is in force", async || {
        daemon.post("/v1/screenshot", shot.clone()).await.status == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demonstration_makes_a_folder_that_stock_tools_accept() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, stdout, stderr) = told(&run(folder.path(), &["demo", "--store", "demo", "--json"]));
    assert_eq!(code, 0, "{stdout}{stderr}");
    let answer: Value = serde_json::from_str(&stdout).expect("JSON");
    let text = |name: &str| answer[name].as_str().expect("a path").to_owned();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/verify.sh");
    let bagit = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/bin/bagit.py");
    let (trust, store, sealed) = (text("trust"), text("store"), text("folder"));
    let checks: [(&str, &[&str]); 3] = [
        (script, &["--trust", &trust, &sealed]),
        (script, &["--trust", &trust, "--store", &store]),
        (bagit, &["--validate", &sealed]),
    ];
    for (program, arguments) in checks {
        let checked = std::process::Command::new(program).args(arguments).output();
        let (code, stdout, stderr) = told(&checked.expect("scripts/setup installs it"));
        assert_eq!(code, 0, "{program}: {stdout}{stderr}");
        assert_eq!(stdout.contains("PASS 10 proof"), program == script, "{stdout}");
        assert!(!stdout.contains("FAIL") && !stdout.contains("SKIP"), "{stdout}");
    }
    let (code, stdout, stderr) = told(&run(folder.path(), &["verify", "--trust", &trust, &store]));
    assert_eq!(code, 0, "{stdout}{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_of_the_hosted_apis_users_run_unchanged() {
    let daemon = TestDaemon::start_with(|config| {
        config.daemon.listen = Some("127.0.0.1:0".parse().expect("an address"));
    })
    .await;
    let ring = daemon.folder.path().join("keys/api-keys.json");
    let mut ring = exhibit::auth::keyring::Keyring::open(&ring).expect("no keys yet");
    let (key, _) = ring.add("seed", exhibit::clock::Clock::system().now()).expect("made");
    let tasks = exhibit::tasks::Tasks::new();
    let desk = exhibit::demo::desk::Desk::start(exhibit::clock::Clock::system(), &tasks);
    let desk = desk.await.expect("the desk opens").url();
    let folder = tempfile::tempdir().expect("a folder");
    let example = |name: &str| format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"));
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/bin/python");
    let base = format!("http://{}", daemon.daemon().tcp().expect("listening"));

    let mut program = tokio::process::Command::new(python);
    program.arg(example("hosted_api.py")).args([&desk, "TX-1042", "48.50"]);
    program.env("SCREENSHOT_BASE_URL", base).env("SCREENSHOT_API_KEY", key.expose());
    let output = program.current_dir(folder.path()).output().await.expect("scripts/setup made it");
    let stdout = done(&output);
    assert!(stdout.contains("refund: refunded"), "{stdout}");
    let pictures = ["before", "after"]
        .map(|name| std::fs::read(folder.path().join(format!("{name}.png"))).expect("saved"));
    assert_ne!(pictures[0], pictures[1]);
    let runs: Vec<_> =
        stdout.lines().filter_map(|line| line.split("evidence in run ").nth(1)).collect();
    for (run, picture) in runs.iter().zip(&pictures) {
        daemon.assert_verifies(run);
        let kept = daemon.sealed(run).join("data/captures/0001-during/screenshot.png");
        assert_eq!(std::fs::read(kept).expect("kept"), *picture);
    }
    assert_eq!(runs.len(), 2);
    tasks.stop();
}
