//! Owns what is said over the guard's socket: one line with a command, one with the answer, and for what
//! is let go a last pair when it has gone. It sets no flag.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use tokio::time::Instant;

use crate::id::RunId;

/// Longest line, either way.
const LINE: usize = 1024;
/// How long the other side may be silent: also the longest that a day stays open.
const PATIENCE: Duration = Duration::from_secs(30);

/// One of the two flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// Of sealed folders and archives.
    Immutable,
    /// Of the folders of days, months and years, and of `runs/`.
    AppendOnly,
}

impl Flag {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Immutable => "immutable",
            Self::AppendOnly => "append-only",
        }
    }
}

/// What the guard is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardCommand {
    /// Make what there is of a sealed run immutable, and the folders above it append-only.
    Lock(RunId),
    /// Make of it removable what goes by the word of the log, and let names go from the folder of its
    /// day, until whoever asked hangs up.
    Release(RunId),
    /// Make the full tiles of the log immutable that it has with so many entries, all of them published.
    Tiles(u64),
    /// Try whether a flag holds.
    Measure(Flag),
}

impl FromStr for GuardCommand {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let run = |id: &str| id.parse().map_err(|error| format!("{error}"));
        match line.split_once(' ') {
            Some(("lock", id)) => return Ok(Self::Lock(run(id)?)),
            Some(("release", id)) => return Ok(Self::Release(run(id)?)),
            Some(("tiles", size)) => {
                return size.parse().map(Self::Tiles).map_err(|error| format!("{size}: {error}"));
            }
            Some(("measure", flag)) => {
                let flags = [Flag::Immutable, Flag::AppendOnly];
                if let Some(flag) = flags.into_iter().find(|one| one.word() == flag) {
                    return Ok(Self::Measure(flag));
                }
            }
            _ => {}
        }
        let commands =
            "`lock RUN`, `release RUN`, `tiles SIZE`, `measure immutable` or `measure append-only`";
        Err(format!("not an order; say {commands}"))
    }
}

impl fmt::Display for GuardCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock(run) => write!(f, "lock {run}"),
            Self::Release(run) => write!(f, "release {run}"),
            Self::Tiles(size) => write!(f, "tiles {size}"),
            Self::Measure(flag) => write!(f, "measure {}", flag.word()),
        }
    }
}

/// Give `command` to the guard on `socket`.
///
/// # Errors
/// Why it was not done, in words.
pub fn ask(socket: &Path, command: GuardCommand) -> Result<(), String> {
    send(socket, command).map(drop)
}

/// What the guard let go: while this lasts, it can be taken out of the folder of its day.
#[must_use = "what is let go is held again when this is dropped"]
#[derive(Debug)]
pub struct Released(UnixStream);

/// Have the guard on `socket` let go of `run` what the log says that goes.
///
/// # Errors
/// Why it was not done, in words.
pub fn release(socket: &Path, run: RunId) -> Result<Released, String> {
    send(socket, GuardCommand::Release(run)).map(Released)
}

impl Released {
    /// Say that it is gone, and hear that the folder of its day lets no name go any more.
    ///
    /// # Errors
    /// Why it does, in words.
    pub fn close(self) -> Result<(), String> {
        let answer = self.0.shutdown(Shutdown::Write).and_then(|()| line(&self.0));
        judge(&answer.map_err(|error| format!("the guard does not answer any more: {error}"))?)
    }
}

fn send(socket: &Path, command: GuardCommand) -> Result<UnixStream, String> {
    let sent = || -> io::Result<(UnixStream, String)> {
        let mut stream = UnixStream::connect(socket)?;
        be_patient(&stream)?;
        stream.write_all(format!("{command}\n").as_bytes())?;
        let answer = line(&stream)?;
        Ok((stream, answer))
    };
    let (stream, answer) = sent()
        .map_err(|error| format!("the guard on {} does not answer: {error}", socket.display()))?;
    judge(&answer).map(|()| stream)
}

fn judge(answer: &str) -> Result<(), String> {
    match answer.trim_end().split_once(' ') {
        None if answer.trim_end() == "ok" => Ok(()),
        Some(("no", why)) => Err(why.to_owned()),
        _ => Err("the guard's answer cannot be understood".to_owned()),
    }
}

/// Wait for the other side of `stream` for a limited time.
///
/// # Errors
/// What the system answers.
pub(super) fn be_patient(stream: &UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))
}

/// The next line of the other side, empty when it has hung up.
///
/// # Errors
/// What the system answers, `WouldBlock` when it is silent for too long.
pub(super) fn line(stream: &UnixStream) -> io::Result<String> {
    let mut line = Vec::new();
    let mut left = PATIENCE;
    // Not the daemon's clock, which asks the kernel how good it is: the guard's unit does not let it.
    let began = Instant::now();
    while line.len() < LINE && !line.ends_with(b"\n") {
        // The whole line within the time, however many pieces it comes in: what is open is closed then.
        stream.set_read_timeout(Some(left))?;
        let mut byte = [0];
        let mut stream = stream;
        if stream.read(&mut byte)? == 0 {
            break;
        }
        line.push(byte[0]);
        let taken = began.elapsed();
        left = PATIENCE.saturating_sub(taken).max(Duration::from_millis(1));
        if taken >= PATIENCE {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Answer what came of a command.
///
/// # Errors
/// What the system answers.
pub(super) fn answer(mut stream: &UnixStream, done: &Result<(), String>) -> io::Result<()> {
    let answer = match done {
        Ok(()) => "ok\n".to_owned(),
        Err(why) => format!("no {}\n", why.replace('\n', " ")),
    };
    stream.write_all(answer.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_word_with_what_it_is_about_and_nothing_else() {
        let run: RunId = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57".parse().expect("an id");
        let measure = [Flag::Immutable, Flag::AppendOnly].map(GuardCommand::Measure);
        for command in [GuardCommand::Lock(run), GuardCommand::Release(run), GuardCommand::Tiles(7)]
            .into_iter()
            .chain(measure)
        {
            assert_eq!(command.to_string().parse(), Ok(command));
        }
        for other in
            ["", "lock", "lock ../../etc", "lock /etc", "measure", "measure x", "tiles -1", "x"]
        {
            other.parse::<GuardCommand>().expect_err(other);
        }
    }
}
