//! Owns which characters of a text are shown as themselves: those that can be seen, that stand where
//! they belong, and that cannot be taken for letters of another script (after UTS 39).

use std::sync::{LazyLock, OnceLock};

use regex::RegexSet;

/// Most marks on one letter.
const MARKS: usize = 4;

/// What a character is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Seen, and no part of a word.
    Sign,
    /// Not seen, or not for certain.
    Hidden,
    Space,
    /// Drawn on the letter before it.
    Mark,
    /// Drawn over what stands before it.
    Cover,
    AsciiDigit,
    Digit,
    Letter(Script),
}

/// Where a letter belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    Latin,
    /// Of a script that nobody takes for Latin.
    East,
    /// Of another script.
    Of(Home),
    /// Of another script, and easily taken for a Latin letter.
    Twin(Home),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    Greek,
    Cyrillic,
    Armenian,
    /// Full width, for East Asian text.
    Wide,
    /// Letters in the guise of Latin ones: mathematical, phonetic, numerals, dead scripts.
    Guise,
    Elsewhere,
}

/// Letters of Greek, Cyrillic and Armenian that are drawn like Latin ones.
const TWINS: &str = "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαβγεηικνορτυχωϲϳϹϜͿ\
    АВЕЅІЈКМНОРСТУХаеорсухѕіјһӏӀԁԛԝԌԚԜҺҮүѴѵгкпвмнтьЬбЗзОΟ\
    ՍՕօսոհյցգքլիԼ";

/// What characters are; the first that fits counts, and what fits none is a sign.
const CLASSES: [(&str, Class); 13] = [
    (
        r"[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\x{2800}\x{fffc}\x{1d159}\x{13441}\x{13442}\x{16fe4}]",
        Class::Hidden,
    ),
    (r"\p{Zs}", Class::Space),
    (r"[\x{334}-\x{338}\x{20d0}-\x{20f0}\x{fe20}-\x{fe2f}\p{Me}]", Class::Cover),
    (r"\p{M}", Class::Mark),
    (
        r"[[\x{17f}\x{1c0}-\x{1c3}\x{250}-\x{2af}\x{1d00}-\x{1dbf}\x{2100}-\x{218b}\x{a720}-\x{a7ff}\x{ab30}-\x{ab6f}\x{1d400}-\x{1d7ff}\p{Cherokee}\p{Coptic}\p{Deseret}\p{Lisu}\p{Old_Italic}\p{Osage}]&&[\p{L}\p{Nl}\p{Nd}]]",
        Class::Letter(Script::Twin(Home::Guise)),
    ),
    (r"\p{Nd}", Class::Digit),
    (r"[[\x{ff21}-\x{ff5a}]&&\p{L}]", Class::Letter(Script::Twin(Home::Wide))),
    (
        r"[[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Bopomofo}]&&\p{L}]",
        Class::Letter(Script::East),
    ),
    (r"[\p{Latin}&&\p{L}]", Class::Letter(Script::Latin)),
    (r"[\p{Greek}&&\p{L}]", Class::Letter(Script::Of(Home::Greek))),
    (r"[\p{Cyrillic}&&\p{L}]", Class::Letter(Script::Of(Home::Cyrillic))),
    (r"[\p{Armenian}&&\p{L}]", Class::Letter(Script::Of(Home::Armenian))),
    // Letters of all scripts, such as µ and signs of sounds, stand between words.
    (r"[[\p{L}\p{Nl}]--[\p{Common}\p{Inherited}]]", Class::Letter(Script::Of(Home::Elsewhere))),
];

static EXPRESSIONS: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new(CLASSES.map(|(expression, _)| expression)).expect("the expressions are sound")
});

/// What each character is, in rows of 256 that are filled when one of them is asked for: the
/// expressions take a microsecond each, and an agent chooses how many there are.
static ROWS: [OnceLock<Box<[Class; 256]>>; 0x1100] = [const { OnceLock::new() }; 0x1100];

fn class(letter: char) -> Class {
    match letter {
        ' ' => Class::Space,
        'a'..='z' | 'A'..='Z' => Class::Letter(Script::Latin),
        '0'..='9' => Class::AsciiDigit,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => Class::Hidden,
        '!'..='~' => Class::Sign,
        other => {
            let (row, column) = (u32::from(other) >> 8, u32::from(other) & 0xff);
            let of = |column| char::from_u32((row << 8) + column).map_or(Class::Hidden, looked_up);
            let fill =
                || Box::new(std::array::from_fn(|column| of(u32::try_from(column).unwrap_or(0))));
            ROWS[row as usize].get_or_init(fill)[column as usize]
        }
    }
}

fn looked_up(letter: char) -> Class {
    let found = EXPRESSIONS.matches(letter.encode_utf8(&mut [0; 4])).iter().next();
    match found.map(|index| CLASSES[index].1) {
        Some(Class::Letter(Script::Of(home))) if TWINS.contains(letter) => {
            Class::Letter(Script::Twin(home))
        }
        found => found.unwrap_or(Class::Sign),
    }
}

/// Whether `letter` can be seen wherever it stands.
pub(super) fn is_seen(letter: char) -> bool {
    class(letter) != Class::Hidden
}

/// Of each letter of a text whether it is shown as itself.
pub(super) fn judge(text: &[char]) -> Vec<bool> {
    let classes: Vec<Class> = text.iter().map(|letter| class(*letter)).collect();
    let mut plain: Vec<bool> = classes.iter().map(|class| *class != Class::Hidden).collect();
    judge_spaces(text, &classes, &mut plain);
    judge_marks(&classes, &mut plain);
    let in_word = |class: &Class| !matches!(class, Class::Sign | Class::Space);
    let mut from = 0;
    while from < classes.len() {
        let length = classes[from..].iter().take_while(|class| in_word(class)).count();
        let word = from..from + length;
        judge_word(&classes[word.clone()], &classes, &mut plain[word]);
        from += length.max(1);
    }
    plain
}

/// A space other than the common one is shown where something seen stands on each side.
fn judge_spaces(text: &[char], classes: &[Class], plain: &mut [bool]) {
    let is_seen = |class: Option<&Class>| {
        class.is_some_and(|class| !matches!(class, Class::Hidden | Class::Space))
    };
    for (index, class) in classes.iter().enumerate() {
        if *class == Class::Space && text[index] != ' ' {
            let before = index.checked_sub(1).and_then(|before| classes.get(before));
            plain[index] = is_seen(before) && is_seen(classes.get(index + 1));
        }
    }
}

/// A mark is shown on a letter, and few on each.
fn judge_marks(classes: &[Class], plain: &mut [bool]) {
    let mut room = 0;
    for (class, plain) in classes.iter().zip(plain) {
        match class {
            Class::Letter(_) => room = MARKS,
            Class::Mark if room > 0 => room -= 1,
            Class::Mark | Class::Cover => *plain = false,
            _ => room = 0,
        }
    }
}

/// Letters and digits of a word that could be taken for those of another script are not plain.
fn judge_word(word: &[Class], text: &[Class], plain: &mut [bool]) {
    let letters = || {
        word.iter().filter_map(|class| match class {
            Class::Letter(script) => Some(*script),
            _ => None,
        })
    };
    let latin = letters().any(|script| script == Script::Latin);
    let numbers = word.contains(&Class::AsciiDigit);
    let mut homes = letters().filter_map(home);
    let first = homes.next();
    let mixed = homes.any(|other| Some(other) != first);
    let twins = letters().all(|script| matches!(script, Script::Twin(_)));
    let at_home = |home: Home| match home {
        Home::Guise => false,
        Home::Wide => text.contains(&Class::Letter(Script::East)),
        home => text.contains(&Class::Letter(Script::Of(home))),
    };
    for (class, plain) in word.iter().zip(plain) {
        let deceives = match class {
            Class::Digit => latin || numbers,
            Class::Letter(Script::Twin(home)) => {
                latin || mixed || (twins && !at_home(*home)) || *home == Home::Guise
            }
            // Signs of units and differences: µ, Ω, Δ.
            Class::Letter(Script::Of(home)) => latin && *home != Home::Greek,
            _ => false,
        };
        *plain = *plain && !deceives;
    }
}

fn home(script: Script) -> Option<Home> {
    match script {
        Script::Of(home) | Script::Twin(home) => Some(home),
        Script::Latin | Script::East => None,
    }
}
