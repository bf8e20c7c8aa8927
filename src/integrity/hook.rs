//! Owns the running of the operator's program when evidence was tampered with: with its arguments as they
//! are and no shell, one at a time, what there is to say on its standard input, cut off when it takes
//! too long. Whatever becomes of it holds up nothing else.

use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// Messages that wait for their turn; one more is dropped, and counted.
const WAITING: usize = 64;
/// Where programs are looked for that are no path.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What became of the messages so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HookCounts {
    /// The program ran and ended well.
    pub ran: u64,
    /// It could not be run, said that it failed, or was cut off.
    pub failed: u64,
    /// There was no room for them.
    pub dropped: u64,
}

/// The operator's program, to be told things.
#[derive(Debug)]
pub struct Hook {
    sender: mpsc::Sender<Value>,
    counts: [AtomicU64; 3],
}

/// What is to be told, in order.
pub type Messages = mpsc::Receiver<Value>;

impl Hook {
    /// A hook, and what it is to be told, for whoever calls [`Hook::tell`] with it.
    pub fn new() -> (Self, Messages) {
        let (sender, messages) = mpsc::channel(WAITING);
        (Self { sender, counts: Default::default() }, messages)
    }

    /// Have `message` told when its turn comes.
    pub fn send(&self, message: Value) {
        if self.sender.try_send(message).is_err() {
            self.count(2);
            tracing::warn!("a message for the program in `integrity.hook` was dropped");
        }
    }

    /// What became of the messages so far.
    pub fn counts(&self) -> HookCounts {
        let [ran, failed, dropped] =
            [0, 1, 2].map(|place| self.counts[place].load(Ordering::Relaxed));
        HookCounts { ran, failed, dropped }
    }

    fn count(&self, place: usize) {
        self.counts[place].fetch_add(1, Ordering::Relaxed);
    }

    /// Run `command`, a program and its arguments, with `message` on its standard input, for at most
    /// `limit`. Nothing is run when there is no command.
    pub async fn tell(&self, command: &[String], message: &Value, limit: Duration) {
        let Some((program, arguments)) = command.split_first() else { return };
        match run(program, arguments, message, limit).await {
            Ok(()) => self.count(0),
            Err(why) => {
                self.count(1);
                tracing::error!(program, why, "the program in `integrity.hook` failed");
            }
        }
    }
}

async fn run(
    program: &str,
    arguments: &[String],
    message: &Value,
    limit: Duration,
) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", PATH).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // A group of its own, so that what it starts ends with it.
    let mut child = command
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("it cannot be started: {error}"))?;
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let told = tokio::time::timeout(limit, feed(&mut child, message)).await;
    match told {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("it ended with {status}")),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => {
            if let Some(group) = group {
                // Gone already is as good.
                let _ = kill_process_group(group, Signal::KILL);
            }
            drop(child.wait().await);
            Err(format!("it took longer than {limit:?} (`integrity.hook_limit`) and was cut off"))
        }
    }
}

async fn feed(child: &mut Child, message: &Value) -> std::io::Result<std::process::ExitStatus> {
    let mut input = child.stdin.take().expect("its input is a pipe");
    let mut text = message.to_string();
    text.push('\n');
    // A program that does not care for it may have closed it.
    let written = input.write_all(text.as_bytes()).await;
    drop(input);
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error),
        _ => child.wait().await,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn shell(script: &str, argument: &str) -> Vec<String> {
        ["sh", "-c", script, "hook", argument].map(str::to_owned).to_vec()
    }

    #[tokio::test]
    async fn it_gets_the_message_and_nothing_of_the_daemons_surroundings() {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("out").display().to_string();
        let (hook, _messages) = Hook::new();
        let script = "{ cat; env | cut -d= -f1 | sort; pwd; } > \"$1\"";
        hook.tell(&shell(script, &out), &json!({ "place": "log" }), LIMIT).await;
        let told = std::fs::read_to_string(&out).expect("written");
        assert_eq!(told, "{\"place\":\"log\"}\nPATH\nPWD\n/\n");
        // It need not listen.
        hook.tell(&shell("exec 0<&-", ""), &json!({ "a": "x".repeat(1 << 20) }), LIMIT).await;
        assert_eq!(hook.counts(), HookCounts { ran: 2, failed: 0, dropped: 0 });
    }

    #[tokio::test]
    async fn one_that_fails_or_hangs_is_counted_and_cut_off_with_what_it_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("pid").display().to_string();
        let (hook, _messages) = Hook::new();
        hook.tell(&shell("exit 3", ""), &json!({}), LIMIT).await;
        hook.tell(&["/nonexistent/program".to_owned()], &json!({}), LIMIT).await;
        assert_eq!(hook.counts().failed, 2);
        let hanging = shell("sleep 1000 & echo $! > \"$1\"; wait", &out);
        // Cut off as soon as it is known to hang: the limit is long enough for the note.
        hook.tell(&hanging, &json!({}), Duration::from_secs(2)).await;
        assert_eq!(hook.counts().failed, 3);
        let pid = std::fs::read_to_string(&out).expect("it ran").trim().to_owned();
        // A killed process may take a moment to go.
        let gone = async {
            let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            while !(state().is_empty() || state().contains(") Z ")) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, gone).await.expect("what it started ends with it");
    }

    #[tokio::test]
    async fn more_than_there_is_room_for_is_dropped_and_counted() {
        let (hook, mut messages) = Hook::new();
        for number in 0..WAITING + 3 {
            hook.send(json!(number));
        }
        assert_eq!(hook.counts().dropped, 3);
        assert_eq!(messages.recv().await, Some(json!(0)));
        hook.tell(&[], &json!({}), LIMIT).await;
        assert_eq!(hook.counts(), HookCounts { dropped: 3, ..HookCounts::default() });
    }
}
