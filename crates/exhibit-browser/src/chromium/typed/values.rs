//! Owns the values that were typed into fields for secrets, and the search for them in a text: as they
//! are, and as an address, a document or a script spells them. All are looked for in one pass, so that
//! the search is linear in the text, however many values there are; a part of a value that stands
//! before a cut (`…`) is found, too. A page that has more of them than can be kept is told of in no
//! text at all.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

use super::spelled::{BETWEEN, Form, View, torn};
use crate::secret::REDACTED;
use crate::tasks::CancelFlag;

/// Shorter values are words of any text; they are taken out of their own fields only.
pub(super) const SHORTEST: usize = 4;
/// So many bytes of a value before a cut are a part of it.
const PART: usize = 3;
/// A number of so many digits is also looked for in groups, as cards and codes show theirs.
const GROUPED: usize = 6;
/// Most values of a page, and most bytes of all of them: beyond that, its texts are withheld.
const MOST: usize = 1_000;
const MOST_BYTES: usize = 64 * 1024;
/// What a text that was cut ends with.
const CUT: &[u8] = "…".as_bytes();
/// Bytes between two looks at whether anybody still waits for the search.
const PACE: usize = 64 * 1024;

/// Values that stand in no text. Cheap to clone.
#[derive(Clone, Default)]
pub(in crate::chromium) struct Values(Arc<Known>);

#[derive(Clone, Default)]
struct Known {
    values: HashSet<String>,
    bytes: usize,
    /// Whether there are more than can be kept.
    over: bool,
    /// Made when it is first needed.
    search: OnceLock<Option<Search>>,
}

impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Values").field(&self.0.values.len()).finish()
    }
}

impl Values {
    /// One more value.
    pub(super) fn add(&mut self, value: &str) {
        if self.0.over || value.chars().count() < SHORTEST || self.0.values.contains(value) {
            return;
        }
        let known = Arc::make_mut(&mut self.0);
        if known.values.len() >= MOST || known.bytes + value.len() > MOST_BYTES {
            known.over = true;
        } else {
            known.bytes += value.len();
            known.values.insert(value.to_owned());
        }
        known.search = OnceLock::new();
    }

    /// There are more than can be told.
    pub(super) fn add_untold(&mut self) {
        if !self.0.over {
            Arc::make_mut(&mut self.0).over = true;
        }
    }

    /// Whether there are none.
    pub(in crate::chromium) fn is_empty(&self) -> bool {
        self.0.values.is_empty() && !self.0.over
    }

    /// Whether there are more than can be kept: every text of the page is withheld.
    pub(in crate::chromium) fn is_over(&self) -> bool {
        self.0.over
    }

    /// `text` without the values; none when it has none of them. A text is withheld whole when there
    /// are more values than can be kept, or when nobody is waiting for it any more.
    pub(super) fn cleaned(&self, text: &str, asked: &CancelFlag) -> Option<String> {
        if self.is_empty() || text.len() < PART {
            return None;
        }
        if self.0.over {
            return Some(REDACTED.to_owned());
        }
        let search = self.0.search.get_or_init(|| Search::new(&self.0.values));
        let found = search.as_ref().and_then(|search| search.find(text, asked));
        let Some(found) = found else { return Some(REDACTED.to_owned()) };
        if found.is_empty() {
            return None;
        }
        let (mut kept, mut from) = (String::with_capacity(text.len()), 0);
        for Range { start, end } in found {
            kept.push_str(&text[from..start]);
            kept.push_str(REDACTED);
            from = end;
        }
        kept.push_str(&text[from..]);
        Some(kept)
    }
}

/// What looks for the values.
#[derive(Clone)]
struct Search {
    words: Option<Machine>,
    /// Numbers, without what stands between their digits.
    numbers: Option<Machine>,
}

impl Search {
    /// None when the values cannot be looked for.
    fn new(values: &HashSet<String>) -> Option<Self> {
        let words: BTreeSet<String> = values.iter().flat_map(|value| spellings(value)).collect();
        let numbers: BTreeSet<String> = values.iter().filter_map(|value| number(value)).collect();
        let machine = |words: BTreeSet<String>| match words.len() {
            0 => Some(None),
            _ => Machine::new(&words).map(Some),
        };
        Some(Self { words: machine(words)?, numbers: machine(numbers)? })
    }

    /// Where in `text` there are values, in order and apart from each other; none when it was given up.
    fn find(&self, text: &str, asked: &CancelFlag) -> Option<Vec<Range<usize>>> {
        let mut found = Vec::new();
        let plain = View::plain(text);
        self.find_in(text, &plain, asked, &mut found)?;
        for form in [Form::Percent, Form::Query, Form::Entity, Form::Backslash] {
            let Some(view) = plain.decoded(form) else { continue };
            self.find_in(text, &view, asked, &mut found)?;
            // An address in a document, and an address within another one.
            for inner in [Form::Percent, Form::Query, Form::Entity] {
                if let Some(view) = view.decoded(inner) {
                    self.find_in(text, &view, asked, &mut found)?;
                }
            }
        }
        Some(found)
    }

    fn find_in(
        &self,
        text: &str,
        view: &View<'_>,
        asked: &CancelFlag,
        found: &mut Vec<Range<usize>>,
    ) -> Option<()> {
        if let Some(words) = &self.words {
            join(found, words.find(view, asked)?);
        }
        if let Some(numbers) = &self.numbers
            && let Some(view) = view.decoded(Form::Groups)
        {
            let mut groups = numbers.find(&view, asked)?;
            for range in &mut groups {
                // What follows the last group is not part of it.
                range.end = range.start + text[range.clone()].trim_end_matches(BETWEEN).len();
            }
            join(found, groups);
        }
        Some(())
    }
}

/// Looks for many words in one pass (Aho and Corasick).
#[derive(Clone)]
struct Machine {
    automaton: NFA,
    start: StateID,
    /// How much of a word has been read in each state.
    depths: HashMap<StateID, usize>,
}

impl Machine {
    fn new(words: &BTreeSet<String>) -> Option<Self> {
        let mut builder = NFA::builder();
        let built = builder.match_kind(MatchKind::Standard).build(words);
        let automaton = built.ok()?;
        let start = automaton.start_state(Anchored::No).ok()?;
        let mut depths = HashMap::new();
        for word in words {
            let mut state = start;
            for (at, byte) in word.bytes().enumerate() {
                state = automaton.next_state(Anchored::No, state, byte);
                depths.insert(state, at + 1);
            }
        }
        Some(Self { automaton, start, depths })
    }

    /// Where in the text itself there are words, or parts of words before a cut: in order, apart.
    fn find(&self, view: &View<'_>, asked: &CancelFlag) -> Option<Vec<Range<usize>>> {
        const RECENT: usize = 16;
        let mut found: Vec<Range<usize>> = Vec::new();
        let mut add = |start: usize, end: usize| {
            let place = view.place(start)..view.place(end);
            let mut start = place.start;
            // Ends come in order; what overlaps with those before goes with them.
            while let Some(before) = found.pop_if(|before| before.end > start) {
                start = start.min(before.start);
            }
            found.push(start..place.end);
        };
        let bytes = view.text.as_bytes();
        // The last states, for the places before a cut that is within a spelling.
        let mut recent = [self.start; RECENT];
        let mut state = self.start;
        for (at, byte) in bytes.iter().enumerate() {
            if at % PACE == 0 && asked.is_over() {
                return None;
            }
            recent[at % RECENT] = state;
            if *byte == CUT[0] && bytes[at..].starts_with(CUT) {
                let before = view.text[..at].strip_suffix(' ').unwrap_or(&view.text[..at]);
                for end in [at, before.len()] {
                    let end = end - torn(&view.text[..end]);
                    let part = self.depths.get(&recent[end % RECENT]).copied().unwrap_or_default();
                    if part >= PART {
                        add(end - part, at);
                    }
                }
            }
            state = self.automaton.next_state(Anchored::No, state, *byte);
            if self.automaton.is_match(state) {
                // The first is the longest that ends here.
                let word = self.automaton.match_pattern(state, 0);
                add(at + 1 - self.automaton.pattern_len(word), at + 1);
            }
        }
        Some(found)
    }
}

/// Both lists of places as one, each in order and apart.
fn join(found: &mut Vec<Range<usize>>, more: Vec<Range<usize>>) {
    if more.is_empty() {
        return;
    }
    let mut all = std::mem::take(found);
    all.extend(more);
    all.sort_by_key(|range| range.start);
    for range in all {
        match found.last_mut() {
            Some(before) if before.end > range.start => before.end = before.end.max(range.end),
            _ => found.push(range),
        }
    }
}

/// A value as it was typed, as a field of one line keeps it, and as a page may show it.
fn spellings(value: &str) -> BTreeSet<String> {
    let lines = value.replace("\r\n", "\n").replace('\r', "\n");
    let words: Vec<&str> = value.split_whitespace().collect();
    let mut all = BTreeSet::from([
        value.to_owned(),
        value.trim().to_owned(),
        lines.replace('\n', ""),
        lines.replace('\n', "\r\n"),
        lines,
        words.join(" "),
    ]);
    all.extend(number(value));
    if !value.is_ascii() {
        let composed = ComposingNormalizerBorrowed::new_nfc();
        let apart = DecomposingNormalizerBorrowed::new_nfd();
        let both = |text: &String| [composed.normalize(text).into(), apart.normalize(text).into()];
        all.extend(all.iter().flat_map(both).collect::<Vec<String>>());
    }
    all.retain(|spelling| spelling.chars().count() >= SHORTEST);
    all
}

/// The digits of a number that may be shown in groups.
fn number(value: &str) -> Option<String> {
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    let is_number = value.chars().all(|c| c.is_ascii_digit() || BETWEEN.contains(&c));
    (is_number && digits.len() >= GROUPED).then_some(digits)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tokio::time::Instant;

    use super::*;

    fn values(typed: &[&str]) -> Values {
        let mut values = Values::default();
        for value in typed {
            values.add(value);
        }
        values
    }

    fn cleaned(values: &Values, text: &str) -> Option<String> {
        values.cleaned(text, &CancelFlag::default())
    }

    #[test]
    fn a_value_is_found_in_each_spelling() {
        let value = "a&b \"ü\"+<%20>_\\";
        let typed = values(&[value]);
        let query = url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>();
        let address = query.replace('+', "%20");
        let within = url::form_urlencoded::byte_serialize(address.as_bytes()).collect::<String>();
        let latin = "a%26b%20%22%FC%22+%3C%2520%3E_%5C";
        let document = "a&amp;b &quot;ü&quot;+&lt;%20&gt;_\\";
        let apart = "a&b \"u\u{308}\"+<%20>_\\";
        let markdown = "a&b \"ü\"+<%20>\\_\\\\";
        let script = json!(value).to_string();
        let script = script.trim_matches('"');
        let escaped = "a\\u0026b \\u0022\\u00fc\\u0022+\\u003c%20\\u003e_\\\\";
        let spellings =
            [value, &query, &address, &within, latin, document, apart, markdown, script, escaped];
        for spelling in spellings {
            let text = format!("a=%C3% & <{spelling}> \\ end");
            let kept = cleaned(&typed, &text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(kept, "a=%C3% & <[redacted]> \\ end", "{text}");
        }
        assert_eq!(cleaned(&typed, "a&b \"u\"+<%20>_\\"), None);
    }

    #[test]
    fn a_number_is_found_in_groups_and_what_overlaps_goes_as_one() {
        let typed = values(&["4111111111111111", "4111", "482913", "3782 822463 10005", "123"]);
        let text = "4111 1111 1111 1111, 4111-1111-1111-1111, 4111111111111111, 482 913 and 123, \
                    <b>4&nbsp;8&nbsp;2913</b> 3782-822463-10005, 48 29 14";
        let kept = "[redacted], [redacted], [redacted], [redacted] and 123, <b>[redacted]</b> \
                    [redacted], 48 29 14";
        assert_eq!(cleaned(&typed, text).as_deref(), Some(kept));
        assert_eq!(cleaned(&values(&["abcde", "defgh"]), "xabcdefghy").unwrap(), "x[redacted]y");
        let nested = values(&["defg", "abcdefg", "cdef", "efghi"]);
        assert_eq!(cleaned(&nested, "xabcdefgh abcdefghi").unwrap(), "x[redacted]h [redacted]");
    }

    #[test]
    fn the_part_of_a_value_before_a_cut_goes_as_well() {
        let typed = values(&["Qx7Wordpass", "kein öl & mehr"]);
        let cases = [
            ("xxQx7Wordpas…", "xx[redacted]…"),
            ("xxQx7…, Qx7Wor…", "xx[redacted]…, [redacted]…"),
            ("?p=kein%20%C3%B6l%2…", "?p=[redacted]…"),
            ("?p=kein+%C3…", "?p=[redacted]…"),
            ("kein öl &am…", "[redacted]…"),
            ("\"kein \\u00f6l\\u00…", "\"[redacted]…"),
            ("[3]<a>Qx7W…</a>", "[3]<a>[redacted]…</a>"),
            (
                "failed (Qx7W … 12 characters left out …",
                "failed ([redacted]… 12 characters left out …",
            ),
        ];
        for (text, kept) in cases {
            assert_eq!(cleaned(&typed, text).as_deref(), Some(kept), "{text}");
        }
        // What is no part of one, one that is no beginning, and one that was not cut.
        for text in ["Wordpass…", "Qx…", "Qx7Wordpas", "Loading…"] {
            assert_eq!(cleaned(&typed, text), None, "{text}");
        }
        // Each place at which a text can be cut, in each spelling.
        for spelling in ["kein öl & mehr", "kein%20%C3%B6l%20%26%20mehr", "kein &#xf6;l &amp; mehr"]
        {
            for (end, _) in spelling.char_indices().skip(4) {
                let kept = cleaned(&typed, &format!("a {}…", &spelling[..end]));
                assert_eq!(kept.as_deref(), Some("a [redacted]…"), "{}", &spelling[..end]);
            }
        }
    }

    #[test]
    fn more_than_can_be_kept_withholds_every_text() {
        let mut many = Values::default();
        for number in 0..MOST {
            many.add(&format!("value{number:04}"));
        }
        assert_eq!(cleaned(&many, "a value0999 b").as_deref(), Some("a [redacted] b"));
        many.add("value0999");
        assert!(!many.is_over(), "one that is known is no more");
        many.add("one more");
        let mut long = Values::default();
        long.add(&"x".repeat(MOST_BYTES + 1));
        let mut untold = Values::default();
        untold.add_untold();
        for values in [many, long, untold] {
            assert!(values.is_over() && !values.is_empty());
            assert_eq!(cleaned(&values, "whatever").as_deref(), Some(REDACTED));
        }
    }

    #[test]
    fn a_search_that_nobody_waits_for_is_given_up_and_tells_nothing() {
        let asked = CancelFlag::over();
        assert_eq!(values(&["s3cret"]).cleaned("harmless", &asked).as_deref(), Some(REDACTED));
    }

    /// The shortest of three runs.
    fn time(work: impl Fn()) -> Duration {
        let run = |_| {
            let begun = Instant::now();
            work();
            begun.elapsed()
        };
        (0..3).map(run).min().expect("three runs")
    }

    #[test]
    fn the_search_costs_the_same_for_many_values_as_for_one_and_grows_with_the_text_alone() {
        let spelled = "aaaa%20&amp;\\u0020…";
        let few = values(&["aaaaaaaa"]);
        let mut many = Values::default();
        for length in 4..300 {
            many.add(&"a".repeat(length));
        }
        for number in 0..600 {
            many.add(&format!("value{number}"));
        }
        let (text, twice) = (spelled.repeat(800), spelled.repeat(3_200));
        cleaned(&many, &text);
        let one = time(|| drop(cleaned(&few, &text))).max(Duration::from_millis(1));
        assert!(time(|| drop(cleaned(&many, &text))) < one * 20, "hundreds of values");
        // Four times the text; its square would be sixteen times.
        let base = time(|| drop(cleaned(&many, &text))).max(Duration::from_millis(1));
        assert!(time(|| drop(cleaned(&many, &twice))) < base * 10, "four times the text");
    }
}
