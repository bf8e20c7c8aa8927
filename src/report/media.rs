//! Owns what was seen, as it is shown: captures with their pictures and facts, differences that were
//! put on record, and recordings with their chapters.

use serde_json::Value;

use super::embed::{Embedded, EmbeddedPicture, Room, picture_type};
use super::facts::{Fact, Facts};
use super::pair::Pair;
use super::source::Source;
use super::story::{EventFiles, Story};
use super::text::{count, lasting, moment, size, spoken, text};
use super::view;
use crate::evidence::is_safe_path;
use crate::pack;

/// Most lines of a page's console that are shown, and bytes that are unpacked for them.
const CONSOLE: (usize, u64) = (20, 1 << 20);
/// Most chapters of a recording, and bytes of captions.
const CHAPTERS: (usize, u64) = (1_000, 1 << 20);
/// Largest description of a capture that is read.
const DESCRIPTION: u64 = 1 << 20;

/// A capture as it is shown.
#[derive(Debug)]
pub(super) struct Capture {
    pub(super) name: String,
    pub(super) anchor: String,
    pub(super) stage: String,
    pub(super) title: String,
    pub(super) picture: Option<EmbeddedPicture>,
    /// Whether the whole picture stands in a pair.
    pub(super) in_pair: bool,
    pub(super) facts: Vec<Fact>,
    pub(super) altered: String,
    /// What the picture does not show although it seems to, a sentence each.
    pub(super) incomplete: Vec<String>,
    /// The status of an error page; empty of any other.
    pub(super) error_page: String,
    /// Its files that are not what was recorded, each with what is wrong.
    pub(super) wrong: Vec<(String, &'static str)>,
    pub(super) console: Vec<String>,
}

/// What is different between two pictures.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) before: String,
    pub(super) after: String,
    pub(super) sentence: String,
    pub(super) picture: Option<EmbeddedPicture>,
}

/// A recording as it is shown.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) name: String,
    pub(super) file: String,
    pub(super) facts: Vec<Fact>,
    pub(super) video: Option<Embedded>,
    pub(super) poster: Option<Embedded>,
    pub(super) poster_file: String,
    pub(super) captions_file: String,
    pub(super) captions: Option<Embedded>,
    /// Its files that are not what was recorded, each with what is wrong.
    pub(super) wrong: Vec<(String, &'static str)>,
    pub(super) chapters: Vec<Chapter>,
}

/// Something that is said in a recording.
#[derive(Debug)]
pub(super) struct Chapter {
    /// Seconds from the beginning: digits and a point.
    pub(super) at: String,
    pub(super) clock: String,
    pub(super) text: String,
}

/// The differences that were put on record.
pub(super) fn differences(source: &mut Source, room: &mut Room, story: &Story) -> Vec<Difference> {
    let difference = |told: &EventFiles| {
        let side = |name: &str| {
            told.data.get(name).map_or_else(String::new, |side| spoken(&side["capture"]))
        };
        let regions = told.data.get("regions").and_then(Value::as_array).map_or(0, Vec::len);
        let sentence = format!(
            "{} of {} pixels differ ({} %), in {}.",
            told.get("changed_pixels"),
            told.get("total_pixels"),
            told.get("changed_pct"),
            count(regions as u64, "region")
        );
        let path = told.file("diff").map(|file| file.path.clone());
        let picture = path.and_then(|path| room.picture(source, &path));
        Difference { before: side("before"), after: side("after"), sentence, picture }
    };
    story.comparisons.iter().map(difference).collect()
}

/// All captures.
pub(super) fn captures(
    source: &mut Source,
    room: &mut Room,
    story: &Story,
    pairs: &[Pair],
) -> Vec<Capture> {
    let places = pairs.iter().flat_map(|pair| [pair.before.place, pair.after.place]);
    let places: Vec<usize> = places.collect();
    let of =
        |(place, told): (usize, &EventFiles)| capture(source, room, told, places.contains(&place));
    story.captures.iter().enumerate().map(of).collect()
}

fn capture(source: &mut Source, room: &mut Room, told: &EventFiles, paired: bool) -> Capture {
    let name = told.get("capture");
    let framed = told.file("framed").map(|file| file.path.clone());
    let framed = framed.filter(|path| picture_type(path).is_some());
    let in_pair = paired && framed.is_none();
    let shown = framed.or_else(|| told.picture().map(str::to_owned)).filter(|_| told.shown);
    let picture = shown.and_then(|path| {
        if in_pair { room.reminder(source, &path) } else { room.picture(source, &path) }
    });
    let described = told.file("capture").map(|file| file.path.clone());
    let described =
        described.and_then(|path| source.object(&path, DESCRIPTION)).unwrap_or_default();
    Capture {
        anchor: told.anchor(),
        stage: told.get("stage"),
        title: told.get("title"),
        picture,
        in_pair,
        facts: facts(told, &described),
        altered: told.get("altered_by"),
        incomplete: view::incomplete(&told.data),
        error_page: told.error_page().unwrap_or_default(),
        wrong: wrong(source, told),
        console: console(source, told),
        name,
    }
}

/// The files of `told` that are not what was recorded, each with what is wrong.
fn wrong(source: &mut Source, told: &EventFiles) -> Vec<(String, &'static str)> {
    let files = told.files.iter().map(|file| (file.path.as_str(), source.whole(&file.path).mark()));
    let wrong = files.filter(|(_, mark)| !mark.is_empty());
    wrong.map(|(path, mark)| (text(path), mark)).collect()
}

fn facts(told: &EventFiles, described: &Value) -> Vec<Fact> {
    let page = &described["page"];
    let tls = &page["document"]["tls"];
    let redirects = page["redirects"].as_array().into_iter().flatten().take(20);
    let redirects: Vec<String> = redirects.map(|hop| spoken(&hop["url"])).collect();
    let pixels = described["picture"]["pixels"].as_array().into_iter().flatten();
    let pixels: Vec<String> = pixels.take(2).map(spoken).collect();
    let framed = told.data.get("framed").cloned().unwrap_or_default();
    let captioned = told.file("framed").map_or_else(String::new, |file| text(&file.path));
    let main = told.picture().and_then(|raw| told.files.iter().find(|file| file.path == raw));
    let main = main.or_else(|| told.files.first());
    let certificate = ["subject", "issuer"].map(|name| spoken(&tls[name]));
    Facts::default()
        .exact("Address", told.get("final_url"))
        .observed("Page title", told.get("title"))
        .observed("Status", told.get("status"))
        .exact("Redirected from", redirects.join(" "))
        .exact("Server", spoken(&page["document"]["remote_address"]))
        .observed(
            "Certificate",
            certificate
                .join(", issued by ")
                .trim_matches([',', ' '])
                .trim_start_matches("issued by")
                .to_owned(),
        )
        .observed("Taken by", told.get("backend"))
        .observed("Pixels", pixels.join(" × "))
        .observed("Put together", view::painted(&told.data))
        .observed("A part of what was asked for", spoken(&page["cut"]["why"]))
        .exact("The target is a document", spoken(&page["original"]["name"]))
        .observed("Without a picture", spoken(&page["original"]["no_picture"]))
        .exact("About to lead to", spoken(&page["pending_navigation"]["url"]))
        .exact("File", main.map_or_else(String::new, |file| text(&file.path)))
        .observed("Size", main.map_or_else(String::new, |file| size(file.size_bytes)))
        .exact("SHA-256", main.map_or_else(String::new, |file| file.sha256.to_string()))
        .exact("With its caption", captioned)
        .observed("Without a caption", spoken(&framed["left_out"]))
        .list()
}

/// The first lines that the page wrote to its console.
fn console(source: &mut Source, told: &EventFiles) -> Vec<String> {
    let path = told.files.iter().find(|file| file.path.ends_with("/console.jsonl.zst"));
    let Some(path) = path.map(|file| file.path.clone()) else { return Vec::new() };
    let Some(packed) = source.read(&path, CONSOLE.1) else { return Vec::new() };
    let Ok(bytes) = pack::decompress(&packed, CONSOLE.1) else {
        source.problem(format!("{} cannot be unpacked, or is too long.", text(&path)));
        return Vec::new();
    };
    let line = |line: &str| match serde_json::from_str::<Value>(line) {
        Ok(value) => ["level", "text"].map(|name| spoken(&value[name])).join(": "),
        Err(_) => text(line),
    };
    String::from_utf8_lossy(&bytes).lines().take(CONSOLE.0).map(line).collect()
}

/// All recordings.
pub(super) fn recordings(source: &mut Source, room: &mut Room, story: &Story) -> Vec<Recording> {
    let recording = |told: &EventFiles| {
        let path = |ending: &str| {
            let file = told.files.iter().find(|file| file.path.ends_with(ending));
            file.map(|file| file.path.clone()).filter(|path| is_safe_path(path))
        };
        let file = path(".mp4")?;
        let captions_file = path(".vtt").unwrap_or_default();
        let captions = room.text_file(source, &captions_file, "text/vtt");
        let text = captions.as_ref().map(|file| String::from_utf8_lossy(file.bytes()));
        let chapters = text.map_or_else(Vec::new, |text| chapters(&text));
        let poster_file = path("-poster.png").unwrap_or_default();
        let poster = room.picture(source, &poster_file).and_then(|picture| picture.whole);
        Some(Recording {
            poster,
            poster_file,
            name: told.get("recording"),
            facts: recording_facts(told, &file),
            video: room.recording(source, &file),
            file,
            captions_file,
            captions,
            wrong: wrong(source, told),
            chapters,
        })
    };
    story.recordings.iter().filter_map(recording).collect()
}

fn recording_facts(told: &EventFiles, path: &str) -> Vec<Fact> {
    let summary = told.data.get("summary").cloned().unwrap_or_default();
    let file = told.files.iter().find(|file| file.path == path);
    let (day, time) = moment(&told.get("began_at"));
    let pixels = [&summary["width"], &summary["height"]].map(spoken).join(" × ");
    Facts::default()
        .observed("Began", format!("{day}, {time} UTC"))
        .observed("Length", summary["duration_ms"].as_u64().map_or_else(String::new, lasting))
        .observed("Ended", spoken(&summary["ended"]))
        .observed("Pictures", pictures_in(&summary))
        .observed("Pixels", if pixels == " × " { String::new() } else { pixels })
        .exact("File", text(path))
        .observed("Size", file.map_or_else(String::new, |file| size(file.size_bytes)))
        .exact("SHA-256", file.map_or_else(String::new, |file| file.sha256.to_string()))
        .list()
}

/// How many pictures a recording holds, and what it does not show.
fn pictures_in(summary: &Value) -> String {
    let Some(frames) = summary["frames"].as_u64() else { return String::new() };
    let told = |name: &str| summary[name].as_u64().filter(|number| *number > 0);
    let mut said = frames.to_string();
    if let Some(gaps) = told("gaps") {
        let each = "more than two steps of the frame rate and less than a second without a picture: \
                    the page rested, or the host was too busy for what it showed";
        said = format!("{said}; {} ({each})", count(gaps, "gap"));
    }
    if let Some(superseded) = told("superseded") {
        let were = if superseded == 1 { "was" } else { "were" };
        said = format!("{said}; {} {were} left out for a later one", count(superseded, "picture"));
    }
    match told("unreadable") {
        Some(unreadable) => format!("{said}; {unreadable} could not be read"),
        None => said,
    }
}

/// The cues of a WebVTT document: from when, and what is said.
fn chapters(vtt: &str) -> Vec<Chapter> {
    let mut chapters = Vec::new();
    let vtt: String = vtt.chars().take(usize::try_from(CHAPTERS.1).unwrap_or(usize::MAX)).collect();
    for block in vtt.split("\n\n").take(CHAPTERS.0) {
        let mut lines = block.lines().skip_while(|line| !line.contains(" --> "));
        let Some(from) = lines.next().and_then(|times| times.split(" --> ").next()) else {
            continue;
        };
        let Some(millis) = millis(from) else { continue };
        let said = lines.collect::<Vec<_>>().join(" ");
        let said = said.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        let seconds = millis / 1000;
        chapters.push(Chapter {
            at: format!("{seconds}.{:03}", millis % 1000),
            clock: format!("{}:{:02}", seconds / 60, seconds % 60),
            text: text(&said),
        });
    }
    chapters
}

fn millis(time: &str) -> Option<u64> {
    let (clock, millis) = time.trim().split_once('.')?;
    let mut seconds: u64 = 0;
    for part in clock.split(':') {
        seconds = seconds.checked_mul(60)?.checked_add(part.parse().ok()?)?;
    }
    seconds.checked_mul(1000)?.checked_add(millis.parse().ok().filter(|millis| *millis < 1000)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_recording_does_not_show_is_told() {
        use serde_json::json;
        assert_eq!(pictures_in(&json!({"frames": 12, "gaps": 0, "superseded": null})), "12");
        let told = pictures_in(&json!({"frames": 12, "gaps": 7, "superseded": 1, "unreadable": 2}));
        assert!(told.starts_with("12; 7 gaps (more than two steps"), "{told}");
        assert!(told.ends_with("; 1 picture was left out for a later one; 2 could not be read"));
        assert_eq!(pictures_in(&json!({"frames": "x"})), "");
    }

    #[test]
    fn chapters_are_read_and_what_is_none_is_not() {
        let vtt = "WEBVTT\n\n1\n00:00:01.172 --> 00:00:02.000\nfill &lt;b&gt;\n\nNOTE x\n\n9\n99999999999999999999:00:00.000 --> x\ny\n\n00:61:00.5x --> b\n";
        let chapters = chapters(vtt);
        assert_eq!(chapters.len(), 1);
        assert_eq!((chapters[0].at.as_str(), chapters[0].text.as_str()), ("1.172", "fill <b>"));
        assert_eq!(chapters[0].clock, "0:01");
    }
}
