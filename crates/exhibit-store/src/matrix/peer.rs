//! The attacks on a store's log, judged by aics-tlog (PyPI), an implementation of the same
//! specifications by somebody else. `make tlog-peer` fetches it and runs this.

use std::path::Path;
use std::process::Command;

use super::{Scene, Victim, What, store};

/// Findings that are about the log itself, so that whoever reads logs must see them.
const OF_THE_LOG: [&str; 5] =
    ["log_root_mismatch", "log_tile_altered", "log_truncated", "log_rewritten", "log_unknown"];

#[test]
#[ignore = "needs aics-tlog of PyPI in target/tools/tlog-peer; `make tlog-peer` fetches it"]
fn another_implementation_rejects_what_we_reject() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let scene = Scene::new();
    let (mut accepted, mut rejected) = (0, 0);
    for row in store::ROWS {
        let victim = Victim::of(&scene);
        (row.does)(&victim);
        let (codes, intact) = victim.ours(row.what);
        let must_reject = codes.iter().any(|code| OF_THE_LOG.contains(code));
        if !intact && !must_reject {
            continue;
        }
        let mut peer = Command::new(root.join("target/tools/tlog-peer/bin/python"));
        peer.arg(root.join("tests/peer/tlog.py")).arg(scene.trust().join("log.vkey"));
        peer.arg(&victim.root);
        if row.what == What::Kept {
            peer.arg(scene.kept());
        }
        let done = peer.output().expect("run `make tlog-peer`, which fetches it");
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        println!("{}: {}", row.attack, said.trim_end());
        let verdict = if intact { "aics-tlog 0.2.1 accepts" } else { "rejected: " };
        assert!(said.starts_with(verdict), "{}: {codes:?}: {said}", row.attack);
        *(if intact { &mut accepted } else { &mut rejected }) += 1;
    }
    assert!(accepted >= 4 && rejected >= 12, "{accepted} accepted, {rejected} rejected");
}
