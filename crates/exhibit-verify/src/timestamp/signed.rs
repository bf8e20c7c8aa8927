//! Owns the check of a CMS signature over a timestamp: that the certificate in it made it, over
//! these bytes, and says so itself. Whether that certificate counts is for the authorities.

use cms::signed_data::{SignerIdentifier, SignerInfo};
use der::asn1::{ObjectIdentifier, OctetString};
use der::{Any, Decode as _, Encode as _};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use webpki::EndEntityCert;
use webpki::ring as algorithms;
use x509_cert::Certificate;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::form::{SHA256, SHA384, SHA512, SignedData, SigningCertificate, TST_INFO, is_plain};
use super::{StampError, malformed};

const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");

type Algorithms = Vec<&'static dyn SignatureVerificationAlgorithm>;

/// What was signed, and the certificates that came with it.
pub(super) struct Signed {
    pub(super) content: Vec<u8>,
    /// DER of the certificate that made the signature.
    pub(super) signer: Vec<u8>,
    /// DER of the others.
    pub(super) others: Vec<Vec<u8>>,
}

impl Signed {
    /// Read the DER of a `SignedData` over a timestamp, and check its signature.
    pub(super) fn read(der: &[u8]) -> Result<Self, StampError> {
        let data = SignedData::from_der(der).map_err(malformed)?;
        if data.version != 3 || data.content.econtent_type != TST_INFO {
            return Err(malformed("what is signed is no TSTInfo"));
        }
        let content = data.content.econtent.as_ref().ok_or(malformed("nothing is signed"))?;
        let content: OctetString = content.decode_as().map_err(malformed)?;
        let [info] = data.signers.as_slice() else {
            return Err(malformed("a timestamp has one signer"));
        };
        if !data.digest_algorithms.iter().any(|algorithm| *algorithm == info.digest_alg) {
            return Err(malformed("the signer's digest is not announced"));
        }
        let (signer, others) = certificates(&data, info)?;
        check(info, content.as_bytes(), &signer)?;
        Ok(Self { content: content.into_bytes(), signer, others })
    }
}

/// The signer's certificate, and the others.
fn certificates(
    data: &SignedData,
    info: &SignerInfo,
) -> Result<(Vec<u8>, Vec<Vec<u8>>), StampError> {
    let (mut signer, mut others) = (None, Vec::new());
    for certificate in data.certificates.iter().flat_map(|set| set.iter()) {
        let der = certificate.to_der().map_err(malformed)?;
        let is_signers = Certificate::from_der(&der).is_ok_and(|it| named(info, &it));
        if is_signers && signer.is_none() {
            signer = Some(der);
        } else {
            others.push(der);
        }
    }
    let signer = signer.ok_or(malformed("the authority's certificate is not in it"))?;
    Ok((signer, others))
}

/// Whether the signer says that it is this one: by issuer and number, as every authority does; stock
/// tools believe no timestamp whose signer is named by the identifier of its key alone.
fn named(info: &SignerInfo, certificate: &Certificate) -> bool {
    let tbs = &certificate.tbs_certificate;
    let SignerIdentifier::IssuerAndSerialNumber(id) = &info.sid else { return false };
    info.version as u8 == 1 && id.issuer == tbs.issuer && id.serial_number == tbs.serial_number
}

fn check(info: &SignerInfo, content: &[u8], signer: &[u8]) -> Result<(), StampError> {
    let content_type: ObjectIdentifier = attribute(info, CONTENT_TYPE)?
        .ok_or(malformed("the signature says nothing of what it is over"))?
        .decode_as()
        .map_err(malformed)?;
    let digest: OctetString = attribute(info, MESSAGE_DIGEST)?
        .ok_or(malformed("the signature is over no digest"))?
        .decode_as()
        .map_err(malformed)?;
    if content_type != TST_INFO || digest.as_bytes() != hash(&info.digest_alg, content)? {
        return Err(malformed("the signature is over another timestamp"));
    }
    says_itself(info, signer)?;
    let attributes = info.signed_attrs.as_ref().map(der::Encode::to_der);
    let attributes = attributes.ok_or(malformed("no attributes are signed"))?.map_err(malformed)?;
    let certificate = CertificateDer::from(signer);
    let certificate = EndEntityCert::try_from(&certificate).map_err(malformed)?;
    let signature = info.signature.as_bytes();
    let sound = algorithms_of(info)?
        .into_iter()
        .any(|with| certificate.verify_signature(with, &attributes, signature).is_ok());
    if sound { Ok(()) } else { Err(malformed("the signature is not the certificate's")) }
}

/// The one value of the signed attribute `kind`, if it is there.
fn attribute(info: &SignerInfo, kind: ObjectIdentifier) -> Result<Option<&Any>, StampError> {
    let mut found = None;
    for attribute in info.signed_attrs.iter().flat_map(|set| set.iter()) {
        if attribute.oid == kind {
            match attribute.values.as_slice() {
                [value] if found.is_none() => found = Some(value),
                _ => return Err(malformed("a signed attribute has more than one value")),
            }
        }
    }
    Ok(found)
}

/// What is signed must name the certificate, so that no other with the same key can be put in its
/// place.
fn says_itself(info: &SignerInfo, signer: &[u8]) -> Result<(), StampError> {
    let mut said = false;
    for kind in [SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2] {
        let Some(value) = attribute(info, kind)? else { continue };
        let value: SigningCertificate = value.decode_as().map_err(malformed)?;
        let first = value.certificates.first().ok_or(malformed("no certificate is named"))?;
        let own = match (&first.algorithm, kind == SIGNING_CERTIFICATE) {
            (None, true) => sha1::Sha1::digest(signer).to_vec(),
            (None, false) => Sha256::digest(signer).to_vec(),
            (Some(algorithm), false) => hash(algorithm, signer)?,
            (Some(_), true) => return Err(malformed("the certificate is named wrongly")),
        };
        if first.digest.as_bytes() != own {
            return Err(malformed("what is signed names another certificate"));
        }
        said = true;
    }
    if said { Ok(()) } else { Err(malformed("what is signed names no certificate")) }
}

fn hash(algorithm: &AlgorithmIdentifierOwned, bytes: &[u8]) -> Result<Vec<u8>, StampError> {
    if !is_plain(algorithm) {
        return Err(malformed("a digest with parameters"));
    }
    match algorithm.oid {
        SHA256 => Ok(Sha256::digest(bytes).to_vec()),
        SHA384 => Ok(Sha384::digest(bytes).to_vec()),
        SHA512 => Ok(Sha512::digest(bytes).to_vec()),
        other => Err(StampError::Unsupported(format!("its digest is {other}"))),
    }
}

/// Ways in which the signature may have been made: the certificate's key decides.
fn algorithms_of(info: &SignerInfo) -> Result<Algorithms, StampError> {
    let algorithm = &info.signature_algorithm;
    let (digest, ways): (_, Algorithms) = match algorithm.oid {
        RSA => match info.digest_alg.oid {
            SHA256 => (SHA256, vec![algorithms::RSA_PKCS1_2048_8192_SHA256]),
            SHA384 => (SHA384, vec![algorithms::RSA_PKCS1_2048_8192_SHA384]),
            _ => (SHA512, vec![algorithms::RSA_PKCS1_2048_8192_SHA512]),
        },
        RSA_SHA256 => (SHA256, vec![algorithms::RSA_PKCS1_2048_8192_SHA256]),
        RSA_SHA384 => (SHA384, vec![algorithms::RSA_PKCS1_2048_8192_SHA384]),
        RSA_SHA512 => (SHA512, vec![algorithms::RSA_PKCS1_2048_8192_SHA512]),
        ECDSA_SHA256 => {
            (SHA256, vec![algorithms::ECDSA_P256_SHA256, algorithms::ECDSA_P384_SHA256])
        }
        ECDSA_SHA384 => {
            (SHA384, vec![algorithms::ECDSA_P256_SHA384, algorithms::ECDSA_P384_SHA384])
        }
        other => return Err(StampError::Unsupported(format!("its signature is {other}"))),
    };
    let elliptic = matches!(algorithm.oid, ECDSA_SHA256 | ECDSA_SHA384);
    let fit = match &algorithm.parameters {
        None => elliptic,
        Some(parameters) => !elliptic && parameters.is_null(),
    };
    if fit && digest == info.digest_alg.oid {
        Ok(ways)
    } else {
        Err(malformed("the signature's algorithm contradicts itself"))
    }
}
