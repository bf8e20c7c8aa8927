//! Owns the timestamp token, which an authority answers: when something was there at the latest.

use std::time::Duration;

use der::asn1::{Any, AnyRef, ContextSpecific};
use der::{Decode as _, Encode as _, TagMode, TagNumber};
use jiff::Timestamp;
use x509_cert::Certificate;

use super::form::{SHA256, SIGNED_DATA, TimeStampResp, TstInfo, is_plain};
use super::request::Request;
use super::signed::Signed;
use super::{StampError, malformed};
use crate::shown::shown_within;
use exhibit_tlog::digest::Digest;

/// What authorities made with Bouncy Castle say beside every timestamp they give. It is the only
/// word that nobody signed in a response which is read: tools print others, line feeds and all, among
/// what was signed.
const OKAY: &str = "Operation Okay";
/// Most letters of an authority's words that are repeated.
const MAX_WORDS: usize = 300;

/// A timestamp, signed soundly by the certificate in it. Whether that counts is for
/// [`super::Authorities`] to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampToken {
    /// What was there.
    pub imprint: Digest,
    /// When, by the authority's clock.
    pub time: Timestamp,
    /// How far that may be off, as the authority says; nothing when it does not.
    pub accuracy: Duration,
    nonce: Option<Vec<u8>>,
    pub(super) signer: Vec<u8>,
    pub(super) others: Vec<Vec<u8>>,
}

impl TimestampToken {
    /// Read the DER of a response, and check its signature.
    ///
    /// # Errors
    /// [`StampError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, StampError> {
        let response = TimeStampResp::from_der(bytes).map_err(malformed)?;
        let status = response.status;
        if status.status != 0 || status.failure.is_some() {
            let words = status.words.unwrap_or_default().join(" ");
            let words = shown_within(&words, MAX_WORDS);
            return Err(StampError::Refused(format!("status {} {words}", status.status)));
        }
        if status.words.is_some_and(|words| words != [OKAY]) {
            return Err(malformed("it holds words that nobody signed"));
        }
        let token = response.token.ok_or(malformed("nothing was given"))?;
        if token.content_type != SIGNED_DATA {
            return Err(malformed("what was given is not signed"));
        }
        let signed = Signed::read(&token.content.to_der().map_err(malformed)?)?;
        let info = TstInfo::from_der(&signed.content).map_err(malformed)?;
        let algorithm = &info.imprint.algorithm;
        let digest = <[u8; 32]>::try_from(info.imprint.digest.as_bytes());
        let digest = digest.ok().filter(|_| algorithm.oid == SHA256 && is_plain(algorithm));
        let digest = digest.ok_or(malformed("it is over no SHA-256"))?;
        let unknown = info.extensions.iter().flatten().any(|extension| extension.critical);
        if info.version != 1 || unknown {
            return Err(malformed("a version or an extension that is not known"));
        }
        if info.authority.is_some_and(|authority| !is_named(&authority, &signed.signer)) {
            return Err(malformed("the authority that it names is not its certificate's"));
        }
        let accuracy = info.accuracy.map_or(Duration::ZERO, |accuracy| {
            Duration::from_secs(accuracy.seconds.unwrap_or(0).into())
                + Duration::from_millis(accuracy.millis.unwrap_or(0).into())
                + Duration::from_micros(accuracy.micros.unwrap_or(0).into())
        });
        Ok(Self {
            imprint: Digest::from_bytes(digest),
            time: info.time.moment().ok_or(malformed("its time cannot be read"))?,
            accuracy,
            nonce: info.nonce.map(|nonce| nonce.as_bytes().to_vec()),
            signer: signed.signer,
            others: signed.others,
        })
    }

    /// A granted response without the words in its status, which nobody signed; any other as it is.
    pub fn without_words(response: &[u8]) -> Vec<u8> {
        let granted = TimeStampResp::from_der(response).ok().filter(|read| {
            read.status.status == 0 && read.status.failure.is_none() && read.token.is_some()
        });
        let plain = granted.and_then(|mut read| {
            read.status.words = None;
            read.to_der().ok()
        });
        plain.unwrap_or_else(|| response.to_vec())
    }

    /// Whether it is over `data`.
    pub fn is_over(&self, data: &[u8]) -> bool {
        self.imprint == Digest::of(data)
    }

    /// Whether it answers `request`, and no other.
    pub fn answers(&self, request: &Request) -> bool {
        self.imprint == request.imprint && self.nonce.as_ref() == Some(&request.nonce)
    }
}

/// Whether `authority`, the content of the field `tsa`, is the subject of the certificate with this DER
/// (RFC 3161, 2.4.2): a `directoryName`.
fn is_named(authority: &Any, signer: &[u8]) -> bool {
    let subject = Certificate::from_der(signer).and_then(|it| it.tbs_certificate.subject.to_der());
    let Ok(subject) = subject else { return false };
    let Ok(authority) = authority.to_der() else { return false };
    let Ok(value) = AnyRef::try_from(subject.as_slice()) else { return false };
    let (tag_number, tag_mode) = (TagNumber::N4, TagMode::Explicit);
    ContextSpecific { tag_number, tag_mode, value }.to_der().is_ok_and(|own| own == authority)
}
