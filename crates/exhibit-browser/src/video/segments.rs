//! Owns recordings from segments that the browser coded itself: they are put one behind the other in
//! one file, each at the time at which it began.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::mp4::{Sample, TIMESCALE, Track};
use super::output::Output;
use super::segment;
use super::{End, Message, Segment, Settings, Sink, Source, Summary};

/// A recording under way.
struct Recording<'a> {
    settings: Settings,
    output: Output<'a>,
    track: Option<Track>,
    summary: Summary,
}

/// Record the segments that `messages` bring until they end.
pub(super) fn record(
    messages: &Receiver<Message>,
    sink: &mut dyn Sink,
    settings: Settings,
) -> Summary {
    let summary = Summary::new(Source::Recorder);
    let mut recording = Recording { settings, output: Output::new(sink), track: None, summary };
    let ended = loop {
        match messages.recv() {
            Ok(Message::Segment(segment)) => {
                let end = recording.add(&segment);
                (segment.taken)();
                if let Some(end) = end {
                    break end;
                }
            }
            Ok(Message::Stop) => break End::Stopped,
            Ok(Message::Forbid) => break End::Forbidden,
            Ok(Message::Gone) | Err(_) => break End::PageGone,
            Ok(Message::Frame(_) | Message::Mark) => {}
        }
    };
    recording.output.finish(recording.summary, ended, Ok(()))
}

impl Recording<'_> {
    /// Add what was shown in a segment, until its end.
    fn add(&mut self, segment: &Segment) -> Option<End> {
        let Ok(pictures) = segment::read(&segment.bytes) else {
            self.summary.unreadable += 1;
            return None;
        };
        let mut samples = pictures.samples;
        if samples.is_empty() {
            return None;
        }
        if self.track.is_none() {
            self.summary.began_at = segment.from;
            if let Some(track) = &pictures.track {
                self.summary.width = usize::from(track.width);
                self.summary.height = usize::from(track.height);
            }
            self.track = pictures.track;
        }
        // The last one is shown until the next segment begins.
        for sample in samples.iter().rev().skip(1) {
            let shown = f64::from(sample.duration) / f64::from(TIMESCALE);
            self.summary.gaps += u64::from(self.settings.is_gap(shown));
        }
        // Where segments are missing, what was shown before them stays.
        self.output.hold(ticks(segment.from - self.summary.began_at));
        let until = ticks(segment.to - self.summary.began_at);
        let longest = ticks(self.settings.max_duration.as_secs_f64());
        fit(&mut samples, self.output.time(), until.min(longest));
        self.summary.frames += samples.len() as u64;
        if let Err(error) = self.output.write(self.track.as_ref(), &samples) {
            return Some(End::Failed(error.to_string()));
        }
        if until >= longest {
            return Some(End::MaxDuration);
        }
        (self.output.size_bytes() >= self.settings.max_bytes).then_some(End::MaxBytes)
    }
}

/// Have the samples, the first of which is shown at `begin`, end at `until`: the last is shown until
/// then, and those that would be shown later are left out.
fn fit(samples: &mut Vec<Sample>, begin: u64, until: u64) {
    let mut at = begin;
    let mut kept = 0;
    for sample in samples.iter_mut() {
        if kept > 0 && at >= until {
            break;
        }
        let left = u32::try_from(until.saturating_sub(at)).unwrap_or(u32::MAX).max(1);
        sample.duration = sample.duration.clamp(1, left);
        at += u64::from(sample.duration);
        kept += 1;
    }
    samples.truncate(kept);
    if let Some(last) = samples.last_mut() {
        let missing = u32::try_from(until.saturating_sub(at)).unwrap_or(u32::MAX);
        last.duration = last.duration.saturating_add(missing);
    }
}

/// A time in seconds, in units of [`TIMESCALE`].
fn ticks(seconds: f64) -> u64 {
    let time = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default();
    u64::try_from(time.as_micros() * u128::from(TIMESCALE) / 1_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::video::mp4::{Mp4, leaf};

    struct Kept(Vec<u8>);

    impl Sink for Kept {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.0.extend(bytes);
            Ok(())
        }

        fn patch(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
            let at = usize::try_from(at).expect("small");
            self.0[at..at + bytes.len()].copy_from_slice(bytes);
            Ok(())
        }
    }

    /// A segment of two pictures that the browser shows for a tenth of a second each.
    fn file() -> Vec<u8> {
        let description = leaf(*b"av01", |b| {
            b.extend([0; 24]);
            b.extend([2, 128, 1, 224]);
            b.extend([0; 50]);
        });
        let (mut mp4, mut bytes) = Mp4::begin(Track { width: 640, height: 480, description });
        let sample = |is_key| Sample { bytes: vec![7; 9], duration: 9_000, is_key };
        bytes.extend(mp4.fragment(&[sample(true), sample(false)]));
        bytes
    }

    #[test]
    fn segments_become_one_file_at_true_time_and_each_is_waited_for() {
        let (messages, coming) = channel();
        let (told, taken) = channel();
        let broken = b"\0\0\0\x10moov nothing".to_vec();
        for (bytes, from, to) in [
            (file(), 1_000.0, 1_001.0),
            (broken, 1_001.0, 1_002.0),
            (Vec::new(), 1_002.0, 1_003.0),
            (file(), 1_003.0, 1_004.5),
        ] {
            let told = told.clone();
            let taken = Box::new(move || told.send(()).expect("the test listens"));
            let segment = Segment { bytes, from, to, taken };
            messages.send(Message::Segment(segment)).expect("heard");
        }
        messages.send(Message::Stop).expect("heard");
        let settings = Settings {
            source: Some(Source::Recorder),
            width: 640,
            height: 480,
            frame_rate: 25,
            max_duration: Duration::from_secs(60),
            max_bytes: 1 << 20,
        };
        let mut sink = Kept(Vec::new());
        let summary = record(&coming, &mut sink, settings);
        assert_eq!(taken.try_iter().count(), 4);
        assert_eq!((summary.frames, summary.unreadable, summary.duration_ms), (4, 1, 4_500));
        assert_eq!(summary.gaps, 2, "a tenth of a second is more than two steps");
        assert_eq!((summary.width, summary.height), (640, 480));
        assert_eq!((summary.ended, summary.superseded), (End::Stopped, None));
        assert_eq!(summary.size_bytes, sink.0.len() as u64);
    }

    #[test]
    fn samples_end_when_their_segment_does() {
        let samples = |durations: &[u32]| -> Vec<Sample> {
            let sample =
                |duration: &u32| Sample { bytes: vec![1], duration: *duration, is_key: false };
            durations.iter().map(sample).collect()
        };
        for (durations, begin, until, wanted) in [
            (&[10, 10][..], 0, 100, &[10, 90][..]),
            (&[10, 10], 50, 70, &[10, 10]),
            (&[10, 10, 10], 50, 65, &[10, 5]),
            (&[0, 10], 0, 5, &[1, 4]),
            // Never nothing, and never back in time.
            (&[10], 90, 80, &[1]),
        ] {
            let mut fitted = samples(durations);
            fit(&mut fitted, begin, until);
            let fitted: Vec<u32> = fitted.iter().map(|sample| sample.duration).collect();
            assert_eq!(fitted, wanted, "{durations:?} from {begin} until {until}");
        }
    }
}
