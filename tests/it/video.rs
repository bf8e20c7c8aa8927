//! Recordings: of steps, and of a session's page in a run. They play and seek in a browser, at true
//! time, and a crash leaves what was recorded.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use exhibit::video::Source;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{TestDaemon, eventually, processes_with};
use crate::process::{Process, assert_store_is_sound, write_config};
use crate::site::Site;

/// A page whose colour tells which button was pressed last.
const PAGE: &str = "<!doctype html><title>Colours</title><body style='background:#00f;font:40px \
    sans-serif'><button id='red' onclick=\"document.body.style.background='#f00'\">red</button>\
    <button id='green' onclick=\"document.body.style.background='#0f0'\">green</button>";

fn colours(site: &Site) -> Value {
    let script = format!("document.open();document.write({});document.close()", json!(PAGE));
    json!([
        { "action": "navigate", "url": site.url("/ok") },
        { "action": "evaluate", "script": script },
        { "action": "wait", "ms": 700, "note": "blue" },
        { "action": "click", "selector": "#red", "pauseAfter": 1_000 },
        { "action": "click", "selector": "#green", "note": "the <last> one" },
        { "action": "wait", "ms": 1_500 },
    ])
}

/// What a browser's player says of a recording: its length in seconds, and the colour in its middle
/// at each of `times`.
pub(crate) async fn played(daemon: &TestDaemon, mp4: &[u8], times: &[f64]) -> (f64, Vec<[i64; 3]>) {
    let html = format!(
        "<video id=v muted src='data:video/mp4;base64,{}'></video><pre id=out></pre>",
        STANDARD.encode(mp4)
    );
    let script = format!(
        "(async () => {{
            const video = document.getElementById('v');
            const event = name => new Promise((done, no) => {{
                video.addEventListener(name, done, {{ once: true }});
                video.addEventListener('error', () => no(video.error.message), {{ once: true }});
            }});
            if (video.readyState < 2) await event('loadeddata');
            const canvas = document.createElement('canvas');
            canvas.width = video.videoWidth; canvas.height = video.videoHeight;
            const brush = canvas.getContext('2d');
            const colours = [];
            for (const time of {times:?}) {{
                const seeked = event('seeked');
                video.currentTime = time;
                await seeked;
                brush.drawImage(video, 0, 0);
                const pixel = brush.getImageData(canvas.width / 2, canvas.height - 20, 1, 1);
                colours.push(Array.from(pixel.data).slice(0, 3));
            }}
            out.textContent = JSON.stringify([video.duration, colours]);
        }})()"
    );
    let body = json!({ "html": html, "injectJs": script, "waitUntil": "load", "selector": "#out" });
    let run = daemon.shot(body).await.ok().run();
    let dom = daemon.unpacked(&run, "0001-during", "dom.html.zst");
    let told = dom.split("<pre id=\"out\">").nth(1).expect("told").split("</pre>").next();
    let told: (f64, Vec<[i64; 3]>) = serde_json::from_str(told.expect("told")).expect("JSON");
    told
}

fn is_near(colour: [i64; 3], wanted: [i64; 3]) -> bool {
    colour.iter().zip(wanted).all(|(one, other)| (one - other).abs() < 40)
}

/// From and to of each cue, in seconds, and its text.
fn cues(vtt: &str) -> Vec<(f64, f64, String)> {
    let time = |text: &str| {
        let parts = text.trim().split(':').map(|part| part.parse::<f64>().expect("a number"));
        parts.fold(0.0, |sum, part| sum * 60.0 + part)
    };
    let blocks = vtt.split("\n\n").skip(1);
    blocks
        .map(|block| {
            let mut lines = block.lines().skip(1);
            let (from, to) = lines.next().expect("times").split_once("-->").expect("an arrow");
            (time(from), time(to), lines.collect::<Vec<_>>().join("\n"))
        })
        .collect()
}

const SOURCES: [Source; 2] = [Source::Screencast, Source::Recorder];

async fn daemon_with(source: Source) -> TestDaemon {
    TestDaemon::start_with(|config| config.video.source = Some(source)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_are_recorded_at_true_time_with_captions_and_seek_points() {
    for source in SOURCES {
        steps_are_recorded(source).await;
    }
}

async fn steps_are_recorded(source: Source) {
    let (daemon, site) = (daemon_with(source).await, Site::start().await);
    let body = json!({
        "steps": colours(&site), "viewport": { "width": 640, "height": 480 },
        "cursor": { "visible": true }, "response_type": "json",
    });
    let reply = daemon.post("/api/v1/video", body).await.ok();
    let answer = reply.json();
    assert_eq!((&answer["steps_completed"], &answer["total_steps"]), (&json!(6), &json!(6)));
    assert_eq!(
        (&answer["format"], &answer["evidence"]["ignored"]),
        (&json!("mp4"), &json!(["cursor"]))
    );
    let mp4 = STANDARD.decode(answer["data"].as_str().expect("base64")).expect("base64");
    assert_eq!(answer["size_bytes"], mp4.len());

    let run = reply.run();
    daemon.assert_verifies(&run);
    let folder = daemon.sealed(&run).join("data/recordings");
    assert_eq!(std::fs::read(folder.join("0001.mp4")).expect("kept"), mp4);
    let vtt = std::fs::read_to_string(folder.join("0001.vtt")).expect("kept");
    let cues = cues(&vtt);
    assert_eq!(cues.len(), 6, "{vtt}");
    assert_eq!(cues[4].2, "5. click \"#green\"; the agent says \"the &lt;last&gt; one\"");
    let record = std::fs::read(folder.join("0001.json")).expect("kept");
    let record: Value = serde_json::from_slice(&record).expect("JSON");
    assert_eq!(record["summary"]["ended"], "stopped", "{record}");
    assert_eq!(record["summary"]["unreadable"], 0);
    assert_eq!(record["summary"]["source"], source.word());
    assert!(std::fs::read(folder.join("0001-poster.png")).expect("kept").starts_with(b"\x89PNG"));

    // Each colour is there from its step on, and not before. (On a quiet machine within a tenth of
    // a second; a busy one paints late, and a test is no place for that.)
    let (red, green) = (&cues[3], &cues[4]);
    let last = cues[5].1;
    let (length, seen) = played(
        &daemon,
        &mp4,
        &[red.0 - 0.1, red.1 - 0.3, green.0 - 0.1, last - 0.7, last - 0.1, red.0 - 0.1],
    )
    .await;
    let (b, r, g) = ([0, 0, 255], [255, 0, 0], [0, 255, 0]);
    for (at, (colour, wanted)) in seen.iter().zip([b, r, r, g, g, b]).enumerate() {
        assert!(is_near(*colour, wanted), "{at}: {colour:?} is not {wanted:?}; {vtt}");
    }
    assert!((length - last).abs() < 0.3, "{length} s for {last} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_delivers_later_what_a_request_delivers_now() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let steps =
        json!([{ "action": "navigate", "url": site.url("/ok") }, { "action": "wait", "ms": 300 }]);
    let reply = daemon.post("/api/v1/video", json!({ "steps": steps, "async": true })).await.ok();
    let queued = reply.json();
    assert_eq!((reply.status, &queued["status"]), (202, &json!("queued")));
    let path = queued["status_url"].as_str().expect("a path").to_owned();
    eventually("the job is done", async || {
        daemon.get(&path).await.ok().json()["status"] == "completed"
    })
    .await;
    let job = daemon.get(&path).await.ok().json();
    let file = daemon.get(job["output"]["file_url"].as_str().expect("a path")).await.ok();
    assert_eq!(file.header("content-type"), Some("video/mp4"));
    assert_eq!(job["output"]["size_bytes"], file.body.len());
    // What is fetched later is on record.
    let fetched = crate::custody::events(&daemon.store());
    let run = &job["output"]["evidence"]["run"];
    assert_eq!((&fetched[0]["act"], &fetched[0]["runs"]), (&json!("download"), &json!([run])));
    let (length, _) = played(&daemon, &file.body, &[0.0]).await;
    assert!(length > 0.3, "{length}");
    let now = daemon.post("/api/v1/video", json!({ "steps": steps })).await.ok();
    assert_eq!(&now.body[4..8], b"ftyp");
    daemon.assert_verifies(&now.run());

    let refused = json!({ "steps": [{ "action": "navigate", "url": "file:///x" }], "async": true });
    assert_eq!(daemon.post("/api/v1/video", refused).await.refusal().1, "target_forbidden");
    let failing = json!({ "steps": [{ "action": "navigate", "url": crate::site::refused_url() }] });
    let reply = daemon.post("/api/v1/video", failing).await.ok();
    daemon.assert_verifies(&reply.run());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sessions_page_is_recorded_into_a_run_until_it_is_sealed() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let run = daemon.open_run("refund").await;
    let session = daemon.post("/v1/sessions", json!({})).await.ok().json()["session_id"].clone();
    let recordings = format!("/v1/runs/{run}/recordings");
    let body = json!({ "session_id": session });
    let started = daemon.post(&recordings, body.clone()).await.ok().json();
    assert_eq!(started["recording"], "0001");
    let twice = daemon.post(&recordings, body.clone()).await;
    assert_eq!((twice.refusal().0, twice.refusal().1.as_str()), (409, "already_recording"));
    let shot = json!({
        "session_id": session, "url": site.url("/ok"), "stage": "before", "waitUntil": "load",
    });
    daemon.post(&format!("/v1/runs/{run}/captures"), shot).await.ok();
    let event = json!({ "kind": "decision", "message": "refund approved" });
    daemon.post(&format!("/v1/runs/{run}/events"), event).await.ok();
    let stop =
        async |number: &str| daemon.post(&format!("{recordings}/{number}/stop"), json!({})).await;
    let stopped = stop("0001").await.ok().json();
    assert_eq!(stopped["summary"]["ended"], "stopped", "{stopped}");
    for number in ["0001", "7", "..%2F1"] {
        assert_eq!(stop(number).await.refusal().1, "recording_not_found", "{number}");
    }
    // A run that is sealed while it is recorded has the recording.
    let second = daemon.post(&recordings, body).await.ok().json();
    let third = second["recording"].as_str().expect("a name").to_owned();
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    daemon.assert_verifies(&run);
    let folder = daemon.sealed(&run).join("data/recordings");
    for name in ["0001", third.as_str()] {
        let mp4 = std::fs::read(folder.join(format!("{name}.mp4"))).expect("kept");
        played(&daemon, &mp4, &[0.0]).await;
    }
    let said = std::fs::read_to_string(folder.join("0001.vtt")).expect("kept");
    assert!(
        said.contains("the agent says \"decision\": \"refund approved\"")
            && said.contains("screenshot 0001-before"),
        "{said}"
    );
    let kinds = daemon.kinds(&run);
    assert_eq!(kinds.iter().filter(|kind| *kind == "recording.taken").count(), 2, "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_end_a_recording_and_a_page_that_dies_leaves_what_was_recorded() {
    for source in SOURCES {
        limits_end_a_recording(source).await;
    }
}

async fn limits_end_a_recording(source: Source) {
    let (daemon, site) = (
        TestDaemon::start_with(|config| {
            config.video.source = Some(source);
            config.video.max = 1;
            config.video.max_duration = Duration::from_secs(4);
        })
        .await,
        Site::start().await,
    );
    let run = daemon.open_run("refund").await;
    let session = daemon.post("/v1/sessions", json!({})).await.ok().json()["session_id"].clone();
    let recordings = format!("/v1/runs/{run}/recordings");
    let start = json!({ "session_id": session });
    daemon.post(&recordings, start.clone()).await.ok();
    let more = daemon.post(&recordings, start.clone()).await;
    assert_eq!((more.refusal().0, more.refusal().1.as_str()), (429, "too_many_recordings"));
    let events = daemon.store().join("open").join(&run).join("data/events.jsonl");
    let told = async |what: &str| {
        eventually(what, async || std::fs::read_to_string(&events).expect("events").contains(what))
            .await;
    };
    told("\"max-duration\"").await;
    let go = json!({ "session_id": session, "url": site.url("/ok"), "waitUntil": "load" });
    daemon.shot(go).await.ok();
    daemon.post(&recordings, start).await.ok();
    let growing = daemon.store().join("open").join(&run).join("data/recordings/0002.mp4");
    eventually("it is on disk as it is made", async || {
        std::fs::metadata(&growing).is_ok_and(|file| file.len() > 1_000)
    })
    .await;
    crate::crash::kill_renderers(&daemon);
    told("\"page-gone\"").await;
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    daemon.assert_verifies(&run);
    for name in ["0001", "0002"] {
        let path = daemon.sealed(&run).join(format!("data/recordings/{name}.mp4"));
        let mp4 = std::fs::read(path).expect("kept");
        played(&daemon, &mp4, &[0.0]).await;
    }
    let _ = daemon.send(daemon.request(Method::GET, "/v1/sessions")).await.ok();
}

/// A page that paints all the time.
const MOVING: &str = "<body><h1 id=t></h1><script>const begun = performance.now();
    const tick = () => { t.textContent = Math.round(performance.now() - begun);
    requestAnimationFrame(tick); }; tick()</script>";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_before_a_kill_plays_up_to_two_seconds_before_it() {
    let (player, site) = (TestDaemon::start().await, Site::start().await);
    let folder = tempfile::tempdir().expect("a folder");
    let rounds = SOURCES.into_iter().flat_map(|source| [(source, true), (source, false)]);
    for (round, (source, daemon_dies)) in rounds.enumerate() {
        write_config(folder.path(), &format!("[video]\nsource = \"{}\"\n", source.word()));
        let mut daemon = Process::start(&folder).await;
        let run = daemon.post("/v1/runs", json!({ "workflow": "refund" })).await.ok().json();
        let run = run["run"].as_str().expect("an id").to_owned();
        let session =
            daemon.post("/v1/sessions", json!({})).await.ok().json()["session_id"].clone();
        let moving = json!({ "session_id": session, "html": MOVING, "waitUntil": "load" });
        daemon.post("/v1/screenshot", moving).await.ok();
        let path = format!("/v1/runs/{run}/recordings");
        daemon.post(&path, json!({ "session_id": session })).await.ok();
        let begun = tokio::time::Instant::now();
        let growing = folder.path().join("store/open").join(&run).join("data/recordings/0001.mp4");
        let wanted = 12_000 * (round as u64 + 1);
        eventually("it grows", async || {
            std::fs::metadata(&growing).is_ok_and(|file| file.len() > wanted)
        })
        .await;
        let lasted = begun.elapsed().as_secs_f64();
        if daemon_dies {
            daemon.child.kill().expect("it was running");
            daemon.child.wait().expect("it ends");
        } else {
            for process in processes_with(&folder.path().join("browser")) {
                let process = rustix::process::Pid::from_raw(process).expect("a process");
                // It may have ended with its parent.
                let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
            }
            daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
        }
        drop(daemon);
        let daemon = Process::start(&folder).await;
        let sealed = crate::harness::sealed_folder(&folder.path().join("store"), &run);
        let mp4 = std::fs::read(sealed.join("data/recordings/0001.mp4")).expect("kept");
        let (length, _) = played(&player, &mp4, &[0.0, lasted - 2.1]).await;
        assert!(length > lasted - 2.0, "round {round}: {length} s of {lasted} s");
        let record = std::fs::read_to_string(sealed.join("data/run.json")).expect("kept");
        assert_eq!(mp4[24..28] == *b"av01", source == Source::Recorder);
        let state = if daemon_dies { "interrupted" } else { "sealed" };
        assert!(record.contains(&format!("\"{state}\"")), "{record}");
        assert_store_is_sound(folder.path());
        assert!(daemon.terminate().success());
    }
    drop(site);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moving_page_is_recorded_at_its_rate_and_a_still_one_costs_nothing() {
    for source in SOURCES {
        a_moving_page_is_recorded_at_its_rate(source).await;
    }
}

async fn a_moving_page_is_recorded_at_its_rate(source: Source) {
    let daemon = daemon_with(source).await;
    let film = async |html: &str, rate: u32| {
        let script = format!("document.open();document.write({});document.close()", json!(html));
        let steps = json!([
            { "action": "evaluate", "script": script }, { "action": "wait", "ms": 3_000 },
        ]);
        let body = json!({ "steps": steps, "framerate": rate, "response_type": "json" });
        daemon.post("/v1/video", body).await.ok().json()
    };
    let moving = film(MOVING, 10).await;
    let (frames, length) = (&moving["frames"], &moving["duration_ms"]);
    let rate = frames.as_f64().expect("a number") * 1000.0 / length.as_f64().expect("a number");
    assert!((4.0..13.0).contains(&rate), "{rate} pictures a second");
    let still = film("<body><h1>Still</h1>", 30).await;
    assert!(still["frames"].as_u64().expect("a number") < 15, "{}", still["frames"]);
    assert!(still["size_bytes"].as_u64().expect("a number") < 60_000, "{}", still["size_bytes"]);
    assert!(still["duration_ms"].as_u64().expect("a number") > 2_900, "{}", still["duration_ms"]);
}
