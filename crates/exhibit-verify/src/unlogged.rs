//! Owns which lines of a chain the log did not hold when the run was taken up after a crash, by the word
//! of `run.recovered`. Only their own chain binds them: whoever has the files can have written them, so
//! they are shown as such and count for nothing.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::chain::{Line, RECOVERED};
use crate::run::Actor;

/// Lines that the log did not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unlogged(Vec<(u64, RangeInclusive<u64>)>);

impl Unlogged {
    /// Take in the event in line `number`, in order. A recovery that lies among lines which a later one
    /// names is as little established as they are.
    pub fn take(&mut self, number: u64, event: &Line) {
        if event.kind != RECOVERED || event.actor != Actor::Exhibit {
            return;
        }
        let bound = |name: &str| event.data.get("unlogged")?.get(name).and_then(Value::as_u64);
        let (Some(first), Some(last)) = (bound("first"), bound("last")) else { return };
        let lines = first..=last.min(number.saturating_sub(1));
        self.0.retain(|(told_in, _)| !lines.contains(told_in));
        self.0.push((number, lines));
    }

    /// Whether the log did not hold that line.
    pub fn holds(&self, line: u64) -> bool {
        self.0.iter().any(|(_, lines)| lines.contains(&line))
    }

    /// Whether the log held all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many lines it did not hold.
    pub fn count(&self) -> u64 {
        let length = |lines: &RangeInclusive<u64>| (lines.end() + 1).saturating_sub(*lines.start());
        self.0.iter().map(|(_, lines)| length(lines)).sum()
    }

    /// Those lines in words: `3 to 5, 9 to 9`.
    pub fn words(&self) -> String {
        let words = |lines: &RangeInclusive<u64>| format!("{} to {}", lines.start(), lines.end());
        self.0.iter().map(|(_, lines)| words(lines)).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(recoveries: &[(u64, u64, u64)]) -> Unlogged {
        let mut unlogged = Unlogged::default();
        for (number, first, last) in recoveries {
            let line = json!({
                "sequence": number, "time": "", "monotonic_ms": 0, "actor": "exhibit",
                "kind": RECOVERED, "data": { "unlogged": { "first": first, "last": last } },
                "previous": "0".repeat(64),
            });
            unlogged.take(*number, &serde_json::from_value(line).expect("an event"));
        }
        unlogged
    }

    #[test]
    fn lines_are_told_that_no_log_held() {
        let one = told(&[(6, 3, 5), (12, 9, 10)]);
        assert_eq!((one.count(), one.words().as_str()), (5, "3 to 5, 9 to 10"));
        assert!(one.holds(3) && one.holds(10) && !one.holds(6) && !one.holds(11));
        assert!(told(&[]).is_empty());
    }

    #[test]
    fn a_forged_recovery_takes_nothing_from_what_the_log_held() {
        // Line 4 lies among those that line 6 names, and claims the honest lines 1 to 3.
        let one = told(&[(4, 1, 3), (6, 4, 5)]);
        assert_eq!(one.words(), "4 to 5");
        assert!(!one.holds(2));
        // One that names itself, or what comes after it, reaches no further than the line before it.
        assert_eq!(told(&[(4, 2, u64::MAX)]).words(), "2 to 3");
        assert_eq!(told(&[(1, 5, 9)]).count(), 0);
    }
}
