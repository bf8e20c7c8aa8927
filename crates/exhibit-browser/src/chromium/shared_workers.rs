//! Owns whose the shared workers of a browser are. A shared worker belongs to no page, but to a context:
//! it is watched with the page of that context, as the page's own workers are, and waits until it is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::page::Page;
use super::pipe::RawEvent;
use super::watcher::Owner;

/// Whose they are, by context.
#[derive(Default)]
pub(super) struct SharedWorkers(Mutex<Owners>);

#[derive(Default)]
struct Owners {
    owners: HashMap<String, Owner>,
    /// Number of those there were.
    seen: u32,
}

/// Numbers of shared workers among the parts of a page, which no other part reaches.
const NUMBERS: u32 = 1 << 30;

impl SharedWorkers {
    /// Watch the shared workers of the context of `page` with it.
    pub(super) fn follow(&self, page: &Page) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.owners.retain(|_, owner| owner.is_there());
        known.owners.insert(page.context().to_owned(), page.owner());
    }

    /// Watch the one that `event` tells of, of this context; false when its page is gone, and nobody
    /// has it go on.
    pub(super) fn adopt(&self, context: &str, event: &RawEvent) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.seen = known.seen.wrapping_add(1) % NUMBERS;
        let number = NUMBERS + known.seen;
        known.owners.get(context).is_some_and(|owner| owner.adopt(event, number))
    }
}

impl std::fmt::Debug for SharedWorkers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedWorkers").finish_non_exhaustive()
    }
}
