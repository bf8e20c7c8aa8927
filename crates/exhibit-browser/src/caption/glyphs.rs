//! Owns the letters: a fixed-width font of X11 (public domain) and its bold sister, compiled into the
//! binary.

use embedded_graphics::geometry::{OriginDimensions as _, Point};
use embedded_graphics::image::GetPixel as _;
use embedded_graphics::mono_font::iso_8859_1::{FONT_7X13, FONT_7X13_BOLD};
use embedded_graphics::pixelcolor::BinaryColor;

/// Size of each letter.
pub(super) const WIDTH: usize = 7;
pub(super) const HEIGHT: usize = 13;

/// Call `dot` with the place of each dot of `letter`.
pub(super) fn dots(letter: char, bold: bool, mut dot: impl FnMut(usize, usize)) {
    let font = if bold { &FONT_7X13_BOLD } else { &FONT_7X13 };
    let columns = font.image.size().width as usize / WIDTH;
    let index = font.glyph_mapping.index(letter);
    let (left, top) = (index % columns * WIDTH, index / columns * HEIGHT);
    let place = |at: usize| i32::try_from(at).unwrap_or(i32::MAX);
    for (y, x) in (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (y, x))) {
        if font.image.pixel(Point::new(place(left + x), place(top + y))) == Some(BinaryColor::On) {
            dot(x, y);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::is_drawn;
    use super::*;

    fn drawing(letter: char, bold: bool) -> Vec<(usize, usize)> {
        let mut drawing = Vec::new();
        dots(letter, bold, |x, y| drawing.push((x, y)));
        drawing
    }

    #[test]
    fn every_letter_that_is_drawn_has_a_shape_of_its_own() {
        for bold in [false, true] {
            let letters: Vec<char> = ('\0'..='\u{ff}').filter(|one| is_drawn(*one)).collect();
            assert_eq!(letters.len(), 95 + 94);
            let shapes: std::collections::HashMap<_, _> =
                letters.iter().map(|one| (drawing(*one, bold), one)).collect();
            assert_eq!(shapes.len(), letters.len(), "bold: {bold}");
        }
        assert_eq!(drawing(' ', false), []);
    }
}
