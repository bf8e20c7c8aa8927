//! Owns what is to be made of a page that is ready, and within which limits.

use std::path::Path;

use tokio::time::Instant;

use crate::settings::{PageSettings, Product};

/// What is to be made.
pub(super) struct ProductRequest<'a> {
    pub(super) settings: &'a PageSettings,
    pub(super) product: &'a Product,
    /// Whether page snapshots are wanted too.
    pub(super) snapshot: bool,
    /// Largest picture in device pixels.
    pub(super) max_pixels: u64,
    /// When it must be made.
    pub(super) until: Instant,
    /// Folder on whose file system a large document waits.
    pub(super) spool: &'a Path,
    /// When it must be there.
    pub(super) deadline: Instant,
}
