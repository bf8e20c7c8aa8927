//! Owns what one caller may have at a time, so that none can take what all the others need: a count of
//! shares by caller, each given back when it is dropped. How many there are, the configuration says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Code, Problem};
use crate::run::Caller;

/// What is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// Open runs.
    OpenRuns,
    /// Requests under way, and captures, which go on when their caller hangs up.
    Requests,
    /// Bytes of stored sequences.
    Stored,
    /// Open sessions.
    Sessions,
    /// Recordings under way.
    Recordings,
}

impl Quota {
    /// The key of the configuration.
    pub fn key(self) -> &'static str {
        match self {
            Self::OpenRuns => "quotas.open_runs",
            Self::Requests => "quotas.requests",
            Self::Stored => "quotas.stored",
            Self::Sessions => "quotas.sessions",
            Self::Recordings => "quotas.recordings",
        }
    }

    /// The refusal of a caller who has as much as `limit`.
    pub fn reached(self, limit: u64) -> Problem {
        let key = self.key();
        let (code, message) = match self {
            Self::OpenRuns => (
                Code::TooManyRuns,
                format!("{limit} runs of yours are open, which is `{key}`; seal some first"),
            ),
            Self::Requests => (
                Code::TooManyRequests,
                format!(
                    "{limit} requests of yours are under way, which is `{key}`; wait for some first"
                ),
            ),
            Self::Stored => (
                Code::QuotaExceeded,
                format!(
                    "your stored sequences would have more than {limit} bytes, which is `{key}`; \
                     delete some first"
                ),
            ),
            Self::Sessions => (
                Code::TooManySessions,
                format!("{limit} sessions of yours are open, which is `{key}`; close one first"),
            ),
            Self::Recordings => (
                Code::TooManyRecordings,
                format!(
                    "{limit} recordings of yours are under way, which is `{key}`; end one first"
                ),
            ),
        };
        Problem::new(code, message).field(key)
    }
}

/// Shares by caller. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Shares(Arc<Mutex<HashMap<String, usize>>>);

/// A share that is held until this is dropped.
#[derive(Debug)]
pub struct Share {
    shares: Shares,
    account: String,
}

impl Shares {
    /// Give `caller` a share of `quota` while it has fewer than `limit`, `before` of which it has by
    /// other means.
    ///
    /// # Errors
    /// See [`Quota::reached`].
    pub fn take(
        &self,
        caller: &Caller,
        quota: Quota,
        limit: usize,
        before: usize,
    ) -> Result<Share, Problem> {
        self.take_of(caller, quota, limit, before, |_| Ok(()))
    }

    /// [`Shares::take`], where `room` finds that there is room beside those that all callers hold.
    ///
    /// # Errors
    /// What `room` says; see [`Quota::reached`].
    pub fn take_of(
        &self,
        caller: &Caller,
        quota: Quota,
        limit: usize,
        before: usize,
        room: impl FnOnce(usize) -> Result<(), Problem>,
    ) -> Result<Share, Problem> {
        let account = caller.account();
        let mut held = self.lock();
        room(held.values().sum())?;
        let own = held.get(&account).copied().unwrap_or(0);
        if own + before >= limit {
            return Err(quota.reached(limit as u64));
        }
        held.insert(account.clone(), own + 1);
        drop(held);
        Ok(Share { shares: self.clone(), account })
    }

    /// How many shares all callers hold.
    pub fn held(&self) -> usize {
        self.lock().values().sum()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.shares.lock();
        match held.get_mut(&self.account) {
            Some(own) if *own > 1 => *own -= 1,
            // Callers come and go; those who hold nothing are forgotten.
            _ => drop(held.remove(&self.account)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_callers_shares_are_its_own_and_come_back() {
        let shares = Shares::default();
        let caller =
            |uid| Caller::Socket { uid, gid: uid, pid: Some(uid.try_into().expect("small")) };
        let take = |uid| shares.take(&caller(uid), Quota::Requests, 2, 0);
        let (first, second) = (take(1).expect("free"), take(1).expect("free"));
        let refused = take(1).expect_err("it has two");
        assert_eq!(
            (refused.code, refused.field.as_deref()),
            (Code::TooManyRequests, Some("quotas.requests"))
        );
        assert!(refused.message.contains("2 requests"), "{refused}");
        let other = take(2).expect("another caller's");
        assert_eq!(shares.held(), 3);
        drop(first);
        take(1).expect("free again");
        drop((second, other));
        assert_eq!(shares.held(), 0);
        assert!(shares.lock().is_empty(), "nobody is remembered");
        shares.take(&caller(1), Quota::OpenRuns, 2, 1).expect("one by other means");
        shares.take(&caller(1), Quota::OpenRuns, 2, 2).expect_err("two by other means");
    }
}
