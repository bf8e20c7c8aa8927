//! Owns why a run could not be sealed.

pub use exhibit_verify::error::StoreError;
use exhibit_verify::finding::Finding;

use super::draft::Draft;
use super::sign::SignError;

/// A run that could not be sealed, with the reason. The run is still open: nothing recorded is
/// lost, and [`Draft::seal`] can be tried again.
#[derive(Debug, thiserror::Error)]
#[error("the run {} could not be sealed; it stays open", .draft.id())]
pub struct SealError {
    /// The run.
    pub draft: Box<Draft>,
    /// What stopped it.
    pub source: SealCause,
}

/// What stopped the sealing of a run.
#[derive(Debug, thiserror::Error)]
pub enum SealCause {
    /// The disk.
    #[error("its files could not be written")]
    Store(#[from] StoreError),
    /// The key.
    #[error("it could not be signed")]
    Sign(#[from] SignError),
    /// What was read back from disk does not verify.
    #[error("what was read back does not verify, first: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    NotVerified(Vec<Finding>),
}
