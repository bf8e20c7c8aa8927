//! Owns an HTTPS server whose certificate nobody trusts: `openssl s_server` with a self-signed
//! certificate, in a temporary folder, killed when dropped. It must not be used for anything but
//! provoking TLS errors: what it serves is OpenSSL's own status page.
#![allow(dead_code, reason = "a fixture offers more than the tests of one moment use")]

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

/// The name the certificate is made out to.
pub(crate) const COMMON_NAME: &str = "exhibit-test.invalid";

/// A running server with a self-signed certificate.
pub(crate) struct SelfSigned {
    child: Child,
    /// Kept open: the server dies of a broken pipe otherwise.
    _stdout: BufReader<ChildStdout>,
    _folder: tempfile::TempDir,
    address: String,
}

impl SelfSigned {
    /// Make a certificate and serve with it on a free port of 127.0.0.1. It accepts connections
    /// when this returns.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-nodes", "-days", "2", "-subj", &format!("/CN={COMMON_NAME}")])
            .args(["-keyout", "key.pem", "-out", "cert.pem"])
            .current_dir(folder.path())
            .output()
            .expect("openssl is installed (scripts/setup does it)");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // Port 0 lets the kernel choose, so that no two tests race for one port; the server
        // prints `ACCEPT 127.0.0.1:<port>` once it listens.
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-www"])
            .args(["-cert", "cert.pem", "-key", "key.pem"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe was asked for"));
        let address = accepting(&mut stdout);
        Self { child, _stdout: stdout, _folder: folder, address }
    }

    /// The absolute URL of `path`, which begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// `127.0.0.1:<port>`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for SelfSigned {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn accepting(stdout: &mut impl BufRead) -> String {
    let mut line = String::new();
    while stdout.read_line(&mut line).expect("the server's output is text") > 0 {
        if let Some(address) = line.trim().strip_prefix("ACCEPT ") {
            return address.to_owned();
        }
        line.clear();
    }
    panic!("openssl s_server ended before it listened");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_serves_a_page_under_a_certificate_nobody_trusts() {
        let server = SelfSigned::start();
        let shown = Command::new("openssl")
            .args(["s_client", "-connect", server.address(), "-servername", COMMON_NAME])
            .stdin(Stdio::null())
            .output()
            .expect("openssl is installed");
        let text = String::from_utf8_lossy(&shown.stdout);
        assert!(text.contains(COMMON_NAME), "{text}");
        assert!(text.contains("self-signed certificate"), "{text}");
    }

    #[test]
    fn two_of_them_live_side_by_side() {
        let (one, other) = (SelfSigned::start(), SelfSigned::start());
        assert_ne!(one.address(), other.address());
    }
}
