//! Owns recordings from frames: JPEG pictures with the times at which they were shown go in, coded
//! as H.264 by the binary itself. A still page costs almost nothing: one picture a second that says
//! that nothing changed, so that what is on disk is never older.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::h264::Coder;
use super::mp4::{Sample, TIMESCALE};
use super::output::Output;
use super::pace::Pace;
use super::yuv_image::YuvImage;
use super::{End, Frame, Message, Settings, Sink, Source, Summary};

/// A still page is told of this often.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Samples are written together for at most this long.
const FRAGMENT: Duration = Duration::from_millis(500);
/// A seek point is made at least this often.
const KEY_EVERY: Duration = Duration::from_secs(5);

/// A recording under way.
struct Recording<'a> {
    settings: Settings,
    output: Output<'a>,
    coder: Coder,
    picture: YuvImage,
    /// Samples that are not on disk yet.
    batch: Vec<Sample>,
    batch_since: f64,
    /// The last coded picture, whose duration is not known yet: when it was shown.
    open: Option<(Sample, f64)>,
    last_key: f64,
    /// When the last frame was shown: a picture that only says that nothing changed is none.
    last_frame: Option<f64>,
    mark: bool,
    summary: Summary,
}

/// Record the frames that `messages` bring until they end.
///
/// # Errors
/// When the coder cannot be had. Everything else is in the summary's `ended`.
pub(super) fn record(
    messages: &Receiver<Message>,
    sink: &mut dyn Sink,
    settings: Settings,
) -> io::Result<Summary> {
    let mut recording = Recording::new(settings, sink)?;
    let ended = recording.follow(messages);
    Ok(recording.finish(ended))
}

impl<'a> Recording<'a> {
    fn new(settings: Settings, sink: &'a mut dyn Sink) -> io::Result<Self> {
        let size = |side: u32| usize::try_from(side).unwrap_or(usize::MAX);
        let picture = YuvImage::black(size(settings.width), size(settings.height));
        let mut summary = Summary::new(Source::Screencast);
        (summary.width, summary.height) = (picture.width(), picture.height());
        summary.superseded = Some(0);
        Ok(Self {
            settings,
            output: Output::new(sink),
            coder: Coder::new().map_err(io::Error::other)?,
            picture,
            batch: Vec::new(),
            batch_since: 0.0,
            open: None,
            last_key: f64::MIN,
            last_frame: None,
            mark: false,
            summary,
        })
    }

    /// Take what comes until it is over.
    fn follow(&mut self, messages: &Receiver<Message>) -> End {
        let mut pace = Pace::new(self.settings.frame_rate);
        // The newest frame, until it may be shown without exceeding the frame rate.
        let mut held: Option<Frame> = None;
        loop {
            let (now, last) = (pace.now(), self.open.as_ref().map(|(_, shown)| *shown));
            if now >= pace.due() {
                pace.ask();
                if let Some(frame) = held.take() {
                    let end = self.show(Some(&frame.jpeg), frame.at);
                    pace.shown(frame, now);
                    if let Some(end) = end {
                        return end;
                    }
                    continue;
                }
            }
            let until = match last {
                _ if held.is_some() || pace.owes() => pace.due(),
                Some(last) => last + HEARTBEAT.as_secs_f64(),
                None => now + HEARTBEAT.as_secs_f64(),
            };
            let wait = Duration::from_secs_f64((until - now).clamp(0.001, 10.0));
            match messages.recv_timeout(wait) {
                Ok(Message::Frame(mut frame)) => {
                    frame.at = pace.came(frame.at);
                    if last.is_none() {
                        self.summary.began_at = frame.at;
                    }
                    if let Some(Frame { taken, .. }) = held.replace(frame) {
                        *self.summary.superseded.get_or_insert(0) += 1;
                        taken();
                    }
                }
                Ok(Message::Mark) => self.mark = true,
                Err(RecvTimeoutError::Timeout) => {
                    let now = pace.now();
                    let still = held.is_none()
                        && last.is_some_and(|last| now >= last + HEARTBEAT.as_secs_f64());
                    if still && let Some(end) = self.show(None, now) {
                        return end;
                    }
                }
                Ok(Message::Segment(_)) => {}
                Ok(Message::Stop) => return self.leave(held, &pace, End::Stopped),
                Ok(Message::Forbid) => return self.leave(held, &pace, End::Forbidden),
                Ok(Message::Gone) | Err(RecvTimeoutError::Disconnected) => {
                    return self.leave(held, &pace, End::PageGone);
                }
            }
        }
    }

    /// Show what is still held, and the last picture until now.
    fn leave(&mut self, held: Option<Frame>, pace: &Pace, end: End) -> End {
        if let Some(frame) = held
            && let Some(end) = self.show(Some(&frame.jpeg), frame.at)
        {
            return end;
        }
        if self.open.is_some() {
            self.close_open(pace.now());
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
        if frame.is_some()
            && let Some(last) = self.last_frame.replace(at)
        {
            self.summary.gaps += u64::from(self.settings.is_gap(at - last));
        }
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
        (self.output.size_bytes() >= self.settings.max_bytes).then_some(End::MaxBytes)
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
        self.output.write(self.coder.track(), &samples)
    }

    /// Write what is left, and turn the file into one that players know the length of.
    fn finish(mut self, ended: End) -> Summary {
        if let Some((_, shown)) = &self.open {
            let shown = *shown;
            self.close_open(shown + 0.04);
        }
        let left = self.write_batch(self.batch_since);
        self.output.finish(self.summary, ended, left)
    }
}
