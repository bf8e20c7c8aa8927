//! Owns what an authority is asked.

use der::asn1::{Int, OctetString};
use der::{Decode as _, Encode as _};
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::form::{MessageImprint, SHA256, TimeStampReq, is_plain};
use super::{StampError, malformed};
use exhibit_tlog::digest::Digest;

/// Bytes of chance in a request: an answer made before it cannot fit.
const NONCE: usize = 8;

/// A request for a timestamp, over the SHA-256 of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    bytes: Vec<u8>,
    /// What the timestamp is to be over.
    pub imprint: Digest,
    /// The chance in it, as the bytes of an integer.
    pub(super) nonce: Vec<u8>,
}

impl Request {
    /// A request for a timestamp over `data`. It asks for the authority's certificate as well.
    ///
    /// # Errors
    /// When the system has no chance to give.
    pub fn over(data: &[u8]) -> Result<Self, getrandom::Error> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce)?;
        // A positive integer in its one form.
        nonce[0] = nonce[0] & 0x3f | 0x40;
        let imprint = Digest::of(data);
        let request = TimeStampReq {
            version: 1,
            imprint: MessageImprint {
                algorithm: AlgorithmIdentifierOwned {
                    oid: SHA256,
                    parameters: Some(der::asn1::Any::null()),
                },
                digest: OctetString::new(imprint.as_bytes().as_slice())
                    .expect("a digest is not too long"),
            },
            policy: None,
            nonce: Some(Int::new(&nonce).expect("in its one form")),
            cert_req: true,
        };
        let bytes = request.to_der().expect("a small structure is encoded");
        Ok(Self { bytes, imprint, nonce: nonce.to_vec() })
    }

    /// Read a request that was made by [`Request::over`].
    ///
    /// # Errors
    /// [`StampError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, StampError> {
        let request = TimeStampReq::from_der(bytes).map_err(malformed)?;
        let algorithm = &request.imprint.algorithm;
        let digest = <[u8; 32]>::try_from(request.imprint.digest.as_bytes());
        match (digest, &request.nonce) {
            (Ok(digest), Some(nonce))
                if request.version == 1
                    && request.cert_req
                    && algorithm.oid == SHA256
                    && is_plain(algorithm) =>
            {
                Ok(Self {
                    bytes: bytes.to_vec(),
                    imprint: Digest::from_bytes(digest),
                    nonce: nonce.as_bytes().to_vec(),
                })
            }
            _ => Err(malformed("a request has SHA-256, a nonce, and asks for the certificate")),
        }
    }

    /// What is sent: DER.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
