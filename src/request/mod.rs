//! Owns the reading of requests: from a JSON body to domain values, with every limit checked and
//! every problem named. Knows no HTTP and starts nothing.

mod fields;
mod page;
mod pdf;
mod run;
mod screenshot;

pub use pdf::read_pdf;
pub use run::{SealRequest, read_events, read_run_spec};
pub use screenshot::{UNSUPPORTED, read_screenshot};

use crate::settings::{CaptureSettings, Stage};

/// A request for a capture that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptureRequest {
    /// The page, and what is to be made of it.
    pub settings: CaptureSettings,
    /// Whether the answer is JSON with base64 instead of the bytes themselves.
    pub json: bool,
    /// Whether the answer also tells of the page's title, description and the like.
    pub metadata: bool,
    /// Stage named in the body, where the endpoint has one.
    pub stage: Option<Stage>,
    /// Spellings that were accepted in place of a field's name: (sent, meant).
    pub aliases: Vec<(&'static str, &'static str)>,
    /// Fields that were accepted and not applied.
    pub ignored: Vec<&'static str>,
}
