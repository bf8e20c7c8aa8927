//! Owns what the kernel said of the host's clock while a run was recorded, over all its events.

use std::fmt;

use super::text::count;
use crate::clock::TimeQuality;

/// What was said, added up.
#[derive(Debug, Default)]
pub(super) struct ClockSaid {
    synchronised: u64,
    unsynchronised: u64,
    /// Events with no word of the kernel's.
    silent: u64,
    /// The largest error of a synchronised clock, in microseconds.
    max_error_us: u64,
}

impl ClockSaid {
    /// Take in what one event says.
    pub(super) fn add(&mut self, said: Option<TimeQuality>) {
        match said {
            Some(TimeQuality { synchronised: true, max_error_us }) => {
                self.synchronised += 1;
                self.max_error_us = self.max_error_us.max(max_error_us);
            }
            Some(TimeQuality { synchronised: false, .. }) => self.unsynchronised += 1,
            None => self.silent += 1,
        }
    }
}

impl fmt::Display for ClockSaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.synchronised + self.unsynchronised + self.silent;
        f.write_str("the host’s own, UTC; ")?;
        let off = self.max_error_us.div_ceil(100);
        let off = format!("at most {}.{} ms off", off / 10, off % 10);
        if all > 0 && self.synchronised == all {
            return write!(f, "synchronised, {off}");
        }
        if all > 0 && self.unsynchronised == all {
            return f.write_str("NOT synchronised: its error is not known");
        }
        if self.synchronised + self.unsynchronised == 0 {
            return f.write_str("whether it was synchronised is not on record");
        }
        let mut parts = Vec::new();
        if self.unsynchronised > 0 {
            parts.push(format!("NOT synchronised at {}", count(self.unsynchronised, "event")));
        }
        if self.synchronised > 0 {
            parts.push(format!("synchronised at {}, {off}", count(self.synchronised, "event")));
        }
        if self.silent > 0 {
            parts.push(format!("not on record at {}", count(self.silent, "event")));
        }
        f.write_str(&parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_of_the_kernel_is_told() {
        let said = |events: &[Option<(bool, u64)>]| {
            let mut said = ClockSaid::default();
            for event in events {
                said.add(event.map(|(synchronised, max_error_us)| TimeQuality {
                    synchronised,
                    max_error_us,
                }));
            }
            said.to_string().trim_start_matches("the host’s own, UTC; ").to_owned()
        };
        let (good, worse, bad) =
            (Some((true, 900)), Some((true, 13_250)), Some((false, 16_000_000)));
        assert_eq!(said(&[good, worse]), "synchronised, at most 13.3 ms off");
        assert_eq!(said(&[bad, bad]), "NOT synchronised: its error is not known");
        assert_eq!(said(&[]), "whether it was synchronised is not on record");
        assert_eq!(said(&[None]), "whether it was synchronised is not on record");
        assert_eq!(
            said(&[bad, good, None]),
            "NOT synchronised at 1 event; synchronised at 1 event, at most 0.9 ms off; not on \
             record at 1 event"
        );
    }
}
