//! Owns the coding of pictures as H.264, by Cisco's OpenH264, which is built into the binary. The
//! quality is constant: how large a recording becomes depends on what changes in it.

use openh264::OpenH264API;
use openh264::encoder::{
    Complexity, Encoder, EncoderConfig, FrameType, Level, Profile, QpRange, RateControlMode,
    UsageType, VuiConfig,
};
use openh264::formats::YUVSlices;

use super::mp4::Track;
use super::picture::Picture;

/// The quantiser: at 22 text stays legible (shared reference, video.md).
const QUANTISER: u8 = 22;

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
            .rate_control_mode(RateControlMode::Off)
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
    pub(super) fn code(&mut self, picture: &Picture, key: bool) -> Result<Coded, openh264::Error> {
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
            self.track = Some(Track { width: side(width), height: side(height), sps, pps });
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
