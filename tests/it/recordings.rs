//! Recordings that are begun, stopped, closed and sealed at the same time: every run is sealed, no
//! seal hangs, and nothing is hashed while it is still being written.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::TestDaemon;
use crate::site::Site;

/// Recordings of a round; a round takes one way to end them.
const ROUND: usize = 8;

/// How a recording and its session end.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The recording is stopped, and its session closed at once.
    StopAndClose,
    /// The session is closed under the recording.
    Close,
    /// The run is sealed under the recording.
    Seal,
    /// The run is sealed while the recording begins.
    SealWhileItBegins,
    /// Whoever began it hangs up.
    HangUp,
}

async fn began(daemon: &TestDaemon, site: &Site) -> (String, Value) {
    let run = daemon.open_run("refund").await;
    let session = daemon.post("/v1/sessions", json!({})).await.ok().json()["session_id"].clone();
    let go = json!({ "session_id": session, "url": site.url("/ok"), "waitUntil": "load" });
    daemon.shot(go).await.ok();
    (run, session)
}

async fn close(daemon: &TestDaemon, session: &Value) {
    let path = format!("/v1/sessions/{}", session.as_str().expect("an id"));
    daemon.send(daemon.request(Method::DELETE, &path)).await.ok();
}

/// Record, and end in this way; the run is sealed afterwards.
async fn record(daemon: &TestDaemon, site: &Site, end: End) -> String {
    let (run, session) = began(daemon, site).await;
    let recordings = format!("/v1/runs/{run}/recordings");
    let seal = async || daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await;
    let start = daemon.request(Method::POST, &recordings).json(&json!({ "session_id": session }));
    match end {
        End::SealWhileItBegins => {
            let (started, sealed) = tokio::join!(daemon.send(start), seal());
            assert_eq!(sealed.status, 200, "{started:?} {sealed:?}");
            close(daemon, &session).await;
            return run;
        }
        End::HangUp => {
            let mut start = Box::pin(daemon.send(start));
            let hung_up = tokio::time::timeout(std::time::Duration::from_millis(15), &mut start);
            drop(hung_up.await);
            drop(start);
        }
        _ => drop(daemon.send(start).await.ok()),
    }
    let path = format!("{recordings}/0001/stop");
    match end {
        End::StopAndClose => {
            let stop = daemon.post(&path, json!({}));
            let (stopped, ()) = tokio::join!(stop, close(daemon, &session));
            // Whoever was first ends it.
            assert!(matches!(stopped.status, 200 | 404), "{stopped:?}");
        }
        End::Close => close(daemon, &session).await,
        _ => {}
    }
    assert_eq!(seal().await.ok().json()["state"], "sealed");
    if matches!(end, End::Seal | End::HangUp) {
        close(daemon, &session).await;
    }
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_that_end_in_every_way_at_once_are_sealed_as_they_are() {
    let (daemon, site) = (
        TestDaemon::start_with(|config| {
            config.video.max = 2 * ROUND;
            config.sessions.max = 2 * ROUND;
            config.quotas.recordings = 2 * ROUND;
            config.quotas.sessions = 2 * ROUND;
        })
        .await,
        Site::start().await,
    );
    let ends = [
        End::StopAndClose,
        End::SealWhileItBegins,
        End::Close,
        End::Seal,
        End::HangUp,
        End::StopAndClose,
    ];
    for end in ends {
        let runs = (0..ROUND).map(|_| record(&daemon, &site, end));
        for run in join_all(runs).await {
            daemon.assert_verifies(&run);
            let kinds = daemon.kinds(&run);
            let count = |kind: &str| kinds.iter().filter(|one| *one == kind).count();
            let ended = count("recording.taken") + count("recording.failed");
            let began = count("recording.started");
            assert_eq!(began, ended, "{end:?}: {kinds:?}");
            // Nobody took the page away before its recording had ended.
            assert!(
                matches!(end, End::HangUp) || count("recording.failed") == 0,
                "{end:?}: {kinds:?}"
            );
        }
    }
    let folder = daemon.stop().await;
    assert_eq!(std::fs::read_dir(folder.path().join("store/open")).expect("there").count(), 0);
}
