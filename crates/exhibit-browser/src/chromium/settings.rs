//! Owns how the local browser is run: `[browser]` in the configuration.

use std::path::PathBuf;
use std::time::Duration;

/// `[browser]`
#[derive(Clone, Debug, PartialEq)]
pub struct BrowserSettings {
    /// The browser's binary; searched for when not given.
    pub path: Option<PathBuf>,
    /// Whether Chromium's own sandbox is on. Off only for a root CI.
    pub sandbox: bool,
    /// Private folder for profiles and temporary files; emptied at start.
    pub runtime: PathBuf,
    /// Number of browser contexts kept ready ahead of need.
    pub prepared: usize,
    /// Captures after which the browser is replaced by a fresh one.
    pub recycle_after: u32,
    /// How often the browser is asked whether it is alive.
    pub probe_every: Duration,
    /// How long it may take to answer before it counts as hung, and to start.
    pub patience: Duration,
}

impl Default for BrowserSettings {
    fn default() -> Self {
        Self {
            path: None,
            sandbox: true,
            runtime: "/run/exhibit/browser".into(),
            prepared: 2,
            recycle_after: 500,
            probe_every: Duration::from_secs(5),
            patience: Duration::from_secs(20),
        }
    }
}
