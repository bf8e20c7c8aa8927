//! Owns the doing of the same to many things at a time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What `work` makes of each of `things`, in their order, by so many `workers` at a time.
pub(super) fn in_order<T: Sync, R: Send>(
    workers: usize,
    things: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let some = || {
        let taken = || {
            let index = next.fetch_add(1, Ordering::Relaxed);
            things.get(index).map(|thing| (index, thing))
        };
        std::iter::from_fn(taken).map(|(index, thing)| (index, work(thing))).collect::<Vec<_>>()
    };
    let mut results = thread::scope(|scope| {
        let others = workers.min(things.len());
        let others: Vec<_> = (1..others).map(|_| scope.spawn(some)).collect();
        let mut results = some();
        for other in others {
            results.extend(other.join().expect("reading and hashing does not panic"));
        }
        results
    });
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::in_order;

    #[test]
    fn each_is_done_once_and_stays_in_its_place() {
        for (workers, count) in [(1, 0), (2, 0), (1, 5), (2, 1), (3, 100), (200, 100)] {
            let things: Vec<usize> = (0..count).collect();
            let done = in_order(workers, &things, |thing| thing * 2);
            assert_eq!(done, (0..count).map(|thing| thing * 2).collect::<Vec<_>>());
        }
    }
}
