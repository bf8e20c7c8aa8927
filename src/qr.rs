//! Owns QR codes (ISO/IEC 18004): a few hundred bytes as a picture that survives on paper. Knows
//! nothing of what they say.

use std::fmt::Write as _;

use qrcodegen::{QrCode, QrCodeEcc};

/// Light modules around the code, which readers need (ISO/IEC 18004, 6.3.8).
const QUIET: i32 = 4;

/// A code. Dark modules are black, the rest must be light.
pub struct Qr(QrCode);

impl Qr {
    /// The code of `text`; none when it is longer than a code can be, some 2,300 bytes.
    pub fn of(text: &str) -> Option<Self> {
        // Medium: paper gets folded and stained, and 15 % may be gone.
        QrCode::encode_binary(text.as_bytes(), QrCodeEcc::Medium).ok().map(Self)
    }

    /// Width and height in modules, with what is light around it.
    pub fn side(&self) -> i32 {
        self.0.size() + 2 * QUIET
    }

    fn is_dark(&self, x: i32, y: i32) -> bool {
        self.0.get_module(x - QUIET, y - QUIET)
    }

    /// The dark modules as the path of an SVG, a module being a unit.
    pub fn path(&self) -> String {
        let mut path = String::new();
        for y in 0..self.side() {
            for x in (0..self.side()).filter(|x| self.is_dark(*x, y)) {
                write!(path, "M{x} {y}h1v1h-1z").expect("a string takes everything");
            }
        }
        path
    }

    /// The code for a terminal: dark on light, two rows of modules to a line.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        (0..self.side()).step_by(2).map(|y| {
            let row: String = (0..self.side())
                .map(|x| match (self.is_dark(x, y), self.is_dark(x, y + 1)) {
                    (false, false) => ' ',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (true, true) => '█',
                })
                .collect();
            format!("\x1b[30;47m{row}\x1b[0m")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: &str = "bench.example/exhibit\n3\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        — bench.example/exhibit Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

    /// What another implementation reads from the code whose modules `is_dark` tells.
    fn read(side: usize, is_dark: impl Fn(usize, usize) -> bool) -> String {
        const SCALE: usize = 4;
        let mut picture =
            rqrr::PreparedImage::prepare_from_greyscale(side * SCALE, side * SCALE, |x, y| {
                if is_dark(x / SCALE, y / SCALE) { 0 } else { 255 }
            });
        let grids = picture.detect_grids();
        assert_eq!(grids.len(), 1);
        grids[0].decode().expect("readable").1
    }

    #[test]
    fn another_reader_reads_it_from_the_modules_the_path_and_the_lines() {
        let code = Qr::of(NOTE).expect("short enough");
        let side = usize::try_from(code.side()).expect("positive");
        let number = |at: usize| i32::try_from(at).expect("small");
        assert_eq!(read(side, |x, y| code.is_dark(number(x), number(y))), NOTE);
        let path = code.path();
        assert_eq!(read(side, |x, y| path.contains(&format!("M{x} {y}h1v1h-1z"))), NOTE);
        let lines: Vec<Vec<char>> =
            code.lines().map(|line| line.chars().skip(8).collect()).collect();
        let halves = |x: usize, y: usize| match lines[y / 2][x] {
            '█' => true,
            '▀' => y.is_multiple_of(2),
            '▄' => !y.is_multiple_of(2),
            _ => false,
        };
        assert_eq!(read(side, halves), NOTE);
    }

    #[test]
    fn what_is_too_long_has_none() {
        assert!(Qr::of(&"x".repeat(2331)).is_some());
        assert!(Qr::of(&"x".repeat(2332)).is_none());
    }
}
