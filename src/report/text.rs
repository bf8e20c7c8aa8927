//! Owns how what pages and agents say is put into words that can be shown: control characters and
//! those that change the direction of text are spelled out, what is long is cut. The templates
//! escape what is left.

use serde_json::Value;

use crate::shown::shown_within;

/// Most characters of a text that is shown in a line.
const LINE: usize = 600;

/// `text` as it can be shown in a line.
pub(crate) fn text(text: &str) -> String {
    shown_within(text, LINE)
}

/// What somebody else says, in quotation marks that nothing in it can close.
pub(crate) fn quoted(said: &str) -> String {
    let mut quoted = String::from("“");
    for letter in text(said).chars() {
        if matches!(letter, '“' | '”') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted.push('”');
    quoted
}

/// The text of the string `value`, or its JSON, as it can be shown in a line; empty for null.
pub(crate) fn spoken(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(string) => text(string),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let items: Vec<String> = items.iter().take(100).map(spoken).collect();
            shown_within(&items.join(", "), LINE)
        }
        other => text(&other.to_string()),
    }
}

/// `value` as indented JSON, at most `limit` bytes or so of it.
pub(super) fn indented(value: &Value, limit: usize) -> String {
    let mut out = Limited { bytes: Vec::new(), limit };
    let cut = serde_json::to_writer_pretty(&mut out, value).is_err();
    let mut json = lines(&String::from_utf8_lossy(&out.bytes));
    if cut {
        json.push_str("\n… cut here");
    }
    json
}

/// `block` as it can be shown, line by line.
pub(super) fn lines(block: &str) -> String {
    let lines: Vec<String> =
        block.lines().map(|line| shown_within(&line.replace('\t', "    "), usize::MAX)).collect();
    lines.join("\n")
}

/// A writer that takes no more than its limit.
struct Limited {
    bytes: Vec<u8>,
    limit: usize,
}

impl std::io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// `bytes` in a unit that can be read.
pub(super) fn size(bytes: u64) -> String {
    let in_unit = |unit: u64| {
        let tenths = bytes.saturating_mul(10) / unit;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", in_unit(1_000)),
        1_000_000..1_000_000_000 => format!("{} MB", in_unit(1_000_000)),
        _ => format!("{} GB", in_unit(1_000_000_000)),
    }
}

/// `count` of `one`, or of more with an s.
pub(super) fn count(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// The day of an RFC 3339 time in words, and its time of day; as it is when it is none.
pub(crate) fn moment(time: &str) -> (String, String) {
    match time.parse::<jiff::Timestamp>() {
        Ok(at) => {
            let at = at.to_zoned(jiff::tz::TimeZone::UTC);
            (at.strftime("%-d %B %Y").to_string(), at.strftime("%H:%M:%S%.3f").to_string())
        }
        Err(_) => (String::new(), text(time)),
    }
}

/// The time between two RFC 3339 times in words; empty when it cannot be told.
pub(crate) fn between(from: &str, to: &str) -> String {
    let parse = |time: &str| time.parse::<jiff::Timestamp>().ok();
    let (Some(from), Some(to)) = (parse(from), parse(to)) else { return String::new() };
    let millis = to.as_millisecond().saturating_sub(from.as_millisecond());
    u64::try_from(millis).map_or_else(|_| String::new(), lasting)
}

/// `millis` in words.
pub(super) fn lasting(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..60 => format!("{seconds}.{} s", millis % 1000 / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_long_is_cut_and_what_draws_is_spelled_out() {
        assert_eq!(text("a\u{202e}b\n"), "a\\u{202e}b\\u{a}");
        assert_eq!(quoted("a” by us, “b"), "“a\\” by us, \\“b”");
        assert_eq!(text(&"x".repeat(700)).chars().count(), LINE + 1);
        let deep = indented(&json!({"a": "x".repeat(5000), "b": [1]}), 100);
        assert!(deep.len() < 200 && deep.ends_with("cut here"), "{deep}");
        assert_eq!(indented(&json!({"a": "\u{2066}"}), 100), "{\n  \"a\": \"\\u{2066}\"\n}");
    }

    #[test]
    fn numbers_and_times_can_be_read() {
        assert_eq!(size(999), "999 bytes");
        assert_eq!(size(1_250_000), "1.2 MB");
        assert_eq!(count(1, "event") + &count(2, "event"), "1 event2 events");
        let day = "24 November 2026".to_owned();
        assert_eq!(moment("2026-11-24T08:15:46.120Z"), (day, "08:15:46.120".to_owned()));
        assert_eq!(moment("<b>").1, "<b>");
        assert_eq!(between("2026-11-24T08:15:46.120Z", "2026-11-24T08:17:47Z"), "2 min 0 s");
        assert_eq!(between("x", "2026-11-24T08:17:47Z"), "");
    }
}
