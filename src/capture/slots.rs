//! Owns the order in which captures get the places of those that are under way at the same time: callers
//! take turns, each caller's own captures in the order in which they were asked for, and no caller has
//! more than its share.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Captures;
use crate::run::Caller;
use crate::runs::Work;

/// The places. Clones are the same ones.
#[derive(Clone, Debug)]
pub(super) struct Slots(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    free: usize,
    /// Callers who have places or wait for some.
    callers: HashMap<String, Line>,
    /// Callers who wait, the one whose turn is next first.
    turns: VecDeque<String>,
}

/// One caller's.
#[derive(Debug, Default)]
struct Line {
    held: usize,
    /// As the caller's last request found it.
    most: usize,
    waiting: VecDeque<oneshot::Sender<Slot>>,
}

/// A place, until this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    account: String,
}

impl Captures {
    /// A place among the captures under way, when it is the turn of the caller whose `work` it is.
    pub(super) async fn slot(&self, work: &Work) -> Slot {
        let most = self.0.config.borrow().capture_share();
        self.0.slots.take(&work.run.opening.caller, most).await
    }
}

impl Slots {
    pub(super) fn new(places: usize) -> Self {
        Self(Arc::new(Mutex::new(State { free: places, ..State::default() })))
    }

    /// How many are free.
    pub(super) fn free(&self) -> usize {
        self.lock().free
    }

    /// A place for `caller`, who may have `most` at the same time. Whoever stops waiting leaves the line.
    pub(super) async fn take(&self, caller: &Caller, most: usize) -> Slot {
        let account = caller.account();
        let (place, handed_out) = oneshot::channel();
        let lost = {
            let mut state = self.lock();
            let line = state.callers.entry(account.clone()).or_default();
            line.most = most.max(1);
            line.waiting.retain(|one| !one.is_closed());
            line.waiting.push_back(place);
            if !state.turns.contains(&account) {
                state.turns.push_back(account);
            }
            state.hand_out(self)
        };
        drop(lost);
        handed_out.await.expect("who waits is handed a place, or stops waiting")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Hand out free places by turns. The answer is those whose taker is gone, to be dropped when the
    /// state is not locked any more.
    fn hand_out(&mut self, slots: &Slots) -> Vec<Slot> {
        let mut lost = Vec::new();
        while self.free > 0 {
            let callers = &self.callers;
            let may = |account: &String| callers.get(account).is_some_and(Line::may_have_more);
            let Some(turn) = self.turns.iter().position(may) else { break };
            let account = self.turns.remove(turn).expect("it was just found");
            let line = self.callers.get_mut(&account).expect("it was just found");
            let place = line.waiting.pop_front().expect("it waits");
            if !line.waiting.is_empty() {
                self.turns.push_back(account.clone());
            }
            line.held += 1;
            self.free -= 1;
            lost.extend(place.send(Slot { slots: slots.clone(), account }).err());
        }
        lost
    }
}

impl Line {
    fn may_have_more(&self) -> bool {
        self.held < self.most && !self.waiting.is_empty()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let lost = {
            let mut state = self.slots.lock();
            state.free += 1;
            if let Some(line) = state.callers.get_mut(&self.account) {
                line.held -= 1;
                // Callers come and go; those who hold nothing and wait for nothing are forgotten.
                if line.held == 0 && line.waiting.is_empty() {
                    state.callers.remove(&self.account);
                }
            }
            state.hand_out(&self.slots)
        };
        drop(lost);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;

    fn caller(uid: u32) -> Caller {
        Caller::Socket { uid, gid: uid, pid: None }
    }

    #[test]
    fn callers_take_turns_and_none_has_more_than_its_share() {
        let slots = Slots::new(3);
        let (greedy, other, third) = (caller(1), caller(2), caller(3));
        let mut asked: Vec<_> = (0..6).map(|_| Box::pin(slots.take(&greedy, 2))).collect();
        let mut ready = |which: usize| asked[which].as_mut().now_or_never();
        let (first, second) = (ready(0).expect("free"), ready(1).expect("free"));
        assert!((2..5).all(|which| ready(which).is_none()), "it has its share");
        assert_eq!(slots.free(), 1);
        let theirs = slots.take(&other, 2).now_or_never().expect("left for others");
        let (mut fourth, mut fifth) = (pin!(slots.take(&other, 2)), pin!(slots.take(&third, 2)));
        assert!(
            fourth.as_mut().now_or_never().is_none() && fifth.as_mut().now_or_never().is_none()
        );
        // Six wait: four of the first caller's, who came first, and one each of two others.
        drop(first);
        let again = ready(2).expect("its turn");
        drop(second);
        let fourth = fourth.now_or_never().expect("its turn, and not the first caller's");
        drop(theirs);
        let fifth = fifth.now_or_never().expect("its turn");
        assert!(ready(3).is_none());
        drop((again, fourth));
        assert!(ready(3).is_some() && ready(4).is_some());
        drop((asked, fifth));
        assert_eq!(slots.free(), 3);
        let state = slots.lock();
        assert!(state.callers.is_empty() && state.turns.is_empty(), "nobody is remembered");
    }

    #[test]
    fn whoever_stops_waiting_loses_no_place() {
        let slots = Slots::new(1);
        let (one, two) = (caller(1), caller(2));
        let held = slots.take(&one, 1).now_or_never().expect("free");
        for _ in 0..100 {
            let mut gone = Box::pin(slots.take(&two, 1));
            assert!(gone.as_mut().now_or_never().is_none());
        }
        assert_eq!(slots.lock().callers[&two.account()].waiting.len(), 1, "the last one");
        drop(held);
        assert_eq!(slots.free(), 1);
        slots.take(&one, 1).now_or_never().expect("free");
        assert!(slots.lock().turns.is_empty());
    }
}
