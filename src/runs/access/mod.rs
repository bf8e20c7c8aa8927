//! Owns the reading of evidence: who may read which run, what they are given, and the access log, in
//! which every access stands before it is answered.

pub(in crate::runs) mod accessor;
mod bundle;
pub(in crate::runs) mod log;
mod report;
pub(in crate::runs) mod viewing;

use std::sync::Arc;

use self::log::AccessLog;
use super::catalog::Catalog;
use super::context::Context;
use super::integrity::Integrity;
use super::log::signing::Signing;
use super::registry::Registry;
use super::retention::decisions::Decisions;

/// What is shown and given out of a store's runs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Disclosure(Arc<Parts>);

/// What it works with.
#[derive(Debug)]
pub(in crate::runs) struct Parts {
    pub(in crate::runs) context: Arc<Context>,
    pub(in crate::runs) signing: Signing,
    pub(in crate::runs) access: AccessLog,
    pub(in crate::runs) decisions: Decisions,
    pub(in crate::runs) registry: Registry,
    pub(in crate::runs) integrity: Integrity,
    pub(in crate::runs) catalog: Catalog,
}

impl Disclosure {
    pub(in crate::runs) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The access log.
    pub fn access_log(&self) -> &AccessLog {
        &self.0.access
    }
}
