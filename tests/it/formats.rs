//! Recordings in other formats, made of the one that is kept by the operator's ffmpeg; and what a
//! reader of the same kind says of ours.

use std::path::{Path, PathBuf};
use std::process::Command;

use exhibit::video::Source;
use serde_json::{Value, json};

use crate::harness::TestDaemon;
use crate::site::Site;

async fn daemon(source: Source, ffmpeg: Option<PathBuf>) -> TestDaemon {
    TestDaemon::start_with(|config| {
        config.video.source = Some(source);
        config.video.ffmpeg = ffmpeg;
    })
    .await
}

fn steps(site: &Site) -> Value {
    json!([{ "action": "navigate", "url": site.url("/ok") }, { "action": "wait", "ms": 1_200 }])
}

/// What ffprobe says of a file: its codec, and its length in seconds. It must not complain.
fn probed(path: &Path) -> (String, f64) {
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-show_entries"])
        .args(["stream=codec_name,nb_read_frames:format=duration", "-of", "json"])
        .arg(path)
        .output()
        .expect("ffprobe runs");
    let said = String::from_utf8_lossy(&probe.stderr);
    assert!(probe.status.success() && said.is_empty(), "{}: {said}", path.display());
    let told: Value = serde_json::from_slice(&probe.stdout).expect("JSON");
    let length = told["format"]["duration"].as_str().expect("a length");
    let codec = told["streams"][0]["codec_name"].as_str().expect("a codec");
    (codec.to_owned(), length.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_makes_other_formats_and_finds_no_fault_with_ours() {
    let site = Site::start().await;
    for (source, codec) in [(Source::Screencast, "h264"), (Source::Recorder, "av1")] {
        let daemon = daemon(source, Some("/usr/bin/ffmpeg".into())).await;
        for (format, media_type, made) in [
            ("webm", "video/webm", "vp9"),
            ("gif", "image/gif", "gif"),
            ("mp4", "video/mp4", codec),
        ] {
            let body = json!({ "steps": steps(&site), "format": format });
            let reply = daemon.post("/v1/video", body).await.ok();
            assert_eq!(reply.header("content-type"), Some(media_type));
            let run = reply.run();
            daemon.assert_verifies(&run);
            let folder = daemon.sealed(&run).join("data/recordings");
            let file = folder.join(format!("0001.{format}"));
            assert_eq!(std::fs::read(&file).expect("kept"), reply.body);
            let (recorded, length) = probed(&folder.join("0001.mp4"));
            assert_eq!(recorded, codec);
            assert!(length > 1.1, "{length}");
            let (named, other) = probed(&file);
            assert_eq!(named, made);
            assert!((other - length).abs() < 0.4, "{format}: {other} s of {length} s");
            let converted = daemon.kinds(&run).iter().any(|kind| kind == "recording.converted");
            assert_eq!(converted, format != "mp4");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_program_only_our_own_format_is_made_and_one_that_fails_loses_nothing() {
    let site = Site::start().await;
    let body = json!({ "steps": steps(&site), "format": "gif" });
    let without = daemon(Source::Screencast, None).await;
    let refused = without.post("/v1/video", body.clone()).await;
    assert_eq!(refused.refusal(), (400, "invalid_field".to_owned(), "format".to_owned()));

    let failing = daemon(Source::Screencast, Some("/bin/false".into())).await;
    let refused = failing.post("/v1/video", body).await;
    assert_eq!(refused.refusal(), (500, "conversion_failed".to_owned(), "format".to_owned()));
    let run = refused.run();
    failing.assert_verifies(&run);
    let kinds = failing.kinds(&run);
    assert!(kinds.iter().any(|kind| kind == "recording.not-converted"), "{kinds:?}");
    probed(&failing.sealed(&run).join("data/recordings/0001.mp4"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_is_recorded_where_that_is_asked_for() {
    let (site, daemon) = (Site::start().await, daemon(Source::Screencast, None).await);
    let steps = json!([
        { "action": "navigate", "url": site.url("/ok") },
        { "action": "screenshot", "name": "there" },
        { "action": "wait", "ms": 300 },
    ]);
    let reply = daemon.post("/v1/sequence", json!({ "steps": steps, "record": true })).await.ok();
    let answer = reply.json();
    let recording = &answer["evidence"]["recording"];
    assert_eq!(recording["recording"], "0001", "{answer}");
    assert_eq!(recording["summary"]["ended"], "stopped", "{answer}");
    let run = reply.run();
    daemon.assert_verifies(&run);
    let folder = daemon.sealed(&run).join("data/recordings");
    let (_, length) = probed(&folder.join("0001.mp4"));
    assert!(length > 0.3, "{length}");
    let said = std::fs::read_to_string(folder.join("0001.vtt")).expect("kept");
    assert!(said.contains("2. screenshot"), "{said}");
}
