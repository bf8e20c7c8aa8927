//! The report in a real browser: it opens from disk, asks for nothing, shows the verdict, plays the
//! recording, moves the slider, recomputes digests, and says so when one byte was changed.

use std::path::{Path, PathBuf};

use exhibit::demo::scenario::Scenario;
use exhibit::demo::{self, Demonstration};
use exhibit::evidence::verify;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::Browser;
use crate::harness::{TestDaemon, trust_in};
use crate::process::exhibit;
use crate::site::Site;

/// A refund under evidence.
async fn refund() -> (TempDir, Demonstration) {
    demonstration(Scenario::Refund).await
}

async fn demonstration(scenario: Scenario) -> (TempDir, Demonstration) {
    let home = tempfile::tempdir().expect("a folder");
    let done = demo::run(home.path(), scenario, Vec::new(), &mut |_| ()).await;
    let done = done.expect("a demonstration");
    (home, done)
}

/// The browser that took the captures in `folder`.
fn browser_of(folder: &Path) -> PathBuf {
    let text = std::fs::read(folder.join("data/provenance.json")).expect("kept");
    let provenance: Value = serde_json::from_slice(&text).expect("JSON");
    PathBuf::from(provenance["browser"]["binary"].as_str().expect("a path"))
}

/// Press the button and wait for what is said.
async fn recomputed(browser: &mut Browser) -> String {
    browser.value("document.getElementById('check').click()").await;
    browser.until("/^(Match|DOES NOT|There is)/.test(document.getElementById('check-result').textContent)").await;
    let said = browser.value("document.getElementById('check-result').textContent").await;
    said.as_str().expect("a text").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_opens_it_from_disk() {
    let (home, done) = refund().await;
    assert_eq!(done.report.findings, []);
    let report = done.folder.join("report.html");
    let mut browser = Browser::start(&browser_of(&done.folder)).await;

    browser.view(1280, false).await;
    browser.open(&report).await;
    let title = browser.value("document.querySelector('h1').textContent").await;
    assert_eq!(title, "Refund · TX-1042");
    let verdict = browser.value("document.querySelector('.verdict').innerText").await;
    let verdict = verdict.as_str().expect("words");
    assert!(verdict.contains("succeeded"), "{verdict}");
    let top =
        browser.value("document.querySelector('.verdict').getBoundingClientRect().bottom").await;
    assert!(top.as_f64().expect("a number") < 400.0, "the verdict stands first: {top}");

    // The recording plays and goes to a chapter.
    let played = "(async () => {
        const video = document.querySelector('video');
        const event = name => new Promise((done, no) => {
            video.addEventListener(name, done, { once: true });
            video.addEventListener('error', () => no(video.error.message), { once: true });
        });
        video.muted = true;
        const playing = event('timeupdate');
        await video.play();
        await playing;
        video.pause();
        const seeked = event('seeked');
        const chapter = [...document.querySelectorAll('button[data-at]')].pop();
        chapter.click();
        await seeked;
        return [video.duration, video.currentTime - Number(chapter.dataset.at),
                chapter.getAttribute('aria-current'), video.textTracks[0].kind];
    })()";
    let played = browser.value(played).await;
    assert!(played[0].as_f64().expect("a length") > 2.0, "{played}");
    assert!(played[1].as_f64().expect("a time").abs() < 0.05, "{played}");
    assert_eq!((&played[2], &played[3]), (&json!("true"), &json!("captions")));

    // The slider moves with the arrow keys.
    let edge = "[document.getElementById('slide-at-1').value | 0,
        getComputedStyle(document.querySelector('.before img')).clipPath]";
    let before = browser.value(edge).await;
    browser.value("document.getElementById('slide-at-1').focus()").await;
    browser.press("ArrowRight", 39).await;
    browser.press("ArrowRight", 39).await;
    let after = browser.value(edge).await;
    assert_eq!((&before[0], &after[0]), (&json!(50), &json!(52)));
    assert_ne!(after[1], before[1], "the picture follows");

    let said = recomputed(&mut browser).await;
    assert!(said.starts_with("Match: all "), "{said}");
    let digest = browser.value("document.getElementById('manifest-digest').textContent").await;
    let seal = std::fs::read_to_string(done.folder.join("seal.json")).expect("kept");
    assert!(seal.contains(digest.as_str().expect("a digest")), "{digest} {seal}");

    let own = url::Url::from_file_path(&report).expect("a path").to_string();
    assert_eq!(browser.requests(), [own], "it asks for nothing but itself");
    assert!(browser.complaints().is_empty(), "{:#?}", browser.complaints());

    for width in [1280, 390] {
        for dark in [false, true] {
            browser.view(width, dark).await;
            let open = "document.querySelectorAll('details').forEach(one => { one.open = true; }),
                [document.documentElement.scrollWidth, innerWidth,
                 getComputedStyle(document.body).backgroundColor]";
            let seen = browser.value(open).await;
            assert_eq!(seen[0], seen[1], "nothing is wider than {width} pixels");
            assert_eq!(seen[2] == "rgb(255, 255, 255)", !dark, "{seen}");
        }
    }
    drop(browser);
    drop(home);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_is_told_in_words_and_outlined() {
    let (home, done) = demonstration(Scenario::AccessChange).await;
    let mut browser = Browser::start(&browser_of(&done.folder)).await;
    browser.view(1280, false).await;
    browser.open(&done.folder.join("report.html")).await;
    let words = "[...document.querySelectorAll('.changes li')].map(one => one.innerText)";
    let words = browser.value(words).await;
    let words: Vec<&str> =
        words.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let sentence = "Role of alice: Viewer → Admin";
    assert_eq!(words[..3], ["Role: Viewer → Admin", "Changes: 0 → 1", sentence]);
    assert!(words[3].starts_with("History: No changes → “2") && words.len() == 4, "{words:?}");
    let outlined = "(async () => {
        const picture = document.querySelector('.compared .frame img');
        await picture.decode();
        return [picture.naturalWidth, picture.alt.startsWith('After, with each place')];
    })()";
    assert_eq!(browser.value(outlined).await, json!([1280, true]));
    assert!(browser.complaints().is_empty(), "{:#?}", browser.complaints());

    let folder = done.folder.to_str().expect("a path");
    let (code, stdout, stderr) = report(home.path(), &[folder, "--changes"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("0001-before → 0003-after: "), "{stdout}");
    assert!(stdout.contains(&format!("\n  {sentence}\n")), "{stdout}");
    let (_, stdout, _) = report(home.path(), &[folder, "--changes", "--json"]);
    let told: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(told["pairs"][0]["words"]["changes"][2]["words"], sentence, "{told}");
    let (code, _, stderr) = report(home.path(), &[folder, "--changes", "--csv"]);
    assert_eq!(code, 2, "one form at a time: {stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_changed_byte_is_told() {
    let (home, done) = refund().await;
    let html = std::fs::read_to_string(done.folder.join("report.html")).expect("a report");
    let mut browser = Browser::start(&browser_of(&done.folder)).await;
    browser.view(390, false).await;
    // A picture, the recording, the record: one letter of each in its turn, far from its end.
    for name in ["captures/0001-before/screenshot.png", "recordings/0001.mp4", "run.json"] {
        let mark = format!("data-file=\"data/{name}\"");
        let at = html.find(&mark).expect("carried");
        let place = if name == "run.json" { at + mark.len() + 200 } else { at - 200 };
        let mut bytes = html.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let path = home.path().join("changed.html");
        std::fs::write(&path, bytes).expect("written");
        browser.open(&path).await;
        let said = recomputed(&mut browser).await;
        assert!(said.starts_with("DOES NOT MATCH: 1 file of "), "{name}: {said}");
        let list = browser.value("document.getElementById('check-list').innerText").await;
        let list = list.as_str().expect("a list");
        let told = list.split("does not match").nth(1).expect("told").trim();
        assert!(told.starts_with(&format!("data/{name}")), "{told}");
    }
    // Without its script it still shows both pictures, side by side.
    browser.call("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    browser.view(1280, false).await;
    browser.open(&done.folder.join("report.html")).await;
    let boxes = browser
        .value("JSON.stringify([...document.querySelectorAll('.pair img')].map(one => one.getBoundingClientRect().x))")
        .await;
    let boxes: Vec<f64> = serde_json::from_str(boxes.as_str().expect("a text")).expect("JSON");
    assert!(boxes.len() == 2 && boxes[1] > boxes[0] + 300.0, "{boxes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_part_of_the_seal_and_served() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let run = daemon.open_run("refund").await;
    let shot = json!({ "url": site.url("/ok"), "waitUntil": "load", "stage": "before" });
    daemon.post(&format!("/v1/runs/{run}/captures"), shot).await.ok();
    let path = format!("/v1/runs/{run}/report");
    let open = daemon.get(&path).await.ok();
    let text = String::from_utf8(open.body).expect("text");
    assert!(text.contains(">Open</p>") && text.contains("Capture 0001-before"));
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    let reply = daemon.get(&path).await.ok();
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    let disposition = format!("inline; filename=\"report-{run}.html\"");
    assert_eq!(reply.header("content-disposition"), Some(disposition.as_str()));
    let policy = reply.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let kept = std::fs::read(daemon.sealed(&run).join("report.html")).expect("kept");
    assert!(reply.body == kept, "what is served is what was sealed");
    daemon.assert_verifies(&run);

    let unknown = daemon.get("/v1/runs/019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57/report").await;
    assert_eq!(unknown.refusal().1, "run_not_found");

    // A report that was touched is found.
    let sealed = daemon.sealed(&run);
    let report = sealed.join("report.html");
    let mut bytes = kept.clone();
    bytes.push(b'\n');
    std::fs::remove_file(&report).expect("removed");
    std::fs::write(&report, bytes).expect("written");
    let found = verify::folder(&sealed, &trust_in(daemon.folder.path()));
    let found: Vec<String> =
        found.findings.iter().map(|one| format!("{} {}", one.code, one.place)).collect();
    assert_eq!(found, ["file_altered report.html"]);
}

/// axe-core (npm) has nothing to say, at both widths, light and dark.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs axe-core of npm in target/tools/axe; `make axe` fetches it"]
async fn axe_core_finds_nothing() {
    let (_home, done) = refund().await;
    let mut browser = Browser::start(&browser_of(&done.folder)).await;
    for width in [1280, 390] {
        for dark in [false, true] {
            browser.view(width, dark).await;
            browser.open(&done.folder.join("report.html")).await;
            browser
                .value("document.querySelectorAll('details').forEach(one => { one.open = true; })")
                .await;
            recomputed(&mut browser).await;
            let (passes, violations) = browser.axe().await;
            assert!(passes > 15, "it looked: {passes}");
            assert_eq!(violations, json!([]), "{width} dark={dark}");
        }
    }
    let worse = "document.querySelector('main').append(document.createElement('img')),
        axe.run(document).then(done => done.violations.map(one => one.id))";
    assert_eq!(browser.value(worse).await, json!(["image-alt"]), "it does find what is wrong");
}

/// Run `exhibit report` in `home`: exit code, standard output, standard error.
fn report(home: &Path, arguments: &[&str]) -> (i32, String, String) {
    // Reading a folder asks for no configuration but that of the browser that prints.
    let sandbox = !rustix::process::geteuid().is_root();
    let config = home.join("report.toml");
    std::fs::write(&config, format!("[browser]\nsandbox = {sandbox}\n")).expect("written");
    let output = exhibit()
        .arg("--config")
        .arg(&config)
        .arg("report")
        .args(arguments)
        .current_dir(home)
        .output();
    let output = output.expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().expect("a code"), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_writes_beside_the_evidence_and_never_into_it() {
    let (home, done) = refund().await;
    let home = home.path();
    let folder = done.folder.to_str().expect("a path");
    let signers = done.allowed_signers.to_str().expect("a path");
    let run = done.receipt.run.to_string();

    let (code, stdout, stderr) = report(home, &[folder, "--allowed-signers", signers]);
    assert_eq!(code, 0, "{stderr}");
    let path = home.join(format!("report-{run}.html"));
    assert_eq!(Path::new(stdout.trim()), path.canonicalize().expect("written"));
    let html = std::fs::read_to_string(&path).expect("written");
    assert!(html.contains("are what the manifest lists, signed with the key SHA256:"), "verified");
    assert!(
        html.contains(" of the principal “exhibit”.") && html.contains("<title>Complete, intact: ")
    );
    let (code, _, stderr) = report(home, &[folder, "--allowed-signers", signers]);
    assert_eq!(code, 8, "{stderr}");
    assert!(stderr.contains("exists already"), "{stderr}");
    let (_, stdout, _) = report(home, &[folder, "--json", "--out", "second.html"]);
    let told: Value = serde_json::from_str(&stdout).expect("JSON");
    assert!(told["sha256"].as_str().is_some_and(|digest| digest.len() == 64), "{told}");

    let inside = done.folder.join("data/more.html");
    for refused in [inside, done.folder.join("more.html")] {
        let (code, _, stderr) = report(home, &[folder, "--out", refused.to_str().expect("a path")]);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains("lies inside the evidence folder"), "{stderr}");
        assert!(!refused.exists());
    }
    let (code, _, stderr) = report(home, &[".", "--out", "none.html"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("is not a folder of evidence"), "{stderr}");
    assert!(!home.join("none.html").exists() && !home.join("none.html.partial").exists());
    assert_eq!(verify::folder(&done.folder, &trust_in(home)).findings, []);

    let (code, _, stderr) = report(home, &[folder, "--csv"]);
    assert_eq!(code, 0, "{stderr}");
    let csv = std::fs::read_to_string(home.join(format!("events-{run}.csv"))).expect("written");
    assert_eq!(csv.lines().count() as u64, 1 + done.receipt.events);
    assert!(csv.starts_with("line,sequence,time,") && csv.contains(",decision,Refund approved: "));
    let (code, _, stderr) = report(home, &[folder, "--oscal"]);
    assert_eq!(code, 0, "{stderr}");
    let name = format!("assessment-results-{run}.json");
    let text = std::fs::read(home.join(name)).expect("written");
    let results: Value = serde_json::from_slice(&text).expect("JSON");
    let results = &results["assessment-results"];
    assert_eq!(results["metadata"]["oscal-version"], "1.1.3");
    let resources = results["back-matter"]["resources"].as_array().expect("resources");
    assert_eq!(resources.len() as u64, done.receipt.files);
    for resource in resources {
        let link = &resource["rlinks"][0];
        let file = home.join(link["href"].as_str().expect("a path"));
        let digest = exhibit::digest::Digest::of(&std::fs::read(&file).expect("it leads there"));
        assert_eq!(link["hashes"][0]["value"], digest.to_string(), "{}", file.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_reads_the_checkpoint_from_the_page() {
    let (home, done) = refund().await;
    let folder = done.folder.to_str().expect("a path");
    let (code, _, stderr) = report(home.path(), &[folder, "--out", "kept.html"]);
    assert_eq!(code, 0, "{stderr}");
    let mut browser = Browser::start(&browser_of(&done.folder)).await;
    browser.view(1280, true).await;
    browser.open(&home.path().join("kept.html")).await;
    let place = "(({ x, y, width, height }) => ({ x, y: y + scrollY, width, height, scale: 3 }))
        (document.getElementById('kept').getBoundingClientRect())";
    let place = browser.value(place).await;
    let picture = home.path().join("kept.png");
    browser.picture_of(Some(place), &picture).await;
    let kept = home.path().join("kept.note");
    let read = scanned(&picture);
    std::fs::write(&kept, read.trim_end()).expect("written");

    let proof = std::fs::read_to_string(done.folder.join("seal.json.tlog-proof")).expect("there");
    assert!(proof.ends_with(&read), "{read}");
    let store = home.path().join("store");
    let report = verify::store(&store, &trust_in(home.path()), &[kept]);
    assert_eq!(report.log.expect("a log").remembered, 1, "{:?}", report.findings);
}

/// The QR code in a picture.
fn scanned(picture: &Path) -> String {
    let file = std::fs::File::open(picture).expect("taken");
    let mut decoder = png::Decoder::new(std::io::BufReader::new(file));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().expect("a picture");
    let mut pixels = vec![0; reader.output_buffer_size().expect("it fits")];
    let frame = reader.next_frame(&mut pixels).expect("a picture");
    let samples = frame.color_type.samples();
    let (width, height) = (frame.width as usize, frame.height as usize);
    let mut grey = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
        pixels[(y * width + x) * samples]
    });
    let grids = grey.detect_grids();
    assert_eq!(grids.len(), 1, "one code is seen");
    grids[0].decode().expect("readable").1
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_printed_whole_or_in_parts() {
    let (home, done) = refund().await;
    let folder = done.folder.to_str().expect("a path");
    let pages = |bytes: &[u8]| String::from_utf8_lossy(bytes).matches("/Type /Page\n").count();
    let (code, stdout, stderr) = report(home.path(), &[folder, "--pdf"]);
    assert_eq!(code, 0, "{stderr}");
    let whole = std::fs::read(stdout.trim()).expect("written");
    assert!(whole.starts_with(b"%PDF-") && pages(&whole) > 3, "{} pages", pages(&whole));

    let most = whole.len() / 2;
    let part = most.to_string();
    let arguments = [folder, "--pdf", "--part", &part, "--out", "small.pdf"];
    let (code, stdout, stderr) = report(home.path(), &arguments);
    assert_eq!(code, 0, "{stderr}");
    let parts: Vec<Vec<u8>> =
        stdout.lines().map(|path| std::fs::read(path).expect("written")).collect();
    assert!(parts.len() > 1 && stdout.contains("small-1-of-"), "{stdout}");
    assert!(parts.iter().all(|part| part.len() <= most), "{stdout}");
    assert_eq!(parts.iter().map(|part| pages(part)).sum::<usize>(), pages(&whole));
    let (code, _, stderr) = report(home.path(), &[folder, "--pdf", "--part", "1kB", "-o", "x.pdf"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("allow larger parts"), "{stderr}");
}

/// compliance-trestle (PyPI) reads it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs compliance-trestle of PyPI in target/tools/trestle; `make oscal` fetches it"]
async fn compliance_trestle_reads_it() {
    let (home, done) = refund().await;
    let folder = done.folder.to_str().expect("a path");
    let (code, stdout, stderr) = report(home.path(), &[folder, "--oscal", "--out", "oscal.json"]);
    assert_eq!(code, 0, "{stderr}");
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/trestle/bin/python");
    let script = "import pathlib, sys\n\
        from trestle.oscal.assessment_results import AssessmentResults\n\
        read = AssessmentResults.oscal_read(pathlib.Path(sys.argv[1]))\n\
        print(len(read.results[0].observations))";
    let read = std::process::Command::new(python).args(["-c", script, stdout.trim()]).output();
    let read = read.expect("run `make oscal`, which fetches it");
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    // The log, four captures, a recording, what the workflow asks for (10), and what changed.
    assert_eq!(String::from_utf8_lossy(&read.stdout).trim(), "17");
}
