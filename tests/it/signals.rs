//! What the daemon's surroundings tell it: signals, and a socket that systemd hands over.

use std::os::unix::net::UnixListener;
use std::time::Duration;

use command_fds::{CommandFdExt as _, FdMapping};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::eventually;
use crate::process::{Process, assert_store_is_sound, exhibit, quick, write_config};
use crate::site::Site;

fn pid_of(child: &std::process::Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_signal_drains_and_the_second_does_not_wait() {
    let site = Site::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let mut daemon = Process::start(&folder).await;
    let pid = pid_of(&daemon.child);
    let shot = quick(&site.url("/never-loads"));
    let log = || std::fs::read_to_string(folder.path().join("log")).expect("the log");
    let signalling = async {
        site.wait_for_request("/held.png").await;
        kill_process(pid, Signal::TERM).expect("it runs");
        eventually("the daemon drains", async || log().contains("finishing the work under way"))
            .await;
        kill_process(pid, Signal::TERM).expect("it still runs: a capture is under way");
        eventually("the daemon does not wait", async || log().contains("stopping at once")).await;
    };
    let (answer, ()) = tokio::join!(daemon.try_send("POST", "/v1/screenshot", &shot), signalling);
    assert!(answer.is_none_or(|answer| answer.status != 200), "it was cut short");
    assert!(daemon.child.wait().expect("it ends").success());
    site.release();
    drop(daemon);

    // What was cut short is on record, after the next start.
    let daemon = Process::start(&folder).await;
    assert!(daemon.terminate().success());
    assert_eq!(assert_store_is_sound(folder.path()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_systemd_hands_over_is_taken() {
    let site = Site::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let path = folder.path().join("handed-over.sock");
    let listener = UnixListener::bind(&path).expect("bound");
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" --config config.toml serve"]);
    command.arg(exhibit().get_program()).current_dir(folder.path());
    let mapping = FdMapping { parent_fd: listener.into(), child_fd: 3 };
    let child =
        command.fd_mappings(vec![mapping]).expect("one descriptor").spawn().expect("it starts");
    drop(command);
    let http = exhibit::http::client().unix_socket(path.clone()).build().expect("a client");
    let get = async |path: &str| {
        let answer = http.get(format!("http://exhibit{path}")).send().await.ok()?;
        Some(answer.status().as_u16())
    };
    eventually("it takes captures", async || get("/readyz").await == Some(200)).await;
    let shot = http.post("http://exhibit/v1/screenshot").json(&quick(&site.url("/ok"))).send();
    assert_eq!(shot.await.expect("an answer").status().as_u16(), 200);
    assert!(!folder.path().join("exhibit.sock").exists(), "its own socket is not made");
    let mut child = child;
    kill_process(pid_of(&child), Signal::TERM).expect("it runs");
    assert!(child.wait().expect("it ends").success());
    assert!(path.exists(), "what systemd made is systemd's");
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_up_reads_the_configuration_again() {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let daemon = Process::start(&folder).await;
    let log = || std::fs::read_to_string(folder.path().join("log")).expect("the log");
    kill_process(pid_of(&daemon.child), Signal::HUP).expect("it runs");
    // Nothing changed, and that is no reason to end.
    let alive = async || daemon.try_send("GET", "/healthz", &Value::Null).await;
    assert_eq!(alive().await.expect("an answer").status, 200);
    write_config(folder.path(), "[capture]\nmax_body = \"1 parsec\"\n");
    kill_process(pid_of(&daemon.child), Signal::HUP).expect("it runs");
    eventually("the broken file is told of", async || log().contains("max_body")).await;
    assert_eq!(alive().await.expect("an answer").status, 200);
    assert!(
        tokio::time::timeout(Duration::from_secs(60), async { daemon.terminate() }).await.is_ok()
    );
}
