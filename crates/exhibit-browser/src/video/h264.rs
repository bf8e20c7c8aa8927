//! Owns the coding of pictures as H.264, by Cisco's OpenH264, which is built into the binary. The
//! quality is constant: how large a recording becomes depends on what changes in it.

use openh264::OpenH264API;
use openh264::encoder::{
    Complexity, Encoder, EncoderConfig, FrameType, Level, Profile, QpRange, RateControlMode,
    UsageType, VuiConfig,
};
use openh264::formats::YUVSlices;

use super::mp4::{Track, leaf};
use super::yuv_image::YuvImage;

/// The quantiser: the finest that the library allows. With frames of quality 100 the bytes are about
/// twice those of its own 26 with quality 90.
const QUANTISER: u8 = 12;

/// Codes pictures of one size.
pub(super) struct Coder {
    encoder: Encoder,
    track: Option<Track>,
}

/// A coded picture.
pub(super) struct Coded {
    /// NAL units, each behind its length in four bytes.
    pub(super) bytes: Vec<u8>,
    pub(super) is_key: bool,
}

impl Coder {
    /// A coder.
    ///
    /// # Errors
    /// What the library says.
    pub(super) fn new() -> Result<Self, openh264::Error> {
        let config = EncoderConfig::new()
            .usage_type(UsageType::ScreenContentRealTime)
            .profile(Profile::High)
            .level(Level::Level_4_0)
            .complexity(Complexity::Low)
            // With rate control off the library takes no notice of the quantiser; in this mode it
            // chooses within the range, which is one number.
            .rate_control_mode(RateControlMode::Bufferbased)
            .qp(QpRange::new(QUANTISER, QUANTISER))
            .skip_frames(false)
            .adaptive_quantization(false)
            .background_detection(false)
            .num_threads(1)
            .vui(VuiConfig::bt601().full_range(true));
        let encoder = Encoder::with_api_config(OpenH264API::from_source(), config)?;
        Ok(Self { encoder, track: None })
    }

    /// Code a picture; the first is always a key picture.
    ///
    /// # Errors
    /// What the library says.
    pub(super) fn code(&mut self, picture: &YuvImage, key: bool) -> Result<Coded, openh264::Error> {
        if key {
            self.encoder.force_intra_frame();
        }
        let (width, height) = (picture.width(), picture.height());
        let planes = picture.planes();
        let source = YUVSlices::new(planes, (width, height), (width, width / 2, width / 2));
        let coded = self.encoder.encode(&source)?;
        let is_key = matches!(coded.frame_type(), FrameType::IDR | FrameType::I);
        let mut bytes = Vec::new();
        let (mut sps, mut pps) = (None, None);
        for layer in (0..coded.num_layers()).filter_map(|at| coded.layer(at)) {
            for unit in (0..layer.nal_count()).filter_map(|at| layer.nal_unit(at)) {
                let unit = without_start_code(unit);
                match unit.first().map(|head| head & 0x1f) {
                    Some(7) => sps = Some(unit.to_vec()),
                    Some(8) => pps = Some(unit.to_vec()),
                    Some(_) => {
                        let length = u32::try_from(unit.len()).unwrap_or(u32::MAX);
                        bytes.extend(length.to_be_bytes());
                        bytes.extend(unit);
                    }
                    None => {}
                }
            }
        }
        if let (None, Some(sps), Some(pps)) = (&self.track, sps, pps) {
            let side = |side: usize| u16::try_from(side).unwrap_or(u16::MAX);
            let (width, height) = (side(width), side(height));
            let description = description(width, height, &sps, &pps);
            self.track = Some(Track { width, height, description });
        }
        Ok(Coded { bytes, is_key })
    }

    /// What a decoder must know, once the first picture is coded.
    pub(super) fn track(&self) -> Option<&Track> {
        self.track.as_ref()
    }
}

fn without_start_code(unit: &[u8]) -> &[u8] {
    unit.strip_prefix(&[0, 0, 0, 1]).or(unit.strip_prefix(&[0, 0, 1])).unwrap_or(unit)
}

/// The description of H.264 samples (ISO/IEC 14496-15, §5.4.2).
fn description(width: u16, height: u16, sps: &[u8], pps: &[u8]) -> Vec<u8> {
    leaf(*b"avc1", |b| {
        b.extend([0; 6]);
        b.extend(1_u16.to_be_bytes());
        b.extend([0; 16]);
        b.extend(width.to_be_bytes());
        b.extend(height.to_be_bytes());
        b.extend(0x48_0000_u32.to_be_bytes());
        b.extend(0x48_0000_u32.to_be_bytes());
        b.extend([0; 4]);
        b.extend(1_u16.to_be_bytes());
        b.extend([0; 32]);
        b.extend(0x18_u16.to_be_bytes());
        b.extend(0xffff_u16.to_be_bytes());
        b.extend(leaf(*b"avcC", |b| {
            b.push(1);
            b.extend(sps.get(1..4).unwrap_or(&[0x42, 0xc0, 0x1f]));
            // Lengths of four bytes; one set of each kind.
            b.extend([0xff, 0xe1]);
            b.extend(u16::try_from(sps.len()).unwrap_or(0).to_be_bytes());
            b.extend(sps);
            b.push(1);
            b.extend(u16::try_from(pps.len()).unwrap_or(0).to_be_bytes());
            b.extend(pps);
            // The profile "High" says besides: colour in half the resolution, eight bits a sample,
            // no extension of the sequence parameter set.
            if sps.get(1) == Some(&100) {
                b.extend([0xfd, 0xf8, 0xf8, 0]);
            }
        }));
        // BT.601 in full range, as JPEG has it.
        b.extend(leaf(*b"colr", |b| {
            b.extend(b"nclx");
            b.extend([6_u16, 6, 6].iter().flat_map(|part| part.to_be_bytes()));
            b.push(0x80);
        }));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_coded_as_finely_as_is_stated() {
        let mut state = 1_u32;
        // Brightness that looks random leaves no choice but to spend the bits.
        let picture = YuvImage::of_brightness(64, 64, || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        });
        let coded = Coder::new().and_then(|mut coder| coder.code(&picture, true));
        let coded = coded.expect("it codes");
        // More than 5 bits a pixel at quantiser 12; the library's own 26 takes less than 3.5.
        assert!(coded.is_key && coded.bytes.len() > 64 * 64 * 5 / 8, "{}", coded.bytes.len());
    }
}
