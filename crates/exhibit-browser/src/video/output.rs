//! Owns the file of a recording while it is written: it begins with the first samples, grows by
//! fragments, and is finished by an index.

use std::io;

use super::mp4::{Mp4, Sample, TIMESCALE, Track};
use super::{End, Sink, Summary};

/// The file of a recording.
pub(super) struct Output<'a> {
    sink: &'a mut dyn Sink,
    file: Option<Mp4>,
    size_bytes: u64,
}

impl<'a> Output<'a> {
    pub(super) fn new(sink: &'a mut dyn Sink) -> Self {
        Self { sink, file: None, size_bytes: 0 }
    }

    /// Bytes written so far.
    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// How long it plays so far, in units of [`TIMESCALE`].
    pub(super) fn time(&self) -> u64 {
        self.file.as_ref().map_or(0, Mp4::time)
    }

    /// What was shown last was shown until `time`, in units of [`TIMESCALE`].
    pub(super) fn hold(&mut self, time: u64) {
        if let Some(file) = &mut self.file {
            file.hold(time);
        }
    }

    /// Write a fragment; `track` must be known when the first samples are.
    ///
    /// # Errors
    /// What the system answers.
    pub(super) fn write(&mut self, track: Option<&Track>, samples: &[Sample]) -> io::Result<()> {
        if samples.is_empty() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let track = track.cloned();
                let track =
                    track.ok_or_else(|| io::Error::other("the coder tells no parameters"))?;
                let (file, head) = Mp4::begin(track);
                self.sink.append(&head)?;
                self.size_bytes += head.len() as u64;
                self.file.insert(file)
            }
        };
        let bytes = file.fragment(samples);
        self.sink.append(&bytes)?;
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Turn the file into one that players know the length of. `ended` is why the recording did;
    /// `written` is what became of the last samples.
    pub(super) fn finish(
        mut self,
        mut summary: Summary,
        ended: End,
        written: io::Result<()>,
    ) -> Summary {
        summary.ended = ended;
        if let Err(error) = written.and_then(|()| self.index())
            && !matches!(summary.ended, End::Failed(_))
        {
            summary.ended = End::Failed(error.to_string());
        }
        summary.duration_ms = self.time() * 1000 / u64::from(TIMESCALE);
        summary.size_bytes = self.size_bytes;
        summary
    }

    fn index(&mut self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let ending = file.end();
        self.sink.append(&ending.index)?;
        self.sink.patch(ending.at, &ending.head)?;
        self.size_bytes += ending.index.len() as u64;
        Ok(())
    }
}
