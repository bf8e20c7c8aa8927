//! Owns the strip: fields below each other, labels of ours in a column of their own, words wrapped
//! in theirs. Drawn in small pixels, which become as many device pixels as the page's do.

use super::glyphs::{HEIGHT, WIDTH, dots};
use super::words::{Style, Words};

/// Letters of the column of labels, a blank on each side included.
const LABELS: usize = 12;
/// Most letters in a line of a field; what is right of them stays white.
const LINE: usize = 170;
/// Letters at the end of a line among which it is rather broken at a blank.
const RAGGED: usize = 20;
/// Small pixels of a line, and of the rule between two fields.
const LEADING: usize = HEIGHT + 2;
const RULE: usize = 1;

const BLACK: u8 = 0;
const WHITE: u8 = 255;
const GREY: u8 = 160;

/// What a caption says: a title, and fields in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caption {
    title: Words,
    fields: Vec<(&'static str, Words)>,
}

impl Caption {
    /// A caption without fields.
    pub fn new(title: &str) -> Self {
        Self { title: Words::default().marked(title), fields: Vec::new() }
    }

    /// With one more field; of the label, ten letters are shown.
    #[must_use]
    pub fn field(mut self, label: &'static str, words: Words) -> Self {
        self.fields.push((label, words));
        self
    }
}

/// A drawn caption: brightness of small pixels, row by row.
#[derive(Debug)]
pub(super) struct Strip {
    width: usize,
    pub(super) height: usize,
    grey: Vec<u8>,
}

impl Strip {
    /// `caption` in `width` small pixels.
    pub(super) fn draw(caption: &Caption, width: usize) -> Self {
        let mut strip = Self { width, height: 0, grey: Vec::new() };
        let letters = (width / WIDTH).saturating_sub(1).clamp(1, LABELS + LINE);
        for line in wrap(&caption.title, letters) {
            let top = strip.add_line(width);
            strip.write(WIDTH / 2, top, line);
        }
        let column = LABELS.min(letters / 2);
        for (label, words) in &caption.fields {
            let label: Vec<_> = label.chars().take(column.saturating_sub(2)).collect();
            let label: Vec<_> = label.into_iter().map(|one| (one, Style::Marked)).collect();
            for (index, line) in wrap(words, (letters - column).max(1)).enumerate() {
                let top = strip.add_line(column * WIDTH);
                if index == 0 {
                    strip.write(WIDTH / 2, top, &label);
                }
                strip.write((column + 1) * WIDTH - WIDTH / 2, top, line);
            }
            strip.add_rows(RULE, width, GREY);
        }
        strip
    }

    /// A row of the strip in device pixels, `scale` of which are a small one.
    pub(super) fn row(&self, y: usize, scale: usize) -> impl Iterator<Item = u8> {
        let row = &self.grey[y / scale * self.width..][..self.width];
        row.iter().flat_map(move |grey| std::iter::repeat_n(*grey, scale))
    }

    /// One more line, its left part black; answers where it begins.
    fn add_line(&mut self, black: usize) -> usize {
        let top = self.height + (LEADING - HEIGHT) / 2;
        self.add_rows(LEADING, black, BLACK);
        top
    }

    fn add_rows(&mut self, rows: usize, left: usize, colour: u8) {
        for _ in 0..rows {
            self.grey.extend((0..self.width).map(|x| if x < left { colour } else { WHITE }));
        }
        self.height += rows;
    }

    fn write(&mut self, left: usize, top: usize, line: &[(char, Style)]) {
        for (index, (letter, style)) in line.iter().enumerate() {
            let left = left + index * WIDTH;
            let marked = *style == Style::Marked;
            if marked {
                (top - 1..=top + HEIGHT).for_each(|y| self.fill(left, y));
            }
            let colour = if marked { WHITE } else { BLACK };
            dots(*letter, *style != Style::Plain, |x, y| self.set(left + x, top + y, colour));
        }
    }

    fn fill(&mut self, left: usize, y: usize) {
        (left..left + WIDTH).for_each(|x| self.set(x, y, BLACK));
    }

    fn set(&mut self, x: usize, y: usize, colour: u8) {
        if x < self.width && y < self.height {
            self.grey[y * self.width + x] = colour;
        }
    }
}

/// `words` in lines of at most `most` letters: one at least, each of one letter at least.
fn wrap(words: &Words, most: usize) -> impl Iterator<Item = &[(char, Style)]> {
    let mut rest = Some(words.cells());
    std::iter::from_fn(move || {
        let cells = rest.take()?;
        if cells.len() <= most {
            return Some(cells);
        }
        let blanks = cells[..most].iter().rposition(|(one, _)| *one == ' ');
        let end = blanks.filter(|at| at + RAGGED >= most).map_or(most, |at| at + 1);
        let (line, others) = cells.split_at(end);
        rest = Some(others);
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_blanks_where_there_are_some_and_nothing_is_lost() {
        let words =
            Words::default().plain("one two three").foreign(&"x".repeat(30), 99, Style::Bold);
        let lines = |most| -> Vec<String> {
            let text = |line: &[(char, Style)]| line.iter().map(|(one, _)| one).collect();
            wrap(&words, most).map(text).collect()
        };
        assert_eq!(lines(9), ["one two ", "threexxxx", "xxxxxxxxx", "xxxxxxxxx", "xxxxxxxx"]);
        for most in 1..60 {
            assert_eq!(lines(most).concat(), words.text(), "{most}");
        }
        assert_eq!(wrap(&Words::default(), 5).count(), 1);
    }
}
