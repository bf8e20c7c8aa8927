//! Owns the question who may decide what is kept.

use crate::error::{Code, Problem};
use crate::run::Caller;

/// Let pass whoever may decide what is kept: root and the recorder's own user, over the socket. They
/// could take the files away in any case; through here it is on record.
pub(crate) fn operator(caller: &Caller) -> Result<(), Problem> {
    let own = rustix::process::geteuid().as_raw();
    if matches!(caller, Caller::Socket { uid, .. } if *uid == 0 || *uid == own) {
        return Ok(());
    }
    let message = format!(
        "only operators decide what is kept: root, or the daemon's own user (uid {own}), over its \
         Unix socket; have one of them do it"
    );
    Err(Problem::new(Code::NotAnOperator, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_the_recorder_are_operators_and_only_over_the_socket() {
        let socket = |uid| Caller::Socket { uid, gid: 0, pid: Some(1) };
        let own = rustix::process::geteuid().as_raw();
        assert!(operator(&socket(0)).is_ok() && operator(&socket(own)).is_ok());
        let key = Caller::Key { id: "0".to_owned(), name: "root".to_owned() };
        for other in [socket(65_534), key, Caller::Daemon] {
            let problem = operator(&other).expect_err("refused");
            assert_eq!(problem.code, Code::NotAnOperator, "{other:?}");
        }
    }
}
