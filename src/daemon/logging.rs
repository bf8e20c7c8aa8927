//! Owns the daemon's own log: where it goes and in which form. It is not evidence. What pages and
//! agents say stands in it too, so that each line passes the same escape as all that is printed.

use std::io::{self, IsTerminal as _, Write};

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};
use crate::error::{Code, Problem};
use crate::shown::{shown_json, shown_within};

/// What the log's own colours begin with: an escape character, then one of these.
const COLOURS: [&str; 12] =
    ["[0m", "[1m", "[2m", "[3m", "[4m", "[31m", "[32m", "[33m", "[34m", "[35m", "[36m", "[37m"];

/// Begin to log to standard error.
///
/// # Errors
/// `invalid_config` for a filter that cannot be read. A log that was begun before stays.
pub fn start(settings: &Log) -> Result<(), Problem> {
    let filter = EnvFilter::try_new(&settings.filter).map_err(|error| {
        let message = format!(
            "`log.filter` is `{}`, which cannot be read ({error}); give one like `info` or \
             `exhibit=debug`",
            settings.filter
        );
        Problem::new(Code::InvalidConfig, message).field("log.filter").because(error)
    })?;
    let terminal = io::stderr().is_terminal();
    let form = match settings.format {
        LogFormat::Json => Form::Json,
        LogFormat::Auto if !terminal => Form::Json,
        LogFormat::Human | LogFormat::Auto if terminal => Form::Coloured,
        LogFormat::Human | LogFormat::Auto => Form::Plain,
    };
    let journal = move || Journal { form, to: io::stderr() };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(journal);
    let begun = if form == Form::Json {
        log.json().flatten_event(true).try_init()
    } else {
        log.with_ansi(form == Form::Coloured).try_init()
    };
    if begun.is_err() {
        tracing::debug!("a log was begun before");
    }
    Ok(())
}

/// How an event is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Plain,
    Coloured,
}

/// Takes one event, whole, with the line feed at its end.
struct Journal<W> {
    form: Form,
    to: W,
}

impl<W: Write> Write for Journal<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let shown = match self.form {
            Form::Json => shown_json(&line.replace('\n', "\\n")),
            Form::Plain => shown_within(line, usize::MAX),
            Form::Coloured => coloured(line),
        };
        // Where nobody reads the log, the daemon goes on.
        let _ = self.to.write_all(format!("{shown}\n").as_bytes());
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.to.flush();
        Ok(())
    }
}

/// `line` by the escape of all that is printed, but for the log's own colours.
fn coloured(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut shown = shown_within(parts.next().unwrap_or_default(), usize::MAX);
    for part in parts {
        let colour = COLOURS.iter().find(|colour| part.starts_with(**colour));
        match colour {
            Some(colour) => {
                shown.push('\u{1b}');
                shown.push_str(colour);
                shown.push_str(&shown_within(&part[colour.len()..], usize::MAX));
            }
            None => shown.push_str(&shown_within(&format!("\u{1b}{part}"), usize::MAX)),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    /// What agents and pages say.
    const EVIL: &str =
        "a\n2026-11-24 ERROR forged\r\u{1b}[2J\u{9b}1A\u{202e}\u{200b}\u{e0041}p\u{430}y";

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Made(Form, Kept);

    impl<'a> MakeWriter<'a> for Made {
        type Writer = Journal<Kept>;
        fn make_writer(&'a self) -> Self::Writer {
            Journal { form: self.0, to: self.1.clone() }
        }
    }

    /// What the log says of events that quote an agent in every way.
    fn logged(form: Form) -> String {
        let kept = Kept::default();
        let log = tracing_subscriber::fmt().with_writer(Made(form, kept.clone()));
        let tell = || {
            let error = io::Error::other(EVIL);
            tracing::warn!(text = EVIL, shown = %EVIL, debug = ?EVIL, %error, "said {EVIL}");
            let source: &dyn std::error::Error = &error;
            tracing::error!(error = source, "failed");
        };
        if form == Form::Json {
            tracing::subscriber::with_default(log.json().flatten_event(true).finish(), tell);
        } else {
            let log = log.with_ansi(form == Form::Coloured).finish();
            tracing::subscriber::with_default(log, tell);
        }
        let bytes = kept.0.lock().expect("no panic").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn nothing_in_the_journal_draws_or_begins_a_line_of_its_own() {
        for form in [Form::Plain, Form::Json, Form::Coloured] {
            let mut text = logged(form);
            assert_eq!(text.lines().count(), 2, "{text}");
            if form == Form::Coloured {
                assert!(text.contains("\u{1b}[33m"), "the level keeps its colour: {text:?}");
                for colour in COLOURS {
                    text = text.replace(&format!("\u{1b}{colour}"), "");
                }
            }
            let hidden = text.chars().find(|one| *one != '\n' && !crate::shown::is_seen(*one));
            assert_eq!(hidden, None, "{form:?}: {text:?}");
            assert!(!text.contains('\u{430}'), "{text}");
            if form == Form::Json {
                let event: serde_json::Value =
                    serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
                assert_eq!(event["text"], EVIL, "the value is the same");
            }
        }
    }

    #[test]
    fn a_log_that_nobody_reads_stops_nobody() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let mut journal = Journal { form: Form::Plain, to: Gone };
        assert!(journal.write_all(b"event\n").is_ok() && journal.flush().is_ok());
    }
}
