//! Owns what a report says of a picture's view: what it does not show although it seems to, and how it
//! was put together.

use serde_json::{Map, Value};

use super::text::spoken;

/// Most areas that are told of one picture.
const MOST: usize = 20;

/// What the picture of a capture, whose event says `data`, does not show: a sentence each.
pub(super) fn incomplete(data: &Map<String, Value>) -> Vec<String> {
    let all = data.get("incomplete_view").and_then(Value::as_array);
    let all = all.map(Vec::as_slice).unwrap_or_default();
    let mut told: Vec<String> = all.iter().take(MOST).map(sentence).collect();
    if all.len() > MOST {
        told.push(format!("and {} more areas, in capture.json", all.len() - MOST));
    }
    told
}

fn sentence(one: &Value) -> String {
    let reason = one["reason"].as_str().unwrap_or_default();
    let hidden = spoken(&one["hidden_height"]);
    let what = match reason {
        "frame_not_loaded" => "a frame that did not load".to_owned(),
        "frame_not_painted" => "a frame that did not draw itself in time".to_owned(),
        "image_failed" => "an image that failed".to_owned(),
        "image_not_loaded" => "an image that had not arrived".to_owned(),
        "media_failed" => "a video that cannot be played".to_owned(),
        "canvas_lost" => "a canvas that lost what was drawn in it".to_owned(),
        "cut_at_viewport" => {
            format!("cut where an area scrolls by itself; {hidden} more pixels of it are not seen")
        }
        "layout_moved" => "not painted: the page moved when it was scrolled there".to_owned(),
        "not_reached" => "not painted: the page does not scroll there".to_owned(),
        "out_of_time" => "not painted: no time was left".to_owned(),
        "one_colour" => "all of the picture has one colour".to_owned(),
        _ => spoken(&one["reason"]),
    };
    let [x, y, width, height] = ["x", "y", "width", "height"].map(|name| spoken(&one[name]));
    let url = spoken(&one["url"]);
    let url = if url.is_empty() { url } else { format!(" ({url})") };
    format!("{what}, at {x}, {y}, {width} × {height} CSS pixels{url}")
}

/// How the picture was put together; empty where the browser took it as it is.
pub(super) fn painted(data: &Map<String, Value>) -> String {
    let Some(painted) = data.get("painted").filter(|painted| painted.is_object()) else {
        return String::new();
    };
    let sections = painted["sections"].as_u64().filter(|count| *count > 0);
    let sections = sections.map(|count| format!("sections painted as in the window: {count}"));
    let boxes = painted["boxes"].as_array().map_or(0, Vec::len);
    let patches = spoken(&painted["patches"]);
    let areas = match painted["way"].as_str() {
        Some("tall_window") => Some(format!("{boxes} areas from a window as tall as the page")),
        Some("patches") => Some(format!("{boxes} areas from {patches} windows scrolled to")),
        _ => None,
    };
    let hidden = painted["hidden"].as_u64().filter(|count| *count > 0);
    let hidden = hidden.map(|count| format!("fixed elements hidden from these: {count}"));
    [sections, areas, hidden].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn data(value: Value) -> Map<String, Value> {
        value.as_object().cloned().expect("an object")
    }

    #[test]
    fn areas_are_told_with_their_boxes_and_no_more_than_fit() {
        let one = json!({ "reason": "cut_at_viewport", "x": 0, "y": 60, "width": 1280, "height": 660,
                          "hidden_height": 3280 });
        let told = incomplete(&data(json!({ "incomplete_view": vec![one; MOST + 3] })));
        assert_eq!(told.len(), MOST + 1);
        assert!(told[0].contains("3280 more pixels") && told[0].contains("0, 60, 1280 × 660"));
        assert!(told[MOST].contains("3 more"));
        assert_eq!(incomplete(&data(json!({ "incomplete_view": "odd" }))), Vec::<String>::new());
        let odd = incomplete(&data(json!({ "incomplete_view": [7] })));
        assert_eq!(odd.len(), 1);
    }

    #[test]
    fn how_a_picture_was_put_together_is_told() {
        let painted = json!({ "way": "patches", "sections": 2, "patches": 3, "boxes": [{}, {}],
                              "hidden": 1 });
        let told = super::painted(&data(json!({ "painted": painted })));
        assert!(told.contains("2 areas from 3 windows") && told.contains("hidden"), "{told}");
        assert_eq!(super::painted(&data(json!({}))), "");
    }
}
