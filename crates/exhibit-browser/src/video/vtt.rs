//! Owns captions and chapters beside a recording, as WebVTT (W3C), which players show and editors
//! read. What is said in them comes from elsewhere, and cannot become markup.

use std::fmt::Write as _;
use std::time::Duration;

use exhibit_verify::shown::shown_within;

/// Something said for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cue {
    /// From the recording's beginning.
    pub from: Duration,
    /// From the recording's beginning; later than `from`.
    pub to: Duration,
    /// What is said.
    pub text: String,
}

/// Most characters of a cue.
const TEXT: usize = 1_000;

/// The document.
pub fn document(cues: &[Cue]) -> String {
    let mut text = String::from("WEBVTT\n");
    for (number, cue) in cues.iter().enumerate() {
        let to = cue.to.max(cue.from + Duration::from_millis(1));
        let _ = write!(text, "\n{}\n{} --> {}\n", number + 1, time(cue.from), time(to));
        text.push_str(&escaped(&cue.text));
        text.push('\n');
    }
    text
}

fn time(at: Duration) -> String {
    let (seconds, millis) = (at.as_secs(), at.subsec_millis());
    format!("{:02}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn escaped(text: &str) -> String {
    // A line that is empty would end the cue; none is left.
    let shown = shown_within(text, TEXT);
    shown.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_cannot_end_its_cue() {
        let cue = |from, to, text: &str| Cue {
            from: Duration::from_millis(from),
            to: Duration::from_millis(to),
            text: text.to_owned(),
        };
        let cues = [cue(0, 1_500, "click #pay"), cue(3_661_002, 0, "<b>a\n\n00:00 --> 1 & x")];
        let wanted = "WEBVTT\n\n1\n00:00:00.000 --> 00:00:01.500\nclick #pay\n\n2\n01:01:01.002 --> \
                      01:01:01.003\n&lt;b&gt;a\\u{a}\\u{a}00:00 --&gt; 1 &amp; x\n";
        assert_eq!(document(&cues), wanted);
    }
}
