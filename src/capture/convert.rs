//! Owns the making of another format from a recording, by a program of the operator's: ffmpeg. It is
//! given one file to read and one to write, and its time is limited. What it makes is derived; the
//! recording itself stays as it is.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::blob::Blob;
use crate::disk;
use crate::error::{Code, Problem};
use crate::video::Format;

/// Longest conversion.
const LIMIT: Duration = Duration::from_secs(300);
/// Longest complaint of the program's that is told.
const COMPLAINT: usize = 500;
/// Pictures a second, and largest width, of a GIF.
const GIF: &str = "fps=10,scale='min(960,iw)':-2:flags=lanczos,split[a][b];[a]palettegen=stats_mode=diff[p];\
                   [b][p]paletteuse=dither=bayer:bayer_scale=5:diff_mode=rectangle";

/// What was made of a recording.
pub(super) struct Converted {
    pub(super) bytes: Blob,
    /// The program's word for itself.
    pub(super) by: String,
}

/// Make `format` of a recording by the program at `path`; what is made waits in `spool`.
///
/// # Errors
/// `conversion_failed`, with the program's complaint.
pub(super) async fn convert(
    path: &Path,
    recording: &Blob,
    format: Format,
    frame_rate: u32,
    spool: &Path,
) -> Result<Converted, Problem> {
    let unusable = |error| Problem::internal("preparing a conversion", error);
    let source = recording.to_file(spool).map_err(unusable)?;
    let made = disk::unnamed_file(spool).map_err(unusable)?;
    let output = made.try_clone().map_err(unusable)?;
    let mut program = Command::new(path);
    program
        .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"])
        // It opens both anew, and can move about in them; nothing else is opened.
        .args(["-protocol_whitelist", "file", "-f", "mp4", "-i", "/dev/stdin", "-an", "-sn"])
        .args(["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact"]);
    if format == Format::Gif {
        program.args(["-vf", GIF, "-loop", "0", "-f", "gif"]);
    } else {
        // A picture that stays is repeated, so that the last one is shown for as long as it was.
        program.args(["-vf", &format!("fps={frame_rate}"), "-c:v", "libvpx-vp9"]);
        program.args(["-crf", "30", "-b:v", "0", "-deadline", "realtime", "-cpu-used", "8"]);
        program.args(["-row-mt", "1", "-f", "webm"]);
    }
    program.arg("/dev/stdout").env_clear().current_dir("/").kill_on_drop(true);
    program.stdin(source).stdout(output).stderr(Stdio::piped());
    let failed = |why: &str| {
        let message = format!(
            "the recording is kept, but `video.ffmpeg` made no {} of it: {why}; ask for mp4",
            format.word()
        );
        Problem::new(Code::ConversionFailed, message).field("format")
    };
    let running = program.spawn().map_err(|error| failed(&error.to_string()))?;
    let ended = tokio::time::timeout(LIMIT, running.wait_with_output()).await;
    let ended = ended.map_err(|_| failed("it took too long"))?;
    let ended = ended.map_err(|error| failed(&error.to_string()))?;
    let length = made.metadata().map_err(unusable)?.len();
    if !ended.status.success() || length == 0 {
        let said = String::from_utf8_lossy(&ended.stderr);
        return Err(failed(said.trim().chars().take(COMPLAINT).collect::<String>().trim()));
    }
    Ok(Converted { bytes: Blob::of_file(made, length), by: version(path).await })
}

/// What a program says of itself in its first line.
async fn version(path: &Path) -> String {
    let asked = Command::new(path).arg("-version").env_clear().kill_on_drop(true).output();
    let told = tokio::time::timeout(Duration::from_secs(10), asked).await;
    let told = told.ok().and_then(Result::ok).map(|told| told.stdout).unwrap_or_default();
    let told = String::from_utf8_lossy(&told);
    told.lines().next().unwrap_or_default().chars().take(200).collect()
}
