//! Owns the talk with an SSH agent, which holds keys that nobody can read, in hardware or in memory:
//! which keys it has, and signing with one (draft-miller-ssh-agent). Bytes in, bytes out; every
//! exchange ends within a patience given, whatever the agent does.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::clock::Clock;

/// Message numbers (draft-miller-ssh-agent, section 7.1).
const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// Largest answer read: OpenSSH's own limit.
const MAX_ANSWER: usize = 256 * 1024;

/// Why an agent did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Nobody listens, or it broke off.
    #[error("the SSH agent cannot be reached")]
    Io(#[source] io::Error),
    /// It did not answer in time.
    #[error("the SSH agent did not answer within {} s", .0.as_secs_f32())]
    Late(Duration),
    /// It said no: the key is gone, locked, or its holder did not confirm.
    #[error("the SSH agent refused; it may be locked, or nobody confirmed")]
    Refused,
    /// What it said is not of the protocol.
    #[error("the SSH agent answered with something else than was asked")]
    Malformed,
}

/// The public keys that the agent at `socket` holds, each as it stands on the wire (RFC 4253,
/// section 6.6).
///
/// # Errors
/// See [`AgentError`].
pub fn identities(socket: &Path, patience: Duration) -> Result<Vec<Vec<u8>>, AgentError> {
    let answer = ask(socket, &[REQUEST_IDENTITIES], IDENTITIES_ANSWER, patience)?;
    let mut rest = answer.as_slice();
    let count = number(&mut rest).ok_or(AgentError::Malformed)?;
    let mut keys = Vec::new();
    for _ in 0..count {
        let key = string(&mut rest).ok_or(AgentError::Malformed)?;
        string(&mut rest).ok_or(AgentError::Malformed)?;
        keys.push(key.to_vec());
    }
    Ok(keys)
}

/// The signature over `data` with the key `key`, as it stands on the wire.
///
/// # Errors
/// See [`AgentError`].
pub fn sign(
    socket: &Path,
    key: &[u8],
    data: &[u8],
    patience: Duration,
) -> Result<Vec<u8>, AgentError> {
    let mut request = vec![SIGN_REQUEST];
    put(&mut request, key);
    put(&mut request, data);
    // No flags: they choose between RSA's hashes.
    request.extend(0_u32.to_be_bytes());
    let answer = ask(socket, &request, SIGN_RESPONSE, patience)?;
    let mut rest = answer.as_slice();
    let signature = string(&mut rest).filter(|_| rest.is_empty());
    signature.map(<[u8]>::to_vec).ok_or(AgentError::Malformed)
}

/// Send `request`; what comes back, if it is a message of the number `expected`, without that.
fn ask(
    socket: &Path,
    request: &[u8],
    expected: u8,
    patience: Duration,
) -> Result<Vec<u8>, AgentError> {
    let mut talk = Talk::begin(socket, patience)?;
    let mut message = Vec::new();
    put(&mut message, request);
    talk.send(&message)?;
    let mut length = [0; 4];
    talk.receive(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length == 0 || length > MAX_ANSWER {
        return Err(AgentError::Malformed);
    }
    let mut answer = vec![0; length];
    talk.receive(&mut answer)?;
    match answer[0] {
        FAILURE => Err(AgentError::Refused),
        number if number == expected => Ok(answer.split_off(1)),
        _ => Err(AgentError::Malformed),
    }
}

/// Connect, or fail at once: of one that accepts nobody the standard library would wait.
fn connect(socket: &Path) -> Result<UnixStream, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&fd, &SocketAddrUnix::new(socket)?)?;
    Ok(UnixStream::from(fd))
}

/// One exchange, and until when.
struct Talk {
    stream: UnixStream,
    clock: Clock,
    patience: Duration,
}

impl Talk {
    fn begin(socket: &Path, patience: Duration) -> Result<Self, AgentError> {
        let stream = match connect(socket) {
            Ok(stream) => stream,
            Err(Errno::AGAIN) => return Err(AgentError::Late(patience)),
            Err(error) => return Err(AgentError::Io(error.into())),
        };
        stream.set_nonblocking(false).map_err(AgentError::Io)?;
        Ok(Self { stream, clock: Clock::system(), patience })
    }

    /// What is left of the patience.
    fn left(&self) -> Result<Duration, AgentError> {
        let left = self.patience.checked_sub(self.clock.now().monotonic);
        left.filter(|left| !left.is_zero()).ok_or(AgentError::Late(self.patience))
    }

    fn send(&mut self, mut bytes: &[u8]) -> Result<(), AgentError> {
        while !bytes.is_empty() {
            self.stream.set_write_timeout(Some(self.left()?)).map_err(AgentError::Io)?;
            let sent = self.stream.write(bytes);
            let sent = self.done(sent)?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    fn receive(&mut self, bytes: &mut [u8]) -> Result<(), AgentError> {
        let mut filled = 0;
        while filled < bytes.len() {
            self.stream.set_read_timeout(Some(self.left()?)).map_err(AgentError::Io)?;
            let got = self.stream.read(&mut bytes[filled..]);
            filled += self.done(got)?;
        }
        Ok(())
    }

    /// How much came or went; an end is a failure, being interrupted is none.
    fn done(&self, moved: io::Result<usize>) -> Result<usize, AgentError> {
        match moved {
            Ok(0) => Err(AgentError::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(moved) => Ok(moved),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    Err(AgentError::Late(self.patience))
                }
                io::ErrorKind::Interrupted => Ok(0),
                _ => Err(AgentError::Io(error)),
            },
        }
    }
}

/// Append `bytes` with their length (RFC 4251, section 5: `string`).
fn put(message: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("what is sent is short");
    message.extend(length.to_be_bytes());
    message.extend(bytes);
}

/// Take a number from the beginning of `rest`.
fn number(rest: &mut &[u8]) -> Option<u32> {
    let (number, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(u32::from_be_bytes(*number))
}

/// Take a string from the beginning of `rest`.
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(number(rest)?).ok()?;
    let (string, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(string)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(50);

    /// An agent that answers each request with `answer` and hangs up, but for keeping silent when
    /// that is empty.
    fn fake(answer: &'static [u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("agent.sock");
        let listener = UnixListener::bind(&path).expect("bound");
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut length = [0; 4];
                stream.read_exact(&mut length).expect("a length");
                let length = u32::from_be_bytes(length) as usize;
                stream.read_exact(&mut vec![0; length]).expect("a request");
                if answer.is_empty() {
                    held.push(stream);
                } else {
                    drop(stream.write_all(answer));
                }
            }
        });
        (folder, path)
    }

    fn asked(answer: &'static [u8]) -> Result<Vec<Vec<u8>>, AgentError> {
        let (_folder, path) = fake(answer);
        identities(&path, PATIENCE)
    }

    #[test]
    fn keys_and_signatures_are_read() {
        let keys = asked(b"\0\0\0\x18\x0c\0\0\0\x02\0\0\0\x01a\0\0\0\0\0\0\0\x02bc\0\0\0\x00");
        assert_eq!(keys.expect("keys"), [b"a".to_vec(), b"bc".to_vec()]);
        let (_folder, path) = fake(b"\0\0\0\x08\x0e\0\0\0\x03sig");
        assert_eq!(sign(&path, b"key", b"data", PATIENCE).expect("signed"), b"sig");
    }

    #[test]
    fn a_refusal_and_nonsense_are_told_apart() {
        assert!(matches!(asked(b"\0\0\0\x01\x05"), Err(AgentError::Refused)));
        for nonsense in [
            &b"\0\0\0\0"[..],
            b"\xff\xff\xff\xff\x0c",
            b"\0\0\0\x01\x0e",
            b"\0\0\0\x01\x0c",
            b"\0\0\0\x05\x0c\xff\xff\xff\xff",
            b"\0\0\0\x09\x0c\0\0\0\x01\xff\xff\xff\xff",
        ] {
            assert!(matches!(asked(nonsense), Err(AgentError::Malformed)), "{nonsense:?}");
        }
        let (_folder, path) = fake(b"\0\0\0\x09\x0e\0\0\0\x03sigX");
        assert!(matches!(sign(&path, b"k", b"d", PATIENCE), Err(AgentError::Malformed)));
    }

    #[test]
    fn an_agent_that_is_gone_or_breaks_off_is_no_hang() {
        assert!(matches!(asked(b"\0\0\0\x10\x0c"), Err(AgentError::Io(_))));
        let folder = tempfile::tempdir().expect("a folder");
        let gone = identities(&folder.path().join("none"), PATIENCE);
        assert!(matches!(gone, Err(AgentError::Io(_))), "{gone:?}");
    }

    #[test]
    fn one_that_keeps_silent_or_accepts_nobody_is_given_up() {
        let (_folder, path) = fake(b"");
        assert!(matches!(identities(&path, SHORT), Err(AgentError::Late(_))));
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("full.sock");
        let listener = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None);
        let listener = listener.expect("a socket");
        let address = SocketAddrUnix::new(&path).expect("short enough");
        rustix::net::bind(&listener, &address).expect("bound");
        rustix::net::listen(&listener, 0).expect("listening");
        let late = (0..4).map(|_| connect(&path)).collect::<Vec<_>>();
        assert!(matches!(identities(&path, SHORT), Err(AgentError::Late(_))));
        drop(late);
    }
}
