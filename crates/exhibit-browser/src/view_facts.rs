//! Owns the facts of a picture's view, as they stand in the evidence: how what lay outside of the window
//! was painted, and what of the page the picture does not show although it seems to.

use serde::Serialize;

/// Most areas that are told of.
pub const MOST_INCOMPLETE: usize = 100;

/// An area of the page, in CSS pixels from its upper left corner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ViewBox {
    /// From the left.
    pub x: i64,
    /// From the top.
    pub y: i64,
    /// At least 1.
    pub width: i64,
    /// At least 1.
    pub height: i64,
}

impl ViewBox {
    /// Left, top, width and height, to whole pixels.
    pub fn rounded([x, y, width, height]: [f64; 4]) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "pixels of a page")]
        let whole = |value: f64| value.round() as i64;
        let (left, top) = (whole(x), whole(y));
        let (width, height) = (whole(x + width) - left, whole(y + height) - top);
        Self { x: left, y: top, width: width.max(1), height: height.max(1) }
    }
}

/// How what the browser leaves out beyond the window came into a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PaintWay {
    /// Sections that are skipped away from the window were painted; it is one shot.
    Sections,
    /// One shot of a window as tall as the page, whose layout it left as it was.
    TallWindow,
    /// Shots of windows that were scrolled to.
    Patches,
}

/// How a picture was put together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Painted {
    /// How.
    pub way: PaintWay,
    /// Sections with `content-visibility: auto` that were painted as in the window.
    pub sections: u64,
    /// Shots that parts of it come from.
    pub patches: u64,
    /// What was put into it.
    pub boxes: Vec<ViewBox>,
    /// Fixed and sticky elements that were hidden meanwhile, because they covered it.
    pub hidden: u64,
    /// The picture as the browser gave it, before anything was put into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<BasePicture>,
}

/// A picture as the browser gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BasePicture {
    /// Its file, beside the picture.
    pub file: &'static str,
    /// Its SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

/// Something of the page that a picture does not show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Incomplete {
    /// Why, one of the words of docs/FORMAT.md.
    pub reason: &'static str,
    /// Where.
    #[serde(flatten)]
    pub at: ViewBox,
    /// CSS pixels that an area scrolls further down than it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_height: Option<u64>,
    /// Address of what has nothing to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl Incomplete {
    /// An area, given by left, top, width and height, that is missing for `reason`.
    pub fn new(reason: &'static str, area: [f64; 4]) -> Self {
        Self { reason, at: ViewBox::rounded(area), hidden_height: None, url: None }
    }

    /// The same, with the address of what should be there.
    #[must_use]
    pub fn of(self, url: String) -> Self {
        Self { url: Some(url).filter(|url| !url.is_empty()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_area_is_told_with_its_box() {
        let told = Incomplete::new("image_failed", [9.6, 100.2, 30.5, 20.0]).of("http://a/".into());
        let expected = json!({
            "reason": "image_failed", "x": 10, "y": 100, "width": 30, "height": 20,
            "url": "http://a/",
        });
        assert_eq!(serde_json::to_value(told).expect("JSON"), expected);
    }
}
