//! Owns a server that plays a hosted screenshot service which misbehaves: each request gets the
//! next answer of a script, byte for byte, and is kept to be looked at. It must not know the
//! daemon. It has threads of its own and never sleeps: what is held is held until its asker leaves.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What a request gets.
#[derive(Clone)]
pub(crate) enum Answer {
    /// These bytes, and the end of the connection.
    Bytes(Vec<u8>),
    /// Nothing, for as long as it is waited for.
    Nothing,
    /// The end of the connection.
    End,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// The request line and the headers.
    pub(crate) head: String,
    pub(crate) body: String,
}

#[derive(Default)]
struct Shared {
    script: VecDeque<Answer>,
    received: Vec<Received>,
    closed: bool,
}

/// The running server; it stops when dropped.
pub(crate) struct HostedServer {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl HostedServer {
    /// Start it on a free port of 127.0.0.1, without a script: what is asked gets the end.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Mutex::new(Shared::default()));
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&serving);
                if shared.lock().expect("sound").closed {
                    return;
                }
                let stream = stream.expect("a connection");
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Forget what arrived, and answer by `script` from now on.
    pub(crate) fn play(&self, script: impl IntoIterator<Item = Answer>) {
        let mut shared = self.shared.lock().expect("sound");
        shared.script = script.into_iter().collect();
        shared.received.clear();
    }

    /// What arrived since.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.lock().expect("sound").received.clone()
    }
}

impl Drop for HostedServer {
    fn drop(&mut self) {
        self.shared.lock().expect("sound").closed = true;
        // The listener looks up, and is gone when its thread has ended.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(mut stream: TcpStream, shared: &Mutex<Shared>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).is_ok_and(|length| length > 0) {
            continue;
        }
        return;
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).expect("the body");
    let body = String::from_utf8_lossy(&body).into_owned();
    let answer = {
        let mut shared = shared.lock().expect("sound");
        shared.received.push(Received { head, body });
        shared.script.pop_front().unwrap_or(Answer::End)
    };
    match answer {
        Answer::Bytes(bytes) => drop(stream.write_all(&bytes)),
        // Whoever waits closes the connection when it has waited for long enough.
        Answer::Nothing => drop(reader.read(&mut [0])),
        Answer::End => {}
    }
}

/// A whole answer: `status` like `200 OK`, `headers` each with its line end.
pub(crate) fn answer(status: &str, headers: &str, body: &[u8]) -> Answer {
    answer_of_length(status, headers, body, body.len())
}

/// The same with a length that may be a lie.
pub(crate) fn answer_of_length(status: &str, headers: &str, body: &[u8], length: usize) -> Answer {
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    Answer::Bytes([head.as_bytes(), body].concat())
}
