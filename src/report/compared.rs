//! Attacks what the report says changed: trees and pictures that are missing, damaged, hostile, of
//! unlike size or not to be compared, and captures that belong together in several ways.

use serde_json::{Value, json};

use super::tests::{EVIL, Folder, artifact, assert_harmless};
use super::{Options, changes, write_oscal};
use crate::compare::Bitmap;
use crate::pack;

/// A capture on its way into a folder.
struct Shot {
    name: &'static str,
    stage: &'static str,
    address: &'static str,
    /// What the page says.
    says: Option<String>,
    /// Width and height of the picture, and where a black square stands in it.
    picture: (u32, u32, u32),
    file: &'static str,
}

fn shot(name: &'static str, stage: &'static str, role: &str) -> Shot {
    Shot {
        name,
        stage,
        address: "http://desk.example/people/alice",
        says: Some(format!("Role of alice: {role}")),
        picture: (200, 100, 0),
        file: "screenshot.png",
    }
}

fn tree(says: &str) -> Vec<u8> {
    let tree = json!({"nodes": [
        {"nodeId": "1", "role": {"value": "RootWebArea"}, "name": {"value": "Alice"}, "childIds": ["2"]},
        {"nodeId": "2", "role": {"value": "status"}, "childIds": ["3"]},
        {"nodeId": "3", "role": {"value": "StaticText"}, "name": {"value": says}},
    ]});
    pack::compress(tree.to_string().as_bytes()).expect("packed")
}

fn drawn((width, height, at): (u32, u32, u32)) -> Vec<u8> {
    let is_black = |x: u32, y: u32| (at..at + 10).contains(&x) && (40..50).contains(&y) && at > 0;
    let pixel = |x, y| if is_black(x, y) { [0, 0, 0, 255] } else { [255; 4] };
    let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y)));
    Bitmap::new(width, height, pixels.collect()).expect("a picture").to_png().expect("a PNG")
}

/// A folder with these captures.
fn folder(shots: &[Shot]) -> Folder {
    let mut files = Vec::new();
    let event = |shot: &Shot| {
        let path = |file: &str| format!("data/captures/{}/{file}", shot.name);
        let mut own = vec![(path(shot.file), drawn(shot.picture))];
        own.extend(shot.says.iter().map(|says| (path("accessibility.json.zst"), tree(says))));
        let artifacts: Vec<Value> = own.iter().map(|(path, bytes)| artifact(path, bytes)).collect();
        files.extend(own);
        let data = json!({"capture": shot.name, "stage": shot.stage, "title": "Alice",
            "final_url": shot.address, "altered_by": [], "artifacts": artifacts});
        ("exhibit", "capture.taken", data)
    };
    let events: Vec<_> = shots.iter().map(event).collect();
    let folder = Folder::new(&events);
    for (path, bytes) in &files {
        folder.put(path, bytes);
    }
    folder
}

/// The text of `html`, without its elements.
fn words(html: &str) -> String {
    let text: String = html
        .split('<')
        .map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text))
        .collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn words_counts_and_outlines_are_told_and_the_same_each_time() {
    let mut after = shot("0002-after", "after", "Admin");
    after.picture.2 = 60;
    let folder = folder(&[shot("0001-before", "before", "Viewer"), after]);
    let html = folder.report();
    let text = words(&html);
    assert!(text.contains("What changed Role of alice: Viewer → Admin 100 of 20000 pixels changed (0.5 %), in 1 place. The places are outlined"), "{text}");
    assert!(text.contains("Computed by this report from the evidence, not recorded in the run."));
    for file in ["0001-before/accessibility.json.zst", "0002-after/screenshot.png"] {
        assert!(text.contains(&format!("data/captures/{file}")), "{file}");
    }
    assert_eq!(html.matches("with each place that changed outlined").count(), 1);
    // What the report drew is no evidence: only the two pictures are carried as such.
    assert_eq!(html.matches("data-file=\"data/captures/").count(), 2);
    assert_eq!(folder.report(), html);

    let told = serde_json::to_value(changes(folder.path()).expect("changes")).expect("JSON");
    let pair = &told["pairs"][0];
    let expected = json!({"words": "Role of alice: Viewer → Admin", "became": "changed",
        "subject": "Role of alice", "before": "Viewer", "after": "Admin", "times": 1});
    assert_eq!(pair["words"]["changes"], json!([expected]));
    let expected = json!([{"x": 50, "y": 30, "width": 30, "height": 30, "changed_pixels": 100}]);
    assert_eq!(pair["pixels"]["boxes"], expected);
    let mut oscal = Vec::new();
    folder.put("data/run.json", br#"{"run": "r", "opened_at": "2026-11-24T08:15:46Z"}"#);
    let options = Options::default();
    write_oscal(folder.path(), &options, &mut oscal).expect("memory").expect("a document");
    let oscal: Value = serde_json::from_slice(&oscal).expect("JSON");
    let observations = oscal["assessment-results"]["results"][0]["observations"].as_array();
    let last = observations.and_then(|all| all.last()).expect("observations");
    let description = "From capture 0001-before to 0002-after: Role of alice: Viewer → Admin. \
                       100 of 20000 pixels changed (0.5 %), in 1 place.";
    assert_eq!(last["description"], description);
    assert_eq!(last["relevant-evidence"].as_array().map(Vec::len), Some(4));
}

#[test]
fn a_difference_of_altered_files_is_marked_wherever_it_is_told() {
    let marks = |html: &str| {
        ["this is drawn on files that are not", "is not a difference of what was recorded"]
            .map(|mark| html.contains(mark))
    };
    for (file, by_length) in [("screenshot.png", true), ("accessibility.json.zst", false)] {
        let mut after = shot("0002-after", "after", "Admin");
        after.picture.2 = 60;
        let folder = folder(&[shot("0001-before", "before", "Viewer"), after]);
        assert_eq!(marks(&folder.report()), [false, false]);
        assert!(!changes(folder.path()).expect("changes").to_string().contains("recorded"));
        let path = folder.path().join("data/captures/0002-after").join(file);
        let bytes = if by_length {
            let mut bytes = crate::disk::read_limited(&path, 1 << 20).expect("read");
            bytes.push(0);
            bytes
        } else {
            tree("Role of alice: Owner")
        };
        crate::disk::replace(&path, &bytes, 0o600).expect("replaced");
        let html = folder.report();
        assert_eq!(marks(&html), [true, true], "{file}");
        assert!(words(&html).contains(&format!(
            "What changed ALTERED: this is not the file that was recorded: data/captures/0002-after/{file}"
        )));
        let told = changes(folder.path()).expect("changes").to_string();
        assert!(told.contains("This difference is not one of what was recorded."), "{told}");
        assert!(told.contains(file));
    }
}

#[test]
fn pages_that_say_the_same_and_pages_that_say_nothing() {
    let same = folder(&[shot("0001-a", "before", "Admin"), shot("0002-b", "after", "Admin")]);
    let text = words(&same.report());
    assert!(text.contains("The pages say the same in words. No pixel of the pictures changed."));
    assert!(!text.contains("outlined in the picture"));
    let mut silent = shot("0002-b", "after", "Admin");
    silent.says = None;
    silent.picture = (200, 150, 0);
    let mut pages = folder(&[shot("0001-a", "before", "Admin"), silent]);
    let text = words(&pages.report());
    assert!(text.contains("There are no words: 0002-b was kept without an accessibility tree."));
    assert!(text.contains("of unlike size, 200 × 100 before and 200 × 150 after"), "{text}");
    let mut photo = shot("0002-b", "after", "Admin");
    photo.file = "screenshot.webp";
    pages = folder(&[shot("0001-a", "before", "Admin"), photo]);
    let text = words(&pages.report());
    assert!(text.contains("The pixels are not compared: the picture of 0002-b is no PNG."));
    let told = changes(pages.path()).expect("changes").to_string();
    assert!(told.contains("say the same in words.\n  The pixels are not compared"), "{told}");
}

#[test]
fn hostile_and_damaged_trees_and_pictures_are_words_and_no_more() {
    let mut evil = shot("0002-b", "after", EVIL);
    evil.picture.2 = 60;
    let folder = folder(&[shot("0001-a", "before", "Viewer"), evil]);
    let html = folder.report();
    assert_harmless(&html);
    assert!(
        words(&html).contains("Role of alice: Viewer → “&#60;/script&#62;"),
        "{}",
        words(&html)
    );
    let told = changes(folder.path()).expect("changes").to_string();
    assert!(told.contains("\\u{202e}") && !told.contains('\u{202e}'), "{told}");

    let file = folder.path().join("data/captures/0002-b/accessibility.json.zst");
    for (bytes, why) in [
        (b"no frame".to_vec(), "cannot be unpacked, or is too large to be compared here"),
        (pack::compress(b"{}").expect("packed"), "is unreadable: it is no accessibility tree"),
        (
            pack::compress(&vec![b' '; 40 << 20]).expect("packed"),
            "cannot be unpacked, or is too large",
        ),
    ] {
        crate::disk::replace(&file, &bytes, 0o600).expect("replaced");
        assert!(words(&folder.report()).contains(why), "{why}");
    }
    let picture = folder.path().join("data/captures/0002-b/screenshot.png");
    crate::disk::replace(&picture, b"no picture", 0o600).expect("replaced");
    let text = words(&folder.report());
    assert!(text.contains("not compared: the picture is not a complete, undamaged PNG"), "{text}");
}

#[test]
fn each_page_is_compared_with_itself_and_never_with_every_other() {
    let at = |mut shot: Shot, address| {
        shot.address = address;
        shot
    };
    let (one, two) = ("http://desk.example/1", "http://desk.example/2");
    let shots = [
        at(shot("0001", "before", "a"), one),
        at(shot("0002", "before", "b"), two),
        at(shot("0003", "before", "c"), one),
        at(shot("0004", "after", "d"), "http://desk.example/2#top"),
        at(shot("0005", "after", "e"), one),
        at(shot("0006", "after", "f"), one),
    ];
    let folder = folder(&shots);
    let told = serde_json::to_value(changes(folder.path()).expect("changes")).expect("JSON");
    let names = |told: &Value| {
        let pairs = told["pairs"].as_array().expect("pairs");
        pairs.iter().map(|pair| format!("{} {}", pair["before"], pair["after"])).collect::<Vec<_>>()
    };
    assert_eq!(names(&told), ["\"0001\" \"0006\"", "\"0002\" \"0004\""]);
    let html = folder.report();
    assert!(
        html.contains("id=\"slide-at-2\"") && html.contains("What changed: Alice, 0001 to 0006")
    );

    let names_of: Vec<&'static str> =
        (0..300).map(|number| &*format!("{number:04}").leak()).collect();
    let pages: Vec<&'static str> =
        (0..150).map(|number| &*format!("http://desk.example/{number}").leak()).collect();
    let many = (0..300).map(|number| {
        let stage = if number < 150 { "before" } else { "after" };
        at(shot(names_of[number], stage, "x"), pages[number % 150])
    });
    let many = super::compared::folder(&many.collect::<Vec<_>>());
    let told = serde_json::to_value(changes(many.path()).expect("changes")).expect("JSON");
    assert_eq!((names(&told).len(), &told["left_out"]), (8, &json!(142)));
    assert!(many.report().contains("142 further pairs of captures are not compared here."));

    // Two pages that were never seen twice are compared all the same, and it is said.
    let folder = super::compared::folder(&[
        at(shot("0001", "before", "a"), one),
        at(shot("0002", "after", "b"), two),
    ]);
    let text = words(&folder.report());
    assert!(text.contains(&format!("These are two addresses: {one} before and {two} after.")));
}
