//! Owns what is asked of the pipeline and what comes back: a request with its caller, a capture that
//! is on disk, a refusal.

use serde_json::Value;

use crate::backend::{BackendName, CaptureError};
use crate::blob::Blob;
use crate::digest::Digest;
use crate::error::Problem;
use crate::id::RunId;
use crate::request::{
    CaptureRequest, read_inspect, read_observe, read_og_image, read_pdf, read_screenshot,
};
use crate::run::Caller;
use crate::settings::Stage;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureKind {
    /// A picture.
    Screenshot,
    /// A printed document.
    Pdf,
    /// A social card.
    OgImage,
    /// A list of what is in a page.
    Inspect,
    /// What can be done in a page.
    Observe,
}

impl CaptureKind {
    /// The kind that requests call `name`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "screenshot" => Self::Screenshot,
            "pdf" => Self::Pdf,
            "og-image" => Self::OgImage,
            "inspect" => Self::Inspect,
            "observe" => Self::Observe,
            _ => return None,
        })
    }

    /// The hosted API's endpoint for it.
    pub(super) fn endpoint(self) -> &'static str {
        match self {
            Self::Screenshot => "/screenshot",
            Self::Pdf => "/pdf",
            Self::OgImage => "/og-image",
            Self::Inspect => "/inspect",
            Self::Observe => "/observe",
        }
    }

    pub(super) fn read(self, body: Value) -> Result<CaptureRequest, Problem> {
        match self {
            Self::Screenshot => read_screenshot(body),
            Self::Pdf => read_pdf(body),
            Self::OgImage => read_og_image(body),
            Self::Inspect => read_inspect(body),
            Self::Observe => read_observe(body),
        }
    }
}

/// A capture asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What is asked for.
    pub kind: CaptureKind,
    /// Who asks.
    pub caller: Caller,
    /// The run it belongs to; a run of its own when none is named.
    pub run: Option<RunId>,
    /// The stage, when it was named outside the body.
    pub stage: Option<Stage>,
    /// Who is to take it, when that was named.
    pub backend: Option<BackendName>,
    /// The body of the request.
    pub body: Value,
}

/// A capture taken and on disk.
#[derive(Debug)]
pub struct Done {
    /// The picture or document.
    pub bytes: Blob,
    /// Its media type.
    pub media_type: &'static str,
    /// Whether the caller asked for JSON.
    pub json: bool,
    /// What is told of the page, where that is what was asked for.
    pub report: Option<Value>,
    /// The run.
    pub run: RunId,
    /// Who took it.
    pub backend: BackendName,
    /// SHA-256 of the bytes.
    pub sha256: Digest,
    /// HTTP status of the page; none for a page of the caller's own.
    pub status: Option<u16>,
    /// Milliseconds from request to durable evidence.
    pub duration_ms: u64,
    /// What the page says of itself, if that was asked for.
    pub metadata: Option<Value>,
    /// What is on record, for the caller.
    pub evidence: Value,
}

/// A capture that was refused or failed, and where that is on record, if it is.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub problem: Problem,
    /// The run in which the attempt is on record.
    pub evidence: Option<Value>,
}

impl From<CaptureError> for Box<Refused> {
    fn from(error: CaptureError) -> Self {
        Problem::from(error).into()
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self { problem, evidence: None }
    }
}

impl From<Problem> for Box<Refused> {
    fn from(problem: Problem) -> Self {
        Self::new(problem.into())
    }
}
