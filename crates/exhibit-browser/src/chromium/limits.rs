//! Owns the limits of single calls to the browser.

use std::time::Duration;

/// Limit for a call that the browser answers by itself, without the page's help.
pub(super) const QUICK: Duration = Duration::from_secs(10);

/// Limit for one call that the page's renderer must answer.
pub(super) const PAGE_CALL: Duration = Duration::from_secs(30);
