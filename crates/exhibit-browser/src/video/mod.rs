//! Owns recordings: what a page showed goes in with the times at which it was shown, as frames that
//! are coded here or as segments that the browser coded; bytes of an MP4 file come out as they are
//! made. Nothing is speeded up, and what does not change stays on the screen for as long as it did.

mod frames;
mod h264;
mod mp4;
mod output;
mod pace;
mod segment;
mod segments;
pub mod vtt;
mod yuv_image;

use std::io;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use serde::Serialize;

/// Largest side of a recording, which the coder's level allows.
pub const LARGEST_SIDE: u32 = 1_920;

/// Where the bytes of a recording go.
pub trait Sink: Send {
    /// Append `bytes`.
    ///
    /// # Errors
    /// What the system answers; the recording then ends.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Make durable what was appended, then write `bytes` over what stands at `at`.
    ///
    /// # Errors
    /// What the system answers.
    fn patch(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;
}

/// A frame that was shown.
pub struct Frame {
    /// JPEG in base64.
    pub jpeg: String,
    /// When it was shown, in seconds since the epoch.
    pub at: f64,
    /// Called when the next one is wanted: the browser sends no more than a few before that, and
    /// then its newest.
    pub taken: Box<dyn FnOnce() + Send>,
}

/// A stretch of a recording that the browser made itself.
pub struct Segment {
    /// A whole fragmented MP4 file; empty when nothing was painted.
    pub bytes: Vec<u8>,
    /// When it began, in seconds since the epoch.
    pub from: f64,
    /// When it ended: what it shows last was shown until then.
    pub to: f64,
    /// Called when it has been put into the file: the next one is as long as a slow disk makes it,
    /// so that none waits in memory.
    pub taken: Box<dyn FnOnce() + Send>,
}

/// What is told to a recording.
pub enum Message {
    /// A frame was shown.
    Frame(Frame),
    /// A segment was made.
    Segment(Segment),
    /// A step begins: the next picture is to be a seek point.
    Mark,
    /// It is over: what was shown last was shown until now.
    Stop,
    /// The page is gone.
    Gone,
    /// The page loaded what policy forbids: nothing that is shown from now on may be kept.
    Forbid,
}

/// What a recording is handed out as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// As it was made.
    Mp4,
    /// VP9, made of it.
    Webm,
    /// Made of it, with few colours and few pictures.
    Gif,
}

impl Format {
    /// Its name.
    pub fn word(self) -> &'static str {
        self.ending().trim_start_matches('.')
    }

    /// Ending of its files' names.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Mp4 => ".mp4",
            Self::Webm => ".webm",
            Self::Gif => ".gif",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Mp4 => "video/mp4",
            Self::Webm => "video/webm",
            Self::Gif => "image/gif",
        }
    }
}

/// Where the pictures of a recording come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The browser sends frames, which are coded here: H.264.
    Screencast,
    /// The browser codes them itself: AV1, in browsers that can.
    Recorder,
}

impl Source {
    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Screencast => "screencast",
            Self::Recorder => "recorder",
        }
    }

    /// How its pictures are coded.
    pub fn codec(self) -> &'static str {
        match self {
            Self::Screencast => "H.264",
            Self::Recorder => "AV1",
        }
    }
}

/// How a recording is to be made.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Where pictures come from; none is found out by asking the browser.
    pub source: Option<Source>,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Most pictures a second.
    pub frame_rate: u32,
    /// Longest recording.
    pub max_duration: Duration,
    /// Largest recording, in bytes.
    pub max_bytes: u64,
}

impl Settings {
    /// Whether so many seconds between two pictures are a gap.
    fn is_gap(&self, seconds: f64) -> bool {
        seconds > 2.0 / f64::from(self.frame_rate.max(1)) && seconds < REST
    }
}

/// A page that shows nothing new for so many seconds rests.
const REST: f64 = 1.0;

/// Why a recording ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// It was stopped.
    Stopped,
    /// Its page, or the browser, is gone.
    PageGone,
    /// Its page loaded what policy forbids.
    Forbidden,
    /// It reached its longest duration.
    MaxDuration,
    /// It reached its largest size.
    MaxBytes,
    /// It could not be written or coded any more: why.
    Failed(String),
}

/// What became of a recording.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Where its pictures came from.
    pub source: Source,
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// Pictures in it.
    pub frames: u64,
    /// Frames that came faster than they could be coded: each was followed by one that is in it. What
    /// the browser itself leaves out, because it exceeds the frame rate, it does not count. None
    /// where it alone leaves out.
    pub superseded: Option<u64>,
    /// Times at which a picture came more than two steps of the frame rate after the one before, and
    /// less than a second: the page rested for so long, or the host was too busy for what it showed.
    pub gaps: u64,
    /// Frames, or segments, that could not be read.
    pub unreadable: u64,
    /// How long it plays, in milliseconds.
    pub duration_ms: u64,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// When its first picture was shown, in seconds since the epoch, by the browser's clock.
    pub began_at: f64,
    /// Why it ended.
    pub ended: End,
}

impl Summary {
    fn new(source: Source) -> Self {
        Self {
            source,
            width: 0,
            height: 0,
            frames: 0,
            superseded: None,
            gaps: 0,
            unreadable: 0,
            duration_ms: 0,
            size_bytes: 0,
            began_at: 0.0,
            ended: End::Stopped,
        }
    }
}

/// Record what `messages` tell until they end. Blocks: to be run off the async threads.
///
/// # Errors
/// When the coder cannot be had. Everything else is in the summary's `ended`.
pub fn record(
    messages: &Receiver<Message>,
    sink: &mut dyn Sink,
    settings: Settings,
    source: Source,
) -> io::Result<Summary> {
    match source {
        Source::Screencast => frames::record(messages, sink, settings),
        Source::Recorder => Ok(segments::record(messages, sink, settings)),
    }
}
