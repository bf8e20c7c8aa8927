//! Owns the reading of requests: from a JSON body to domain values, with every limit checked and
//! every problem named. Knows no HTTP and starts nothing.

mod fields;
mod page;
mod run;
mod screenshot;

pub use run::{SealRequest, read_events, read_run_spec};
pub use screenshot::{ScreenshotRequest, UNSUPPORTED};
