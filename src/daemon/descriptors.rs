//! Owns how many files this process may have open, and how many of them connections may take: whoever
//! connects must not keep evidence from being written or read.

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::config::Config;

/// More are not asked for: programs that the daemon starts go through all that there could be.
const ENOUGH: u64 = 65_536;
/// What is kept for the store, its log and index, the browser's pipes, keys, watches and programs.
const RESERVE: u64 = 256;
/// What is kept for each run that may be open: its events, and a file that is being written.
const OF_A_RUN: u64 = 2;

/// Raise the soft limit to the hard one; how many files may be open from now on.
pub fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX).min(ENOUGH);
    let soft = limit.current.unwrap_or(u64::MAX);
    if soft >= hard {
        return soft;
    }
    let mut raised = limit;
    raised.current = Some(hard);
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => hard,
        Err(error) => {
            tracing::warn!(%error, soft, hard, "no more files may be open than at the start");
            soft
        }
    }
}

/// How many connections there may be at a time where `files` may be open: what is configured, or what
/// evidence leaves of them; a quarter at the least.
pub fn for_connections(files: u64, config: &Config) -> usize {
    let runs = u64::try_from(config.runs.max_open).unwrap_or(u64::MAX);
    let reserve = RESERVE.saturating_add(runs.saturating_mul(OF_A_RUN));
    let left = files.saturating_sub(reserve).max(files / 4);
    config.daemon.max_connections.min(usize::try_from(left).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_keeps_its_share_however_few_files_there_are() {
        let mut config = Config::default();
        assert_eq!(for_connections(65_536, &config), config.daemon.max_connections);
        assert_eq!(for_connections(1024, &config), 256);
        assert_eq!(for_connections(200, &config), 50);
        config.daemon.max_connections = 10;
        assert_eq!(for_connections(1024, &config), 10);
        config.daemon.max_connections = 5000;
        config.runs.max_open = 0;
        assert_eq!(for_connections(1024, &config), 768);
    }

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        let may = raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, Some(may));
        assert_eq!(may, limit.maximum.unwrap_or(u64::MAX).min(ENOUGH).max(may));
    }
}
