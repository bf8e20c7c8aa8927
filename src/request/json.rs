//! Owns the reading of JSON that callers send: into a value that says what they wrote, or a refusal
//! that names the place. JSON lets readers differ over names that come twice, and over numbers that
//! no machine number holds; evidence must not depend on the reader, so both are refused.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::fields::shortened;
use crate::error::{Code, Problem};

/// Most levels of lists and objects in a request, the outermost included. What is read one level
/// further down in an event stays within what an event may hold.
pub const MAX_LEVELS: usize = 100;
/// Most digits of a number that are compared; a double has at most 767 that matter.
const MAX_DIGITS: usize = 800;
/// How serde_json passes on text that it reads itself: as a name this would be read as its value.
const PRIVATE: &str = "$serde_json::private::";
/// Longest place that a refusal names, in characters.
const MAX_PLACE: usize = 200;

/// The value that `bytes` write.
///
/// # Errors
/// `invalid_json` when they are no JSON; `invalid_field` for a name that comes twice, a number that
/// would be changed, and what nests too deep.
pub fn read_json(bytes: &[u8]) -> Result<Value, Problem> {
    let mut scan = Scan { bytes, at: 0, place: Vec::new() };
    match scan.value() {
        Err(Stop::Problem(problem)) => return Err(*problem),
        // The other reader says what is wrong with it.
        Ok(()) | Err(Stop::Malformed) => {}
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let message = format!("the body is not JSON ({error}); send a JSON object");
        Problem::new(Code::InvalidJson, message).because(error)
    })
}

/// Why the scan goes no further.
#[derive(Debug)]
enum Stop {
    /// It is no JSON from here on.
    Malformed,
    Problem(Box<Problem>),
}

/// One step from a value to one inside it.
#[derive(Debug)]
enum Step {
    Name(String),
    Index(usize),
}

/// Goes over the text once and looks at names, numbers and levels; whether it is JSON it leaves to
/// the other reader.
#[derive(Debug)]
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where we are: one step for each list and object that is open.
    place: Vec<Step>,
}

impl Scan<'_> {
    fn value(&mut self) -> Result<(), Stop> {
        match self.next() {
            Some(open @ (b'{' | b'[')) if self.place.len() >= MAX_LEVELS => {
                let kind = if open == b'{' { "an object" } else { "a list" };
                let message = format!(
                    "{} holds {kind} on level {}, and {MAX_LEVELS} levels are allowed; send it as a \
                     string, or attach it as a file",
                    self.named(),
                    MAX_LEVELS + 1
                );
                self.refuse(message)
            }
            Some(b'{') => self.object(),
            Some(b'[') => self.list(),
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'a'..=b'z') => {
                self.skip(|byte| byte.is_ascii_lowercase());
                Ok(())
            }
            _ => Err(Stop::Malformed),
        }
    }

    /// The next byte that is no blank; it is not passed.
    fn next(&mut self) -> Option<u8> {
        self.skip(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
        self.bytes.get(self.at).copied()
    }

    fn skip(&mut self, passed: impl Fn(u8) -> bool) {
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().position(|byte| !passed(*byte)).unwrap_or(rest.len());
    }

    /// Pass `expected`.
    fn take(&mut self, expected: u8) -> Result<(), Stop> {
        if self.next() != Some(expected) {
            return Err(Stop::Malformed);
        }
        self.at += 1;
        Ok(())
    }

    /// Pass a comma, or the `end`: whether more follows.
    fn more(&mut self, end: u8) -> Result<bool, Stop> {
        let more = self.next() == Some(b',');
        self.take(if more { b',' } else { end })?;
        Ok(more)
    }

    fn list(&mut self) -> Result<(), Stop> {
        self.take(b'[')?;
        if self.next() == Some(b']') {
            return self.take(b']');
        }
        for index in 0.. {
            self.place.push(Step::Index(index));
            self.value()?;
            self.place.pop();
            if !self.more(b']')? {
                break;
            }
        }
        Ok(())
    }

    fn object(&mut self) -> Result<(), Stop> {
        self.take(b'{')?;
        if self.next() == Some(b'}') {
            return self.take(b'}');
        }
        let mut seen = HashSet::new();
        loop {
            let name = self.string()?;
            let name: String = serde_json::from_slice(name).map_err(|_| Stop::Malformed)?;
            self.place.push(Step::Name(name.clone()));
            if name.starts_with(PRIVATE) {
                let message = format!(
                    "{} has a name that means something else to readers of JSON; choose another name",
                    self.named()
                );
                return self.refuse(message);
            }
            if !seen.insert(name) {
                let message = format!("{} is given twice; give it once", self.named());
                return self.refuse(message);
            }
            self.take(b':')?;
            self.value()?;
            self.place.pop();
            if !self.more(b'}')? {
                return Ok(());
            }
        }
    }

    /// Pass a string: its bytes, quotation marks included.
    fn string(&mut self) -> Result<&[u8], Stop> {
        self.take(b'"')?;
        let from = self.at - 1;
        loop {
            self.skip(|byte| byte != b'"' && byte != b'\\');
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(_) if self.at + 2 <= self.bytes.len() => self.at += 2,
                _ => return Err(Stop::Malformed),
            }
        }
        self.at += 1;
        Ok(&self.bytes[from..self.at])
    }

    fn number(&mut self) -> Result<(), Stop> {
        let from = self.at;
        self.skip(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        let text = std::str::from_utf8(&self.bytes[from..self.at]).map_err(|_| Stop::Malformed)?;
        let remedy = match kept(text) {
            Kept::Yes => return Ok(()),
            Kept::TooLarge => "which no integer of 64 bits holds; send it as a string",
            Kept::Changed => {
                "which no double (IEEE 754) holds to its last digit; send fewer digits, or a string"
            }
        };
        let message = format!("{} is {}, {remedy}", self.named(), shortened(text));
        self.refuse(message)
    }

    fn refuse<T>(&self, message: String) -> Result<T, Stop> {
        let problem = Problem::new(Code::InvalidField, message).field(self.field());
        Err(Stop::Problem(Box::new(problem)))
    }

    /// Where we are, as fields are called in messages: `labels.a[3]`.
    fn field(&self) -> String {
        let mut field = String::new();
        for step in &self.place {
            match step {
                Step::Name(name) if field.is_empty() => field.push_str(name),
                Step::Name(name) => field.extend([".", name]),
                Step::Index(index) => drop(write!(field, "[{index}]")),
            }
            if let Some((end, _)) = field.char_indices().nth(MAX_PLACE) {
                field.truncate(end);
                field.push('…');
                break;
            }
        }
        if field.is_empty() { "body".to_owned() } else { field }
    }

    fn named(&self) -> String {
        format!("`{}`", self.field())
    }
}

/// Whether a number is on record as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Yes,
    TooLarge,
    Changed,
}

/// Whether `text` writes a number that is kept: an integer of 64 bits, or one with a fraction or an
/// exponent that the nearest double, written with as many digits, writes the same.
fn kept(text: &str) -> Kept {
    if !text.contains(['.', 'e', 'E']) {
        // What is no number at all is the other reader's.
        let digits = text.strip_prefix('-').unwrap_or(text);
        let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let held = text.parse::<u64>().is_ok() || text.parse::<i64>().is_ok() || !whole;
        return if held { Kept::Yes } else { Kept::TooLarge };
    }
    let Some(written) = Decimal::read(text.trim_start_matches('-')) else { return Kept::Yes };
    if written.digits.is_empty() {
        return Kept::Yes;
    }
    let Ok(number) = text.parse::<f64>() else { return Kept::Yes };
    if written.digits.len() > MAX_DIGITS || !number.is_finite() {
        return Kept::Changed;
    }
    let again = format!("{:.*e}", written.digits.len() - 1, number.abs());
    let same = Decimal::read(&again) == Some(written);
    if same { Kept::Yes } else { Kept::Changed }
}

/// A number by the digits that matter, and the power of ten of the first of them.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    digits: String,
    power: i64,
}

impl Decimal {
    /// The number that `text` writes, without its sign; none when it writes none.
    fn read(text: &str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole, fraction].concat();
        let digits = all.trim_start_matches('0');
        let leading = i64::try_from(all.len() - digits.len()).ok()?;
        let digits = digits.trim_end_matches('0');
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // An exponent beyond all numbers is still one.
        let exponent: i64 = exponent.parse().unwrap_or(i64::from(i32::MAX));
        let first = i64::try_from(whole.len()).ok()? - leading;
        let power = exponent.saturating_add(first);
        Some(Self { digits: digits.to_owned(), power })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn refused(text: &str) -> Problem {
        let problem = read_json(text.as_bytes()).expect_err(text);
        assert!((400..500).contains(&problem.code.status()), "{problem:?}");
        assert!(problem.message.contains(';'), "no remedy: {problem}");
        problem
    }

    #[test]
    fn numbers_that_would_be_changed_are_refused_by_name_and_value() {
        for (text, field) in [
            (r#"{"labels":{"n":18446744073709551616}}"#, "labels.n"),
            (r#"{"data":[1,{"a.b":-9223372036854775809}]}"#, "data[1].a.b"),
            (r"[0.1234567890123456789]", "[0]"),
            (r#"{"n":9007199254740993.0}"#, "n"),
            (r#"{"n":1e400}"#, "n"),
            (r#"{"n":1e-400}"#, "n"),
            (r#"{"n":1e99999999999999999999}"#, "n"),
        ] {
            let problem = refused(text);
            assert_eq!((problem.code, problem.field.as_deref()), (Code::InvalidField, Some(field)));
        }
        let long = format!("{{\"n\":{}}}", "9".repeat(5_000));
        assert!(refused(&long).message.len() < 300);
        assert!(refused(r#"{"n":18446744073709551616}"#).message.contains("18446744073709551616"));
    }

    #[test]
    fn numbers_that_are_kept_are_read() {
        for text in [
            "0",
            "-0",
            "1",
            "-1",
            "18446744073709551615",
            "-9223372036854775808",
            "720.0",
            "1.50",
            "0.1",
            "1e2",
            "1E+2",
            "2.5e-3",
            "0.0",
            "0e5",
            "-0.0",
            "0.30000000000000004",
            "0.10000000000000001",
            "0.10000000000000000555",
            "1.7976931348623157e308",
            "5e-324",
        ] {
            assert!(read_json(text.as_bytes()).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_name_that_comes_twice_is_refused_however_it_is_written() {
        for (text, field) in [
            (r#"{"a":1,"a":1}"#, "a"),
            (r#"{"labels":{"x":{},"\u0078":[]}}"#, "labels.x"),
            (r#"[{"b":1},{"b":1,"c":2, "b" :1}]"#, "[1].b"),
        ] {
            assert_eq!(refused(text).field.as_deref(), Some(field));
        }
        assert_eq!(read_json(br#"[{"b":1},{"b":1}]"#).expect("sound"), json!([{"b":1},{"b":1}]));
        refused(r#"{"labels":{"$serde_json::private::RawValue":"[1]"}}"#);
        refused(r#"{"\u0024serde_json::private::Number":"1"}"#);
    }

    #[test]
    fn levels_are_counted_and_the_limit_is_named() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(read_json(nested(MAX_LEVELS).as_bytes()).is_ok());
        assert!(refused(&nested(MAX_LEVELS + 1)).message.contains("100"));
        let deep = r#"{"a":"#.repeat(100_000);
        assert!(refused(&deep).message.contains("100"));
    }

    #[test]
    fn what_is_no_json_is_said_by_the_other_reader() {
        for text in [
            "",
            "{",
            "[1,",
            "{\"a\"",
            "\"\\",
            "\"\\u12",
            "nul",
            "1 2",
            "{\"a\":1,}",
            "[,]",
            "-",
            "--1",
            "1.2.3",
            "1e",
            ".5",
            "\u{feff}{}",
            "\"\\ud800\"",
            "{\"\\ud800\":1}",
            "\"\n\"",
            "'a'",
        ] {
            assert_eq!(refused(text).code, Code::InvalidJson, "{text}");
        }
        assert_eq!(read_json(b"{\"a\":\"\xff\"}").expect_err("no UTF-8").code, Code::InvalidJson);
    }

    proptest! {
        #[test]
        fn what_serde_writes_is_read_as_it_is(number in any::<f64>(), int in any::<i64>(), text in any::<String>()) {
            let value = json!({ "n": number, "i": int, text.clone(): [text] });
            let read = read_json(value.to_string().as_bytes());
            prop_assert_eq!(read.map_err(|problem| problem.message), Ok(value));
        }

        #[test]
        fn no_text_is_more_than_it_can_take(text in "[\\[\\]{}:,\"\\\\0-9eE.+a-u -]{0,60}") {
            if let Err(problem) = read_json(text.as_bytes()) {
                prop_assert!(problem.code.status() < 500);
            } else {
                prop_assert!(serde_json::from_str::<Value>(&text).is_ok());
            }
        }
    }
}
