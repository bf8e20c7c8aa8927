//! Owns times as they are written on the command line.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A day, which begins at midnight UTC, or a time.
///
/// # Errors
/// How one is written.
pub fn time(text: &str) -> Result<Timestamp, String> {
    let day = text.parse::<Date>().and_then(|day| day.to_zoned(TimeZone::UTC));
    day.map(|day| day.timestamp()).or_else(|_| text.parse()).map_err(|_| {
        "write a day such as 2026-11-01, or a time such as 2026-11-01T08:00:00Z".into()
    })
}
