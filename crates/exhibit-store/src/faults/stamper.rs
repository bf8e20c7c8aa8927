//! Owns an authority that answers from memory: one answer of openssl's, over something else and of
//! another time, signed anew with the same key. Trials ask thousands of times.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::Signer;

use crate::clock::Clock;
use crate::digest::Digest;
use crate::id::RunId;
use crate::matrix::authority::{Authority, NOW, RSA};
use crate::stamp::TimestampAuthority;
use crate::timestamp::{Authorities, Request};

/// Bytes of a signature by RSA with 2048 bits.
const SIGNATURE: usize = 256;

pub(super) struct Stamper {
    root: Vec<u8>,
    signer: Box<dyn Signer>,
    answer: Vec<u8>,
    imprint: usize,
    nonce: usize,
    time: usize,
    /// What is signed by way of its digest, where that stands, and what is signed itself.
    info: Range<usize>,
    digest: usize,
    attributes: Range<usize>,
}

/// It, with the clock of a trial.
pub(super) struct ClockedStamper(pub(super) Arc<Stamper>, pub(super) Clock);

impl fmt::Debug for ClockedStamper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClockedStamper")
    }
}

/// The value, its tag included, that begins at `at`.
fn value(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let (first, rest) = (*bytes.get(at + 1)?, bytes.get(at + 2..)?);
    let more = usize::from(first.saturating_sub(0x80));
    let length = match more {
        0 => usize::from(first),
        1..=3 => rest.get(..more)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        _ => return None,
    };
    let end = at + 2 + more + length;
    (end <= bytes.len()).then_some(at..end)
}

fn find(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|found| found == what).expect("it is in it")
}

/// The chance in a request, which is behind its digest.
fn nonce(request: &Request) -> &[u8] {
    let behind = find(request.bytes(), request.imprint.as_bytes()) + 32;
    let rest = &request.bytes()[behind..];
    let at = find(rest, &[2, 8]) + 2;
    &rest[at..at + 8]
}

impl Stamper {
    pub(super) fn new() -> Self {
        let authority = Authority::new(RSA, NOW);
        let root = std::fs::read(authority.root()).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(authority.root().with_file_name("tsa.key"));
        let key = any_supported_type(&key.expect("a key")).expect("of RSA");
        let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).expect("of RSA");
        let request = Request::over(b"anything").expect("a request");
        let answer = authority.answer(request.bytes(), None);
        let imprint = find(&answer, request.imprint.as_bytes());
        // The one thing around the imprint whose digest stands in the answer.
        let (info, digest) = (0..imprint)
            .filter_map(|at| {
                let info = value(&answer, at).filter(|it| it.contains(&imprint))?;
                let digest = Digest::of(&answer[info.clone()]);
                let at = answer.windows(32).position(|found| found == digest.as_bytes())?;
                Some((info, at))
            })
            .next_back()
            .expect("something is signed");
        let tagged = (0..digest).rev().filter(|at| answer[*at] == 0xa0);
        let attributes = tagged.filter_map(|at| value(&answer, at)).find(|it| it.contains(&digest));
        let stamper = Self {
            root,
            signer,
            imprint,
            nonce: find(&answer, nonce(&request)),
            time: info.start + find(&answer[info.clone()], &[0x18, 15]) + 2,
            info,
            digest,
            attributes: attributes.expect("attributes are signed"),
            answer,
        };
        let time = &stamper.answer[stamper.time..stamper.time + 15];
        let same = stamper.answer_to(&request, std::str::from_utf8(time).expect("a time"));
        assert_eq!(same, stamper.answer, "signed as openssl did");
        stamper
    }

    /// Whom an auditor believes about time.
    pub(super) fn authorities(&self) -> Authorities {
        Authorities::from_pem(&self.root).expect("certificates")
    }

    fn answer_to(&self, request: &Request, time: &str) -> Vec<u8> {
        let mut answer = self.answer.clone();
        let mut put = |at: usize, what: &[u8]| answer[at..at + what.len()].copy_from_slice(what);
        put(self.imprint, request.imprint.as_bytes());
        put(self.nonce, nonce(request));
        put(self.time, time.as_bytes());
        let digest = Digest::of(&answer[self.info.clone()]);
        answer[self.digest..self.digest + 32].copy_from_slice(digest.as_bytes());
        // They are signed as a set (RFC 5652, 5.4).
        let mut signed = answer[self.attributes.clone()].to_vec();
        signed[0] = 0x31;
        let signature = self.signer.sign(&signed).expect("signed");
        let at = answer.len() - SIGNATURE;
        answer[at..].copy_from_slice(&signature);
        answer
    }
}

impl TimestampAuthority for ClockedStamper {
    fn ask(&self, _: RunId, request: &Request) -> Option<Vec<u8>> {
        let time = self.1.now().wall.strftime("%Y%m%d%H%M%SZ").to_string();
        Some(self.0.answer_to(request, &time))
    }
}
