//! Fs-verity: what is sealed has it where the kernel and the file system do, with a guard and without.
//! `make verity` runs this under such a kernel.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use exhibit::disk::verity::{has_verity, measured};
use exhibit::integrity::verity::measure;
use serde_json::{Value, json};

use crate::guard::{guarded, skipped};
use crate::harness::{TestDaemon, eventually};
use crate::keeping::sealed;
use crate::scrub::findings;

/// All files of `place`.
fn files(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let entries = fs::read_dir(place).expect("a folder");
    entries.flat_map(|entry| files(&entry.expect("an entry").path())).collect()
}

/// Every file of `place` is read-only, and is so whatever its modes are.
fn assert_withstands(place: &Path) {
    for file in files(place) {
        let mode = fs::metadata(&file).expect("there").permissions().mode() & 0o777;
        assert_eq!((has_verity(&file).expect("seen"), mode), (true, 0o444), "{}", file.display());
        let before = measured(&file).expect("read").expect("a digest");
        fs::set_permissions(&file, Permissions::from_mode(0o666)).expect("no flag is in the way");
        let written = OpenOptions::new().write(true).open(&file).map(drop);
        fs::set_permissions(&file, Permissions::from_mode(0o444)).expect("set");
        let error = written.expect_err("not even its owner");
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::PERM.raw_os_error()));
        assert_eq!(measured(&file).expect("read"), Some(before));
    }
}

async fn with_verity(daemon: &TestDaemon, count: u64) {
    eventually("all has fs-verity", async || {
        let said = guarded(daemon).await;
        said["with_verity"] == count && said["waiting"] == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sealed_has_fs_verity_where_that_holds() {
    let quick = |config: &mut exhibit::config::Config| {
        config.retention.default = 0;
        config.integrity.watch = false;
    };
    let daemon = TestDaemon::start_with(quick).await;
    let can = measure(&daemon.store()).is_ok();
    let run = sealed(&daemon, "w").await;
    eventually("it was tried", async || {
        let said = guarded(&daemon).await["verity"].clone();
        said["holds"] == true || said["why_not"].is_string()
    })
    .await;
    let said = guarded(&daemon).await;
    assert_eq!(said["verity"]["holds"], can, "{said}");
    if !can {
        let counted = (&said["waiting"], &said["with_verity"]);
        assert_eq!(counted, (&json!(0), &json!(0)), "{said}");
        assert!(files(&daemon.sealed(&run)).iter().all(|file| !has_verity(file).expect("seen")));
        let why = said["verity"]["why_not"].as_str().expect("told");
        return skipped("fs-verity of what is sealed", why);
    }
    with_verity(&daemon, 1).await;
    let folder = daemon.sealed(&run);
    assert_withstands(&folder);
    daemon.assert_verifies(&run);

    // It is found again, goes with an archive and comes back with a folder.
    let daemon = TestDaemon::start_in(daemon.stop().await, quick).await;
    with_verity(&daemon, 1).await;
    let named = json!({ "runs": [run] });
    daemon.post("/v1/archives", named.clone()).await.ok();
    with_verity(&daemon, 2).await;
    let archive = folder.with_file_name(format!("{run}.tar.zst"));
    assert_withstands(&archive);
    daemon.post("/v1/archives/restore", named).await.ok();
    with_verity(&daemon, 3).await;
    assert_withstands(&folder);
    daemon.assert_verifies(&run);
    daemon.post("/v1/purges", json!({ "runs": [run], "reason": "r" })).await.ok();
    assert!(!folder.exists() && !archive.exists());
    assert_eq!(findings(&daemon.store()), [Value::Null; 0]);
}
