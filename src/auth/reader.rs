//! Owns whose runs a caller may look at.

use crate::config;
use crate::run::{Caller, Reader};

/// Whether `caller` may look at everybody's runs: root and the recorder's own user can read the
/// store anyway, others are named by the operator. Whoever merely may use the socket may not.
pub fn may_see_all(caller: &Caller, config: &config::Web) -> bool {
    let Caller::Socket { uid, .. } = caller else { return false };
    *uid == 0 || *uid == rustix::process::geteuid().as_raw() || config.viewers.contains(uid)
}

/// Whose runs `caller` may look at.
pub fn reader_of(caller: &Caller, config: &config::Web) -> Reader {
    if may_see_all(caller, config) { Reader::Everything } else { Reader::Own(caller.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_the_recorder_and_those_who_are_named_see_everything() {
        let socket = |uid| Caller::Socket { uid, gid: 7, pid: None };
        let own = rustix::process::geteuid().as_raw();
        let config = config::Web { viewers: vec![4_242], ..config::Config::default().web };
        for uid in [0, own, 4_242] {
            assert!(may_see_all(&socket(uid), &config), "{uid}");
        }
        // Neither the group, nor a key, nor a name that looks like a number makes a viewer.
        assert!(!may_see_all(&socket(4_243), &config));
        let key = Caller::Key { id: "4242".to_owned(), name: "root".to_owned() };
        assert!(!may_see_all(&key, &config) && !may_see_all(&Caller::Daemon, &config));
    }
}
