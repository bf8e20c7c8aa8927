//! A page that says more in its console than anybody reads: others are captured meanwhile, and its own
//! record says that its console was cut, and has the rest.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::TestDaemon;
use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn one_page_that_floods_its_console_keeps_no_other_from_being_captured() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let session = daemon.post("/v1/sessions", json!({})).await.ok().json()["session_id"].clone();
    let flood = "<!doctype html><script>
        setInterval(() => { for (let n = 0; n < 20000; n += 1) console.log('x'.repeat(1000)) }, 1);
        </script>loud";
    let loud = json!({ "html": flood, "session_id": session, "waitUntil": "load" });
    let run = daemon.post("/v1/screenshot", loud).await.ok().run();
    assert_eq!(daemon.capture(&run, "0001-during")["page"]["console_cut"], true);
    for _ in 0..3 {
        let begun = Instant::now();
        let run =
            daemon.shot(json!({ "url": site.url("/ok"), "waitUntil": "load" })).await.ok().run();
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        let page = &daemon.capture(&run, "0001-during")["page"];
        assert!(page["console_cut"].is_null() && page["events_lost"] == 0, "{page}");
    }
    // The page itself is listened to again, until it floods again; what it loads is on record.
    let calm = json!({
        "session_id": session, "url": site.url("/ok"), "waitUntil": "load", "injectJs": "console.log('calm')",
    });
    let run = daemon.post("/v1/screenshot", calm).await.ok().run();
    let page = &daemon.capture(&run, "0001-during")["page"];
    assert_eq!(page["document"]["status"], 200, "{page}");
}
