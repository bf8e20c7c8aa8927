//! Owns recordings: frames of a page go in with the times at which they were shown, bytes of an MP4
//! file come out as they are made. Nothing is speeded up, and a still page costs almost nothing: one
//! picture a second that says that nothing changed, so that what is on disk is never older.

mod h264;
mod mp4;
mod picture;
pub mod vtt;

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use tokio::time::Instant;

use self::h264::Coder;
use self::mp4::{Mp4, Sample, TIMESCALE};
use self::picture::Picture;

/// A still page is told of this often.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Samples are written together for at most this long.
const FRAGMENT: Duration = Duration::from_millis(500);
/// A seek point is made at least this often.
const KEY_EVERY: Duration = Duration::from_secs(5);
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
    /// Called when it has been taken: the browser sends no more than a few before that.
    pub taken: Box<dyn FnOnce() + Send>,
}

/// What is told to a recording.
pub enum Message {
    /// A frame was shown.
    Frame(Frame),
    /// A step begins: the next picture is to be a seek point.
    Mark,
    /// It is over: what was shown last was shown until now.
    Stop,
    /// The page is gone.
    Gone,
}

/// How a recording is to be made.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
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

/// Why a recording ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// It was stopped.
    Stopped,
    /// Its page, or the browser, is gone.
    PageGone,
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
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// Pictures in it.
    pub frames: u64,
    /// Frames that came faster than the frame rate, or than they could be coded: each was followed
    /// by one that is in it.
    pub superseded: u64,
    /// Frames that could not be read.
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

/// A recording under way.
struct Recording<'a> {
    settings: Settings,
    sink: &'a mut dyn Sink,
    coder: Coder,
    picture: Picture,
    file: Option<Mp4>,
    /// Samples that are not on disk yet.
    batch: Vec<Sample>,
    batch_since: f64,
    /// The last coded picture, whose duration is not known yet: when it was shown.
    open: Option<(Sample, f64)>,
    last_key: f64,
    mark: bool,
    summary: Summary,
}

/// Record what `messages` tell until they end. Blocks: to be run off the async threads.
///
/// # Errors
/// When the coder cannot be had. Everything else is in the summary's `ended`.
pub fn record(
    messages: &Receiver<Message>,
    sink: &mut dyn Sink,
    settings: Settings,
) -> io::Result<Summary> {
    let mut recording = Recording::new(settings, sink)?;
    let ended = recording.follow(messages);
    Ok(recording.finish(ended))
}

/// The browser's clock as seen from here.
#[derive(Clone, Copy)]
struct Offset {
    at: Instant,
    browser: f64,
}

impl Offset {
    fn now(self) -> f64 {
        self.browser + self.at.elapsed().as_secs_f64()
    }
}

impl<'a> Recording<'a> {
    fn new(settings: Settings, sink: &'a mut dyn Sink) -> io::Result<Self> {
        let size = |side: u32| usize::try_from(side).unwrap_or(usize::MAX);
        let picture = Picture::black(size(settings.width), size(settings.height));
        let summary = Summary {
            width: picture.width(),
            height: picture.height(),
            frames: 0,
            superseded: 0,
            unreadable: 0,
            duration_ms: 0,
            size_bytes: 0,
            began_at: 0.0,
            ended: End::Stopped,
        };
        Ok(Self {
            settings,
            sink,
            coder: Coder::new().map_err(io::Error::other)?,
            picture,
            file: None,
            batch: Vec::new(),
            batch_since: 0.0,
            open: None,
            last_key: f64::MIN,
            mark: false,
            summary,
        })
    }

    /// Take what comes until it is over.
    fn follow(&mut self, messages: &Receiver<Message>) -> End {
        let pace = 1.0 / f64::from(self.settings.frame_rate.max(1));
        let mut clock: Option<Offset> = None;
        // The newest frame, until it may be shown without exceeding the frame rate.
        let mut held: Option<(String, f64)> = None;
        loop {
            let now = clock.map_or(0.0, Offset::now);
            let last = self.open.as_ref().map(|(_, shown)| *shown);
            if let (Some((_, at)), Some(last)) = (&held, last)
                && now >= last + pace
            {
                let at = at.max(last + pace / 2.0);
                let frame = held.take().map(|(frame, _)| frame).unwrap_or_default();
                if let Some(end) = self.show(Some(&frame), at) {
                    return end;
                }
                continue;
            }
            let wait = match (&held, last) {
                (Some(_), Some(last)) => (last + pace - now).max(0.001),
                (_, Some(last)) => (last + HEARTBEAT.as_secs_f64() - now).max(0.001),
                _ => HEARTBEAT.as_secs_f64(),
            };
            match messages.recv_timeout(Duration::from_secs_f64(wait.min(10.0))) {
                Ok(Message::Frame(Frame { jpeg: frame, at, taken })) => {
                    taken();
                    clock = Some(Offset { at: Instant::now(), browser: at });
                    if last.is_none() {
                        self.summary.began_at = at;
                        if let Some(end) = self.show(Some(&frame), at) {
                            return end;
                        }
                    } else if held.replace((frame, at)).is_some() {
                        self.summary.superseded += 1;
                    }
                }
                Ok(Message::Mark) => self.mark = true,
                Err(RecvTimeoutError::Timeout) if held.is_none() && last.is_some() => {
                    let now = clock.map_or(0.0, Offset::now);
                    if let Some(end) = self.show(None, now) {
                        return end;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::Stop) => return self.leave(held, clock, End::Stopped),
                Ok(Message::Gone) | Err(RecvTimeoutError::Disconnected) => {
                    return self.leave(held, clock, End::PageGone);
                }
            }
        }
    }

    /// Show what is still held, and the last picture until now.
    fn leave(&mut self, held: Option<(String, f64)>, clock: Option<Offset>, end: End) -> End {
        if let Some((frame, at)) = held
            && let Some(end) = self.show(Some(&frame), at)
        {
            return end;
        }
        if let Some(clock) = clock {
            self.close_open(clock.now());
        }
        end
    }

    /// Code what is shown from `at` on: a frame, or the same as before.
    fn show(&mut self, frame: Option<&str>, at: f64) -> Option<End> {
        if let Some(frame) = frame {
            let jpeg = STANDARD.decode(frame).unwrap_or_default();
            if self.picture.draw(&jpeg).is_err() {
                self.summary.unreadable += 1;
                return None;
            }
        }
        // Times go on, whatever the host's clock does.
        let at = self.open.as_ref().map_or(at, |(_, last)| at.max(last + 0.001));
        let key = self.open.is_none()
            || std::mem::take(&mut self.mark)
            || at - self.last_key >= KEY_EVERY.as_secs_f64();
        let coded = match self.coder.code(&self.picture, key) {
            Ok(coded) => coded,
            Err(error) => return Some(End::Failed(error.to_string())),
        };
        if coded.is_key {
            self.last_key = at;
        }
        self.close_open(at);
        let sample = Sample { bytes: coded.bytes, duration: 0, is_key: coded.is_key };
        self.open = Some((sample, at));
        self.summary.frames += 1;
        if at - self.batch_since >= FRAGMENT.as_secs_f64()
            && let Err(error) = self.write_batch(at)
        {
            return Some(End::Failed(error.to_string()));
        }
        let played = Duration::from_secs_f64((at - self.summary.began_at).max(0.0));
        if played >= self.settings.max_duration {
            return Some(End::MaxDuration);
        }
        (self.summary.size_bytes >= self.settings.max_bytes).then_some(End::MaxBytes)
    }

    /// The last coded picture was shown until `at`.
    fn close_open(&mut self, at: f64) {
        if let Some((mut sample, shown)) = self.open.take() {
            let ticks = ((at - shown).max(0.001) * f64::from(TIMESCALE)).round();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
            let ticks = ticks.clamp(1.0, f64::from(u32::MAX)) as u32;
            sample.duration = ticks;
            self.batch.push(sample);
        }
    }

    fn write_batch(&mut self, now: f64) -> io::Result<()> {
        self.batch_since = now;
        let samples = std::mem::take(&mut self.batch);
        if samples.is_empty() {
            return Ok(());
        }
        if self.file.is_none() {
            let track = self.coder.track().cloned();
            let track = track.ok_or_else(|| io::Error::other("the coder tells no parameters"))?;
            let (file, head) = Mp4::begin(track);
            self.sink.append(&head)?;
            self.summary.size_bytes += head.len() as u64;
            self.file = Some(file);
        }
        if let Some(file) = &mut self.file {
            let bytes = file.fragment(&samples);
            self.sink.append(&bytes)?;
            self.summary.size_bytes += bytes.len() as u64;
            self.summary.duration_ms = file.time() * 1000 / u64::from(TIMESCALE);
        }
        Ok(())
    }

    /// Write what is left, and turn the file into one that players know the length of.
    fn finish(mut self, ended: End) -> Summary {
        if let Some((_, shown)) = &self.open {
            let shown = *shown;
            self.close_open(shown + 0.04);
        }
        self.summary.ended = ended;
        let now = self.batch_since;
        let mut finishing = || {
            self.write_batch(now)?;
            if let Some(file) = &self.file {
                let ending = file.end();
                self.sink.append(&ending.index)?;
                self.sink.patch(ending.at, &ending.head)?;
                self.summary.size_bytes += ending.index.len() as u64;
            }
            Ok::<_, io::Error>(())
        };
        if let Err(error) = finishing()
            && !matches!(self.summary.ended, End::Failed(_))
        {
            self.summary.ended = End::Failed(error.to_string());
        }
        self.summary
    }
}
