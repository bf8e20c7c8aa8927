//! Owns which of two lists' entries are the same one: first what is alike, wherever it stands (after
//! Paul Heckel, "A technique for isolating differences between files", 1978), then what has the
//! same name, then what stands in the same gap. Every pass takes time and memory in proportion to
//! the lists, but for sorting.

use std::collections::HashMap;
use std::hash::Hash;

/// What an entry is matched by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sign {
    /// All of it.
    pub(super) whole: u64,
    /// What it is called, together with its kind; none when it has no name.
    pub(super) name: Option<u64>,
    /// Its kind, if one of a kind can become another in the same gap.
    pub(super) kind: Option<u64>,
}

/// Which entries of two lists belong together.
#[derive(Debug)]
pub(super) struct Matching {
    /// For each entry of the first list, that of the second.
    pub(super) forward: Vec<Option<usize>>,
    /// For each entry of the second list, that of the first.
    pub(super) back: Vec<Option<usize>>,
}

impl Matching {
    /// Match two lists.
    pub(super) fn of(before: &[Sign], after: &[Sign]) -> Self {
        let mut matching =
            Self { forward: vec![None; before.len()], back: vec![None; after.len()] };
        matching.unique(before, after);
        matching.neighbours(before, after);
        matching.grouped(before, after, false, |sign, _| Some(sign.whole));
        matching.grouped(before, after, false, |sign, gap| sign.name.map(|name| (gap, name)));
        matching.grouped(before, after, true, |sign, _| sign.name);
        matching.grouped(before, after, false, |sign, gap| sign.kind.map(|kind| (gap, kind)));
        matching
    }

    fn pair(&mut self, before: usize, after: usize) {
        self.forward[before] = Some(after);
        self.back[after] = Some(before);
    }

    /// What is there once on each side.
    fn unique(&mut self, before: &[Sign], after: &[Sign]) {
        self.grouped(before, after, true, |sign, _| Some(sign.whole));
    }

    /// What is alike and stands next to a pair.
    fn neighbours(&mut self, before: &[Sign], after: &[Sign]) {
        let alike = |this: &Self, one: usize, other: usize| {
            this.forward[one].is_none()
                && this.back[other].is_none()
                && before[one].whole == after[other].whole
        };
        // The beginnings and the ends of both lists count as a pair.
        for one in 0..before.len() {
            let next = match one.checked_sub(1) {
                None => Some(0),
                Some(previous) => self.forward[previous].map(|at| at + 1),
            };
            if let Some(other) = next.filter(|other| *other < after.len())
                && alike(self, one, other)
            {
                self.pair(one, other);
            }
        }
        for one in (0..before.len()).rev() {
            let next = match self.forward.get(one + 1) {
                None => after.len().checked_sub(1),
                Some(next) => next.and_then(|at| at.checked_sub(1)),
            };
            if let Some(other) = next
                && alike(self, one, other)
            {
                self.pair(one, other);
            }
        }
    }

    /// Pair what has the same key and no partner yet, in its order; with `once` only where the key
    /// is there once on each side. A key may depend on the gap: the place, in the second list, of
    /// the last pair before it.
    fn grouped<K: Hash + Eq>(
        &mut self,
        before: &[Sign],
        after: &[Sign],
        once: bool,
        key: impl Fn(&Sign, Option<usize>) -> Option<K>,
    ) {
        let mut groups: HashMap<K, (Vec<usize>, Vec<usize>)> = HashMap::new();
        let mut gap = None;
        for (place, sign) in before.iter().enumerate() {
            match self.forward[place] {
                Some(partner) => gap = Some(partner),
                None => {
                    if let Some(key) = key(sign, gap) {
                        groups.entry(key).or_default().0.push(place);
                    }
                }
            }
        }
        let mut gap = None;
        for (place, sign) in after.iter().enumerate() {
            if self.back[place].is_some() {
                gap = Some(place);
            } else if let Some(group) = key(sign, gap).and_then(|key| groups.get_mut(&key)) {
                group.1.push(place);
            }
        }
        for (ones, others) in groups.into_values() {
            if once && (ones.len(), others.len()) != (1, 1) {
                continue;
            }
            ones.into_iter().zip(others).for_each(|(one, other)| self.pair(one, other));
        }
    }

    /// Entries of the second list that stand in another order than their partners: the fewest that
    /// can be said to have moved.
    pub(super) fn moved(&self) -> Vec<usize> {
        let partners: Vec<usize> = self.forward.iter().flatten().copied().collect();
        // The longest rising run stays; `ends[n]` is the place of the lowest end of one of n + 1.
        let mut ends: Vec<usize> = Vec::new();
        let mut earlier = vec![None; partners.len()];
        for (place, partner) in partners.iter().enumerate() {
            let length = ends.partition_point(|end| partners[*end] < *partner);
            earlier[place] = length.checked_sub(1).map(|before| ends[before]);
            if length == ends.len() {
                ends.push(place);
            } else {
                ends[length] = place;
            }
        }
        let mut stays = vec![false; partners.len()];
        let mut at = ends.last().copied();
        while let Some(place) = at {
            stays[place] = true;
            at = earlier[place];
        }
        let moved = partners.iter().zip(stays).filter(|(_, stays)| !stays);
        let mut moved: Vec<usize> = moved.map(|(partner, _)| *partner).collect();
        moved.sort_unstable();
        moved
    }
}
