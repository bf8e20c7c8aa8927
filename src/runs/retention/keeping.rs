//! Owns until when runs are kept: the promise recorded with each, and the configuration in force.

use jiff::Timestamp;

use super::Retention;
use crate::evidence::RunSummary;
use crate::retention::Retention as Promise;

impl Retention {
    /// The time before which `run` must not be purged. A time of sealing that is none keeps it for
    /// ever.
    pub fn kept_until(&self, run: &RunSummary) -> Timestamp {
        self.kept_for(run.retention.as_ref(), &run.sealed_at)
    }

    /// The same of a run that was sealed then, with what was `recorded` of its keeping.
    pub(super) fn kept_for(&self, recorded: Option<&Promise>, sealed_at: &str) -> Timestamp {
        let Ok(sealed_at) = sealed_at.parse() else { return Timestamp::MAX };
        let class = recorded.and_then(|recorded| recorded.class.as_deref());
        let days = self.0.context.config.borrow().retention.days(class);
        Promise::kept_until(recorded, days, sealed_at)
    }
}
