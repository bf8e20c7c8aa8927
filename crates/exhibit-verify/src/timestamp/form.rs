//! Owns the ASN.1 forms of RFC 3161, and those of CMS (RFC 5652) and ESS (RFC 5035) that the `cms`
//! crate reads in another way than timestamps need. Judges nothing.

use cms::signed_data::{EncapsulatedContentInfo, SignerInfo};
use der::asn1::{Any, BitString, Int, OctetString, SetOfVec};
use der::oid::ObjectIdentifier;
use der::{DecodeValue, EncodeValue, FixedTag, Header, Length, Reader, Sequence, Tag, Writer};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use x509_cert::ext::Extensions;
use x509_cert::spki::AlgorithmIdentifierOwned;

pub(super) const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
pub(super) const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
pub(super) const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
pub(super) const SIGNED_DATA: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
pub(super) const TST_INFO: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");

/// `TimeStampReq`
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct TimeStampReq {
    pub(super) version: u8,
    pub(super) imprint: MessageImprint,
    #[asn1(optional = "true")]
    pub(super) policy: Option<ObjectIdentifier>,
    #[asn1(optional = "true")]
    pub(super) nonce: Option<Int>,
    #[asn1(default = "Default::default")]
    pub(super) cert_req: bool,
}

/// `MessageImprint`
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct MessageImprint {
    pub(super) algorithm: AlgorithmIdentifierOwned,
    pub(super) digest: OctetString,
}

/// `TimeStampResp`
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct TimeStampResp {
    pub(super) status: StatusInfo,
    #[asn1(optional = "true")]
    pub(super) token: Option<cms::content_info::ContentInfo>,
}

/// `PKIStatusInfo` (RFC 4210)
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct StatusInfo {
    pub(super) status: u8,
    #[asn1(optional = "true")]
    pub(super) words: Option<Vec<String>>,
    #[asn1(optional = "true")]
    pub(super) failure: Option<BitString>,
}

/// `TSTInfo`
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct TstInfo {
    pub(super) version: u8,
    pub(super) policy: ObjectIdentifier,
    pub(super) imprint: MessageImprint,
    pub(super) serial: Int,
    pub(super) time: GenTime,
    #[asn1(optional = "true")]
    pub(super) accuracy: Option<Accuracy>,
    #[asn1(default = "Default::default")]
    pub(super) ordering: bool,
    #[asn1(optional = "true")]
    pub(super) nonce: Option<Int>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) authority: Option<Any>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub(super) extensions: Option<Extensions>,
}

/// `Accuracy`
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct Accuracy {
    #[asn1(optional = "true")]
    pub(super) seconds: Option<u32>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    pub(super) millis: Option<u16>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub(super) micros: Option<u16>,
}

/// `GeneralizedTime` with the fractions of a second that RFC 3161 allows, and `der` does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GenTime(Vec<u8>);

impl GenTime {
    /// The moment; none when it is not written as `YYYYMMDDhhmmss[.f…]Z`, or of a year that not every
    /// reader of evidence can count with: before 1 or after 9998.
    pub(super) fn moment(&self) -> Option<Timestamp> {
        let text = std::str::from_utf8(&self.0).ok()?.strip_suffix('Z')?;
        let (whole, fraction) = text.split_once('.').map_or((text, None), |(w, f)| (w, Some(f)));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() != 14 || !digits(whole) {
            return None;
        }
        let nanos = match fraction {
            None => 0,
            Some(text) if text.is_empty() || text.ends_with('0') || !digits(text) => return None,
            Some(text) => format!("{text:0<9.9}").parse().ok()?,
        };
        let part = |from: usize, to: usize| whole[from..to].parse::<i8>().ok();
        let year = whole[..4].parse().ok().filter(|year| (1..9999).contains(year))?;
        let time = DateTime::new(
            year,
            part(4, 6)?,
            part(6, 8)?,
            part(8, 10)?,
            part(10, 12)?,
            part(12, 14)?,
            nanos,
        );
        Some(time.ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
    }
}

impl FixedTag for GenTime {
    const TAG: Tag = Tag::GeneralizedTime;
}

impl<'a> DecodeValue<'a> for GenTime {
    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> der::Result<Self> {
        reader.read_vec(header.length).map(Self)
    }
}

impl EncodeValue for GenTime {
    fn value_len(&self) -> der::Result<Length> {
        self.0.len().try_into()
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write(&self.0)
    }
}

/// `SignedData`, with certificates byte for byte: their digest counts.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct SignedData {
    pub(super) version: u8,
    pub(super) digest_algorithms: SetOfVec<AlgorithmIdentifierOwned>,
    pub(super) content: EncapsulatedContentInfo,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub(super) certificates: Option<SetOfVec<Any>>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub(super) crls: Option<SetOfVec<Any>>,
    pub(super) signers: SetOfVec<SignerInfo>,
}

/// `SigningCertificate` and `SigningCertificateV2`
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct SigningCertificate {
    pub(super) certificates: Vec<CertificateId>,
    #[asn1(optional = "true")]
    pub(super) policies: Option<Any>,
}

/// `ESSCertID` and `ESSCertIDv2`: the first has no algorithm.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct CertificateId {
    #[asn1(optional = "true")]
    pub(super) algorithm: Option<AlgorithmIdentifierOwned>,
    pub(super) digest: OctetString,
    #[asn1(optional = "true")]
    pub(super) issuer_serial: Option<Any>,
}

/// Whether `algorithm` is a digest's, with its parameters left out or NULL.
pub(super) fn is_plain(algorithm: &AlgorithmIdentifierOwned) -> bool {
    algorithm.parameters.as_ref().is_none_or(Any::is_null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_one_form_and_may_have_fractions() {
        let read = |text: &str| GenTime(text.into()).moment().map(|at| at.to_string());
        assert_eq!(read("20261124081546Z").as_deref(), Some("2026-11-24T08:15:46Z"));
        assert_eq!(read("20261124081546.25Z").as_deref(), Some("2026-11-24T08:15:46.25Z"));
        let long = read("20261124081546.1234567891Z");
        assert_eq!(long.as_deref(), Some("2026-11-24T08:15:46.123456789Z"));
        for bad in [
            "",
            "Z",
            "20261124081546",
            "202611240815Z",
            "20261124081546.Z",
            "20261124081546.50Z",
            "20261124081546.-1Z",
            "20261324081546Z",
            "00000101000000Z",
            "99990101000000Z",
            "20261124081560Z",
            "20261124240000Z",
            "2026112408+546Z",
            "20261124081546+0100",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
