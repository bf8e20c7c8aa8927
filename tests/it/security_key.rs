//! Owns a security key of the tests: an SSH agent that holds a key of the kind
//! `sk-ssh-ed25519@openssh.com` and signs as such hardware does (PROTOCOL.u2f in the OpenSSH source).

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use exhibit::digest::Digest;

const KIND: &str = "sk-ssh-ed25519@openssh.com";
const APPLICATION: &str = "ssh:";
/// Somebody touched it.
const TOUCHED: u8 = 1;

/// As it stands on the wire: with its length (RFC 4251, section 5).
fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let length = u32::try_from(bytes.len()).expect("short");
    [&length.to_be_bytes()[..], bytes].concat()
}

/// The string at the beginning of `rest`, which is then behind it.
fn take<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let (length, behind) = rest.split_first_chunk::<4>().expect("a length");
    let (taken, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
    *rest = behind;
    taken
}

fn receive(stream: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("a length");
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut message).expect("a message");
    message
}

/// Its signature over `data`, with everything that belongs to it.
fn signature(key: &SigningKey, counter: u32, data: &[u8]) -> Vec<u8> {
    let tail = [&[TOUCHED][..], &counter.to_be_bytes()].concat();
    let (application, data) = (Digest::of(APPLICATION.as_bytes()), Digest::of(data));
    let signed = [&application.as_bytes()[..], &tail, data.as_bytes()].concat();
    [string(KIND), string(key.sign(&signed).to_bytes()), tail].concat()
}

/// Listen at `path`, for as long as the tests run; the public key in OpenSSH's form.
pub(crate) fn plugged_in(path: &Path) -> String {
    let key = SigningKey::from_bytes(&[3; 32]);
    let public = key.verifying_key();
    let blob = [string(KIND), string(public.as_bytes()), string(APPLICATION)].concat();
    let line = format!("{KIND} {} a security key\n", STANDARD.encode(&blob));
    let listener = UnixListener::bind(path).expect("bound");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("set");
    std::thread::spawn(move || {
        for (stream, counter) in listener.incoming().zip(7..) {
            let mut stream = stream.expect("a connection");
            let request = receive(&mut stream);
            let mut rest = &request[1..];
            let answer = match request[0] {
                11 => [&[12, 0, 0, 0, 1][..], &string(&blob), &string("a security key")].concat(),
                13 if take(&mut rest) == blob => {
                    let made = signature(&key, counter, take(&mut rest));
                    [&[14][..], &string(made)].concat()
                }
                _ => vec![5],
            };
            stream.write_all(&string(answer)).expect("sent");
        }
    });
    line
}
