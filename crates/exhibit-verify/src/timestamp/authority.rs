//! Owns whom the verifier believes about time: certificates that somebody handed over, and whether
//! a timestamp leads to one of them. All of it is judged at the moment the timestamp states: an
//! authority's certificate may expire later, and must have been there already.

use der::Decode as _;
use jiff::Timestamp;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::ring as algorithms;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{self, ExtendedKeyUsage, KeyUsages};

use super::token::TimestampToken;
use crate::shown::shown_within;

/// id-kp-timeStamping, 1.3.6.1.5.5.7.3.8: as DER, without tag and length.
const TIME_STAMPING_DER: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];
const TIME_STAMPING: der::oid::ObjectIdentifier =
    der::oid::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");

/// Most letters of an authority's name that are shown.
const MAX_NAME: usize = 300;

/// Certificates that authorities must lead to.
#[derive(Clone, Debug, Default)]
pub struct Authorities(Vec<Root>);

#[derive(Clone, Debug)]
struct Root {
    anchor: TrustAnchor<'static>,
    /// First and last second in which it is valid.
    valid: (i64, i64),
}

/// Why a timestamp does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Untrusted(String);

impl Authorities {
    /// The certificates in a PEM file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_pem(text: &[u8]) -> Result<Self, String> {
        let mut roots = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(text) {
            let der = certificate.map_err(|error| error.to_string())?;
            let read = Certificate::from_der(&der).map_err(|error| error.to_string())?;
            let anchor = anchor_from_trusted_cert(&der).map_err(|error| error.to_string())?;
            let validity = read.tbs_certificate.validity;
            let seconds = |time: x509_cert::time::Time| {
                i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
            };
            let valid = (seconds(validity.not_before), seconds(validity.not_after));
            roots.push(Root { anchor: anchor.to_owned(), valid });
        }
        if roots.is_empty() { Err("no certificate is in it".to_owned()) } else { Ok(Self(roots)) }
    }

    /// Whether nobody is believed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name of the authority that gave `stamp`, when it counts.
    ///
    /// # Errors
    /// [`Untrusted`]: why it does not.
    pub fn judge(&self, stamp: &TimestampToken) -> Result<String, Untrusted> {
        let untrusted = |why: String| Untrusted(why);
        let certificate =
            Certificate::from_der(&stamp.signer).map_err(|error| untrusted(error.to_string()))?;
        let name = shown_within(&certificate.tbs_certificate.subject.to_string(), MAX_NAME);
        is_for_time(&certificate).map_err(|why| untrusted(format!("{name}: {why}")))?;
        self.leads_here(stamp)
            .map_err(|why| untrusted(format!("{name} at {}: {why}", stamp.time)))?;
        Ok(name)
    }

    fn leads_here(&self, stamp: &TimestampToken) -> Result<(), String> {
        let at = stamp.time.as_second();
        let then = self.0.iter().filter(|root| (root.valid.0..=root.valid.1).contains(&at));
        let anchors: Vec<TrustAnchor<'_>> = then.map(|root| root.anchor.clone()).collect();
        if anchors.is_empty() {
            return Err("no certificate that is believed was valid then".to_owned());
        }
        let signer = CertificateDer::from(stamp.signer.as_slice());
        let signer = EndEntityCert::try_from(&signer).map_err(|error| error.to_string())?;
        let others: Vec<CertificateDer<'_>> =
            stamp.others.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let path = signer.verify_for_usage(
            &[
                algorithms::ECDSA_P256_SHA256,
                algorithms::ECDSA_P256_SHA384,
                algorithms::ECDSA_P384_SHA256,
                algorithms::ECDSA_P384_SHA384,
                algorithms::ED25519,
                algorithms::RSA_PKCS1_2048_8192_SHA256,
                algorithms::RSA_PKCS1_2048_8192_SHA384,
                algorithms::RSA_PKCS1_2048_8192_SHA512,
            ],
            &anchors,
            &others,
            unix(stamp.time).ok_or("a time before 1970")?,
            // That the first has it was checked; those above it may leave it out.
            KeyUsage::required_if_present(TIME_STAMPING_DER),
            None,
            None,
        );
        path.map(drop).map_err(|error| error.to_string())
    }
}

fn unix(time: Timestamp) -> Option<UnixTime> {
    let seconds = u64::try_from(time.as_second()).ok()?;
    Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
}

/// Whether the certificate may sign timestamps and nothing else (RFC 3161, 2.3).
fn is_for_time(certificate: &Certificate) -> Result<(), String> {
    let tbs = &certificate.tbs_certificate;
    let read = |error: der::Error| error.to_string();
    match tbs.get::<ExtendedKeyUsage>().map_err(read)? {
        Some((true, ExtendedKeyUsage(purposes))) if purposes == [TIME_STAMPING] => {}
        _ => return Err("not a certificate for timestamps alone".to_owned()),
    }
    let Some((_, usage)) = tbs.get::<pkix::KeyUsage>().map_err(read)? else { return Ok(()) };
    let signing = KeyUsages::DigitalSignature | KeyUsages::NonRepudiation;
    if !usage.0.is_empty() && (usage.0 - signing).is_empty() {
        Ok(())
    } else {
        Err("its key is not for signatures alone".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn certificate(extension: &str) -> Certificate {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("der");
        let made = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt"])
            .args(["ec_paramgen_curve:P-256", "-subj", "/CN=test", "-keyout", "/dev/null"])
            .args(["-outform", "DER", "-addext", extension, "-out"])
            .arg(&out)
            .output();
        let made = made.expect("openssl is installed (scripts/setup does it)");
        assert!(made.status.success(), "{made:?}");
        Certificate::from_der(&std::fs::read(out).expect("made")).expect("a certificate")
    }

    #[test]
    fn a_certificate_for_more_than_timestamps_does_not_count() {
        let judge = |extension: &str| is_for_time(&certificate(extension));
        assert_eq!(judge("extendedKeyUsage=critical,timeStamping"), Ok(()));
        for other in [
            "extendedKeyUsage=timeStamping",
            "extendedKeyUsage=critical,timeStamping,serverAuth",
            "extendedKeyUsage=critical,serverAuth",
            "nsComment=none",
        ] {
            assert!(judge(other).is_err(), "{other}");
        }
    }
}
