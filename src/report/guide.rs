//! Owns the words of VERIFY.txt as they stand in a report: its paragraphs, headings and commands.
//! The text is ours and the same as beside the evidence; nothing of it comes from a folder.

/// A piece of the guide.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Some sentences.
    Words(String),
    /// A step with its number.
    Step(String),
    /// A list.
    Items(Vec<String>),
    /// A command for the shell.
    Command(String),
}

/// The guide in its parts, each with its title.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) title: String,
    pub(super) pieces: Vec<Piece>,
}

/// The parts of `guide`, whose headings are underlined.
pub(super) fn parts(guide: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut lines = guide.lines().peekable();
    while let Some(line) = lines.next() {
        let underline = |next: &&str| next.len() > 3 && next.chars().all(|c| c == '=' || c == '-');
        if lines.next_if(underline).is_some() {
            parts.push(Part { title: line.to_owned(), pieces: Vec::new() });
        } else if let Some(part) = parts.last_mut() {
            part.add(line);
        }
    }
    parts
}

impl Part {
    fn add(&mut self, line: &str) {
        if let Some(command) = line.strip_prefix("    ") {
            if let Some(Piece::Command(text)) = self.pieces.last_mut() {
                *text = format!("{text}\n{command}");
            } else {
                self.pieces.push(Piece::Command(command.to_owned()));
            }
            return;
        }
        let (words, is_new) = (line.trim(), !line.starts_with(' '));
        if words.is_empty() {
            // The next words are a paragraph of their own.
            self.pieces.push(Piece::Words(String::new()));
        } else if let Some(item) = words.strip_prefix("- ") {
            match self.pieces.last_mut() {
                Some(Piece::Items(items)) => items.push(item.to_owned()),
                _ => self.pieces.push(Piece::Items(vec![item.to_owned()])),
            }
        } else if is_new && words.starts_with(|c: char| c.is_ascii_digit()) {
            self.pieces.push(Piece::Step(words.to_owned()));
        } else {
            match self.pieces.last_mut() {
                // Only what is set in goes on with an item.
                Some(Piece::Items(items)) if !is_new => {
                    let item = items.last_mut().expect("a list has an item");
                    *item = format!("{item} {words}");
                }
                Some(Piece::Words(text) | Piece::Step(text)) => {
                    if !text.is_empty() {
                        text.push(' ');
                    }
                    text.push_str(words);
                }
                _ => self.pieces.push(Piece::Words(words.to_owned())),
            }
        }
    }

    /// The pieces that say something.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().filter(|piece| **piece != Piece::Words(String::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_beside_the_evidence_is_understood() {
        let parts = parts(crate::evidence::GUIDE);
        let titles: Vec<&str> = parts.iter().map(|part| part.title.as_str()).collect();
        assert_eq!(titles.len(), 3, "{titles:?}");
        let commands = parts[0].pieces().filter(|piece| matches!(piece, Piece::Command(_))).count();
        let steps = parts[0].pieces().filter(|piece| matches!(piece, Piece::Step(_))).count();
        // The last step needs more than a command; a script of ours in stock tools has it.
        assert_eq!((commands, steps), (9, 10));
        let items = parts[2].pieces().find_map(|piece| match piece {
            Piece::Items(items) => Some(items.len()),
            _ => None,
        });
        assert_eq!(items, Some(4));
        let last = parts[0].pieces().filter_map(|piece| match piece {
            Piece::Command(text) => Some(text.lines().count()),
            _ => None,
        });
        assert_eq!(last.last(), Some(6));
    }
}
