//! Owns the settings of a PDF: paper, margins, what is printed on it.

use serde::Serialize;

/// Inches of a millimetre.
const MILLIMETRE: f64 = 1.0 / 25.4;

/// Sizes of paper by name: width and height in inches, upright. ISO 216 and ANSI.
const PAPERS: &[(&str, f64, f64)] = &[
    ("Letter", 8.5, 11.0),
    ("Legal", 8.5, 14.0),
    ("Tabloid", 11.0, 17.0),
    ("Ledger", 17.0, 11.0),
    ("A0", 841.0 * MILLIMETRE, 1189.0 * MILLIMETRE),
    ("A1", 594.0 * MILLIMETRE, 841.0 * MILLIMETRE),
    ("A2", 420.0 * MILLIMETRE, 594.0 * MILLIMETRE),
    ("A3", 297.0 * MILLIMETRE, 420.0 * MILLIMETRE),
    ("A4", 210.0 * MILLIMETRE, 297.0 * MILLIMETRE),
    ("A5", 148.0 * MILLIMETRE, 210.0 * MILLIMETRE),
    ("A6", 105.0 * MILLIMETRE, 148.0 * MILLIMETRE),
];

/// A sheet, in inches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Paper {
    /// Inches.
    pub width: f64,
    /// Inches.
    pub height: f64,
}

impl Paper {
    /// The paper called `name`, whatever its case.
    pub fn named(name: &str) -> Option<Self> {
        let found = PAPERS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))?;
        Some(Self { width: found.1, height: found.2 })
    }

    /// The names there are.
    pub fn names() -> String {
        PAPERS.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ")
    }
}

/// Distances from the edges of the sheet, in inches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Margin {
    /// Inches.
    pub top: f64,
    /// Inches.
    pub right: f64,
    /// Inches.
    pub bottom: f64,
    /// Inches.
    pub left: f64,
}

/// A CSS length in inches: `10mm`, `1in`, `2.5cm`, `96px`, `72pt`; a bare number counts pixels.
pub fn inches(length: &str) -> Option<f64> {
    let length = length.trim();
    let digits = length.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(length.len());
    let (number, unit) = length.split_at(digits);
    let number: f64 = number.parse().ok()?;
    let per_inch = match unit.trim() {
        "" | "px" => 96.0,
        "in" => 1.0,
        "cm" => 2.54,
        "mm" => 25.4,
        "pt" => 72.0,
        "pc" => 6.0,
        _ => return None,
    };
    Some(number / per_inch).filter(|inches| inches.is_finite())
}

/// How a page is printed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pdf {
    /// The sheet, upright.
    pub paper: Paper,
    /// Whether the sheet lies on its side.
    pub landscape: bool,
    /// Whether backgrounds are printed.
    pub print_background: bool,
    /// Distances from the edges.
    pub margin: Margin,
    /// Size of the content, 0.1 to 2.
    pub scale: f64,
    /// Whether the content is made smaller where its width does not fit the sheet.
    pub fit_to_width: bool,
    /// Whether a size of paper that the page's own style sheets name is taken instead.
    pub prefer_css_page_size: bool,
    /// Whether the document tells its structure (headings, tables, languages) to those who do not see
    /// it: several times as large, and as long in the making.
    pub tagged: bool,
    /// Which pages, `1-5, 8`; all when not given.
    pub page_ranges: Option<String>,
    /// Whether header and footer are printed.
    pub display_header_footer: bool,
    /// HTML of the header, in Chromium's template language.
    pub header_template: Option<String>,
    /// HTML of the footer.
    pub footer_template: Option<String>,
}

impl Default for Pdf {
    /// The hosted API's defaults.
    fn default() -> Self {
        Self {
            paper: Paper { width: 210.0 * MILLIMETRE, height: 297.0 * MILLIMETRE },
            landscape: false,
            print_background: true,
            margin: Margin::default(),
            scale: 1.0,
            fit_to_width: false,
            prefer_css_page_size: false,
            tagged: false,
            page_ranges: None,
            display_header_footer: false,
            header_template: None,
            footer_template: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_css_means_them() {
        let cases = [
            ("1in", 1.0),
            ("25.4mm", 1.0),
            ("2.54 cm", 1.0),
            ("96", 1.0),
            ("72pt", 1.0),
            ("0", 0.0),
        ];
        for (text, wanted) in cases {
            let read = inches(text).expect(text);
            assert!((read - wanted).abs() < 1e-9, "{text}: {read}");
        }
        for text in ["", "mm", "1em", "-1in", "1..2in", "one"] {
            assert_eq!(inches(text), None, "{text}");
        }
    }

    #[test]
    fn paper_is_found_whatever_its_case() {
        assert_eq!(Paper::named("letter"), Some(Paper { width: 8.5, height: 11.0 }));
        assert_eq!(Paper::named("B4"), None);
        assert_eq!(Paper::named("a4"), Some(Pdf::default().paper));
    }
}
