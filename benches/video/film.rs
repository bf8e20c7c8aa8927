//! A recording as anybody's decoder shows it: which frame of the page each picture is, when it is
//! shown, and how like the lossless picture of the same frame it is. The same for all recorders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const WIDTH: usize = 1280;
const HEIGHT: usize = 720;
/// Squares that tell the number of a frame, and their side.
const SQUARES: usize = 24;
const SQUARE: usize = 16;

/// A recording.
pub(crate) struct Film {
    path: PathBuf,
    /// The frame of the page in each picture, where it can be read, and when it is shown.
    pub(crate) pictures: Vec<(Option<u32>, f64)>,
}

impl Film {
    /// Decode it as far as to know which frames it shows.
    ///
    /// # Errors
    /// When no decoder can.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let strip = format!("crop={}:{SQUARE}:0:0", SQUARES * SQUARE);
        let strips = decoded(path, &strip, "gray")?;
        let numbers = strips.chunks_exact(SQUARES * SQUARE * SQUARE).map(number);
        let probe = Command::new("ffprobe")
            .args(["-v", "error", "-select_streams", "v", "-of", "csv=p=0"])
            .args(["-show_entries", "frame=best_effort_timestamp_time"])
            .arg(path)
            .output()
            .map_err(|error| format!("ffprobe: {error}"))?;
        let times = String::from_utf8_lossy(&probe.stdout).into_owned();
        let times: Vec<f64> =
            times.lines().filter_map(|line| line.trim_matches(',').parse().ok()).collect();
        let numbers: Vec<_> = numbers.collect();
        if numbers.len() != times.len() {
            return Err(format!("{} pictures with {} times", numbers.len(), times.len()));
        }
        let pictures = numbers.into_iter().zip(times).collect();
        Ok(Self { path: path.to_owned(), pictures })
    }

    /// The first picture of each frame that is in it, by the frame's number.
    pub(crate) fn frames(&self) -> BTreeMap<u32, usize> {
        let mut frames = BTreeMap::new();
        for (at, (frame, _)) in self.pictures.iter().enumerate() {
            if let Some(frame) = frame {
                frames.entry(*frame).or_insert(at);
            }
        }
        frames
    }

    /// By how many milliseconds pictures are off the page's own time: what 95 of 100 stay below.
    /// Where the recording began is not known, so that the median is taken for right.
    pub(crate) fn time_off(&self) -> f64 {
        let frames = self.frames();
        let off = frames.iter().skip(1).map(|(f, at)| self.pictures[*at].1 - f64::from(*f) / 60.0);
        let off: Vec<f64> = off.collect();
        let middle = at_part(off.clone(), 0.5);
        at_part(off.into_iter().map(|off| (off - middle).abs() * 1000.0).collect(), 0.95)
    }

    /// Luma of the pictures at these places.
    ///
    /// # Errors
    /// When it is not of the window's size.
    pub(crate) fn luma(&self, places: &[usize]) -> Result<Vec<Vec<u8>>, String> {
        let wanted: Vec<_> = places.iter().map(|at| format!("eq(n\\,{at})")).collect();
        let bytes = decoded(&self.path, &format!("select={}", wanted.join("+")), "rgb24")?;
        if bytes.len() != places.len() * WIDTH * HEIGHT * 3 {
            return Err(format!("{} bytes for {} pictures", bytes.len(), places.len()));
        }
        Ok(bytes.chunks_exact(WIDTH * HEIGHT * 3).map(|rgb| luma(rgb, 3)).collect())
    }
}

fn decoded(path: &Path, filter: &str, format: &str) -> Result<Vec<u8>, String> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(path)
        .args([
            "-fps_mode",
            "passthrough",
            "-vf",
            filter,
            "-pix_fmt",
            format,
            "-f",
            "rawvideo",
            "-",
        ])
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("ffmpeg: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(output.stdout) } else { Err(said.into_owned()) }
}

/// The number in a strip of squares: twenty bits, then the sum of their nibbles.
fn number(strip: &[u8]) -> Option<u32> {
    let bit = |square: usize| {
        // The middle of the square, where no codec smears.
        let row = &strip[SQUARE / 2 * SQUARES * SQUARE..];
        let middle = &row[square * SQUARE + SQUARE / 4..][..SQUARE / 2];
        let sum: usize = middle.iter().map(|luma| usize::from(*luma)).sum();
        u32::from(sum < middle.len() * 128)
    };
    let bits = (0..SQUARES).fold(0, |bits, square| bits | bit(square) << square);
    let frame = bits & 0xf_ffff;
    let sum: u32 = (0..5).map(|nibble| frame >> (nibble * 4) & 15).sum();
    (sum & 15 == bits >> 20).then_some(frame)
}

/// Luma of a PNG of the window.
///
/// # Errors
/// When it is something else.
pub(crate) fn luma_of_png(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut reader =
        png::Decoder::new(std::io::Cursor::new(bytes)).read_info().map_err(|e| e.to_string())?;
    let mut pixels = vec![0; reader.output_buffer_size().ok_or("too large a picture")?];
    let info = reader.next_frame(&mut pixels).map_err(|error| error.to_string())?;
    if (info.width, info.height) != (1280, 720) {
        return Err(format!("a picture of {} by {}", info.width, info.height));
    }
    Ok(luma(&pixels, info.color_type.samples()))
}

fn luma(pixels: &[u8], samples: usize) -> Vec<u8> {
    let weighed = |pixel: &[u8]| {
        let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
        u8::try_from((r * 299 + g * 587 + b * 114 + 500) / 1000).unwrap_or(u8::MAX)
    };
    pixels.chunks_exact(samples).map(weighed).collect()
}

/// Structural similarity of two pictures of the window, 1 for the same: the mean over windows of 8
/// by 8, every 4 pixels, as ffmpeg's filter of that name has it.
pub(crate) fn ssim(one: &[u8], other: &[u8]) -> f64 {
    const C1: f64 = 0.01 * 255.0 * 0.01 * 255.0;
    const C2: f64 = 0.03 * 255.0 * 0.03 * 255.0;
    let (mut sum, mut windows) = (0.0, 0.0);
    for top in (0..=HEIGHT - 8).step_by(4) {
        for left in (0..=WIDTH - 8).step_by(4) {
            let [mut a, mut b, mut aa, mut bb, mut ab] = [0_u32; 5];
            for row in top..top + 8 {
                let start = row * WIDTH + left;
                for (x, y) in one[start..start + 8].iter().zip(&other[start..start + 8]) {
                    let (x, y) = (u32::from(*x), u32::from(*y));
                    a += x;
                    b += y;
                    aa += x * x;
                    bb += y * y;
                    ab += x * y;
                }
            }
            let [a, b, aa, bb, ab] = [a, b, aa, bb, ab].map(|sum| f64::from(sum) / 64.0);
            let (variance, covariance) = (aa - a * a + bb - b * b, ab - a * b);
            sum += (2.0 * a * b + C1) * (2.0 * covariance + C2)
                / ((a * a + b * b + C1) * (variance + C2));
            windows += 1.0;
        }
    }
    sum / windows
}

/// What `part` of the numbers stay below.
pub(crate) fn at_part(mut numbers: Vec<f64>, part: f64) -> f64 {
    numbers.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into a short list"
    )]
    let index = (numbers.len().saturating_sub(1) as f64 * part).round() as usize;
    numbers.get(index).copied().unwrap_or(f64::NAN)
}
