//! Owns the daemon's own log: where it goes and in which form. It is not evidence.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};
use crate::error::{Code, Problem};

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
    let human = match settings.format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let begun = if human {
        log.with_ansi(std::io::stderr().is_terminal()).try_init()
    } else {
        log.json().flatten_event(true).try_init()
    };
    if begun.is_err() {
        tracing::debug!("a log was begun before");
    }
    Ok(())
}
