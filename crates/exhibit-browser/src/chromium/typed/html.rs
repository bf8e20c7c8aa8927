//! Owns the search for fields in the text of a document, and takes short secrets out of these fields
//! alone: out of their `value`, or their text. Each `<` may begin a tag, also within a script or a
//! value, so that no page can lead the search astray; what may be read so often is limited in
//! proportion to the text, and a text that needs more is withheld.

use std::collections::HashMap;
use std::ops::Range;

use super::Field;
use crate::secret::REDACTED;
use crate::tasks::CancelFlag;

/// How often each byte of a text may be read, on average. Honest documents need two.
const READINGS: usize = 16;
/// Readings that a short text may need beyond that.
const LEAST: usize = 1 << 16;

/// A text that cannot be searched through is not told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Withheld;

/// The fields that are looked for, by what a tag says of itself.
struct FieldLookup<'a> {
    by_id: HashMap<&'a str, Vec<&'a str>>,
    by_name: HashMap<&'a str, Vec<&'a str>>,
    /// The values of those that say nothing.
    nameless: Vec<&'a str>,
}

impl<'a> FieldLookup<'a> {
    fn new(fields: &'a [Field]) -> Self {
        let mut wanted =
            Self { by_id: HashMap::new(), by_name: HashMap::new(), nameless: Vec::new() };
        for Field { id, name, value } in fields {
            if id.is_empty() && name.is_empty() {
                wanted.nameless.push(value);
            }
            for (key, list) in [(id, &mut wanted.by_id), (name, &mut wanted.by_name)] {
                let values = list.entry(key.as_str()).or_default();
                if !key.is_empty() && !values.contains(&value.as_str()) {
                    values.push(value);
                }
            }
        }
        wanted.nameless.sort_unstable();
        wanted.nameless.dedup();
        wanted
    }

    /// The values that the field of `tag` may have.
    fn values(&self, tag: &Tag<'_>) -> Vec<&'a str> {
        let of = |list: &HashMap<&str, Vec<&'a str>>, name: &str| {
            let said = tag.attributes.iter().filter(|one| one.name.eq_ignore_ascii_case(name));
            let lists = said.filter_map(|one| list.get(unescaped(one.text).as_str()).cloned());
            lists.flatten().collect::<Vec<_>>()
        };
        let mut values = of(&self.by_id, "id");
        values.extend(of(&self.by_name, "name"));
        values.extend(&self.nameless);
        values
    }
}

/// `html` without what stands in `fields`; none when nothing of it does.
///
/// # Errors
/// [`Withheld`] when the text would have to be read over and over, or nobody waits for it any more.
pub(super) fn cleaned(
    html: &str,
    fields: &[Field],
    asked: &CancelFlag,
) -> Result<Option<String>, Withheld> {
    let wanted = FieldLookup::new(fields);
    let mut left = html.len().saturating_mul(READINGS).saturating_add(LEAST);
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, _) in html.match_indices('<') {
        let (tag, read) = Tag::read(html, at);
        let (places, more) = tag.map_or_else(Default::default, |tag| tag.holding(html, &wanted));
        found.extend(places);
        left = left.checked_sub(read + more).ok_or(Withheld)?;
        if asked.is_over() {
            return Err(Withheld);
        }
    }
    if found.is_empty() {
        return Ok(None);
    }
    found.sort_by_key(|range| (range.start, range.end));
    let mut kept = String::with_capacity(html.len());
    let mut from = 0;
    for range in found.into_iter().filter(|range| !range.is_empty()) {
        if range.start >= from {
            kept.push_str(&html[from..range.start]);
            kept.push_str(REDACTED);
        }
        from = from.max(range.end);
    }
    kept.push_str(&html[from..]);
    Ok(Some(kept))
}

/// The beginning of an element.
struct Tag<'a> {
    name: &'a str,
    attributes: Vec<Attribute<'a>>,
    /// The end of its beginning.
    end: usize,
}

struct Attribute<'a> {
    name: &'a str,
    text: &'a str,
    place: Range<usize>,
}

/// Attributes that tell which field a tag is, and what it holds.
const TOLD: [&str; 4] = ["id", "name", "value", "contenteditable"];

impl<'a> Tag<'a> {
    /// The beginning of an element at `at`, if it is one, and how much was read for that.
    fn read(html: &'a str, at: usize) -> (Option<Self>, usize) {
        let mut reached = at + 1;
        let tag = Self::read_on(html, at, &mut reached);
        (tag, reached - at)
    }

    fn read_on(html: &'a str, at: usize, reached: &mut usize) -> Option<Self> {
        let rest = &html[at + 1..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        let Some(end) = end else { return gone(html, reached) };
        let name = &rest[..end];
        *reached = at + 1 + end;
        if name.is_empty() {
            return None;
        }
        let mut tag = Self { name, attributes: Vec::new(), end: 0 };
        let mut from = at + 1 + end;
        loop {
            let next = html[from..].find(|c: char| !c.is_whitespace() && c != '/');
            let Some(next) = next else { return gone(html, reached) };
            from += next;
            *reached = from;
            if html[from..].starts_with(['>', '<']) {
                tag.end = from + 1;
                return Some(tag);
            }
            let rest = &html[from..];
            let end = rest.find(|c: char| c.is_whitespace() || "=>/".contains(c));
            let Some(end) = end else { return gone(html, reached) };
            let name = &rest[..end];
            from += end.max(1);
            let Some((place, end)) = value_at(html, from) else { return gone(html, reached) };
            (from, *reached) = (end, end);
            if TOLD.iter().any(|told| name.eq_ignore_ascii_case(told)) {
                tag.attributes.push(Attribute { name, text: &html[place.clone()], place });
            }
        }
    }

    /// Where the tag holds a value that is looked for, and how much was read for that.
    fn holding(&self, html: &str, wanted: &FieldLookup<'_>) -> (Vec<Range<usize>>, usize) {
        let values = wanted.values(self);
        if values.is_empty() {
            return (Vec::new(), 0);
        }
        let value = self.attributes.iter().find(|one| one.name.eq_ignore_ascii_case("value"));
        let value = value.filter(|one| values.contains(&unescaped(one.text).as_str()));
        let mut places: Vec<Range<usize>> =
            value.into_iter().map(|one| one.place.clone()).collect();
        if !self.holds_text() {
            return (places, values.len());
        }
        let text = html[self.end..].find('<').map_or(html.len(), |more| self.end + more);
        let held = unescaped(html[self.end..text].trim());
        if values.iter().any(|value| value.trim() == held) {
            places.push(self.end..text);
        }
        (places, values.len() + text - self.end)
    }

    fn holds_text(&self) -> bool {
        let says = |one: &Attribute<'_>| one.name.eq_ignore_ascii_case("contenteditable");
        self.name.eq_ignore_ascii_case("textarea") || self.attributes.iter().any(says)
    }
}

/// The text ends within a tag.
fn gone<T>(html: &str, reached: &mut usize) -> Option<T> {
    *reached = html.len();
    None
}

/// The value of the attribute whose name ends at `from`, and the end of the attribute.
fn value_at(html: &str, from: usize) -> Option<(Range<usize>, usize)> {
    let Some(value) = html[from..].strip_prefix('=') else { return Some((from..from, from)) };
    Some(match value.chars().next()? {
        quote @ ('"' | '\'') => {
            let end = from + 2 + html[from + 2..].find(quote)?;
            (from + 2..end, end + 1)
        }
        _ => {
            let end = from + 1 + value.find(|c: char| c.is_whitespace() || c == '>')?;
            (from + 1..end, end)
        }
    })
}

/// Text as it reads. These are all the escapes a short value can need.
fn unescaped(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&#39;", "'").replace("&nbsp;", "\u{a0}").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(id: &str, name: &str, value: &str) -> Field {
        Field { id: id.to_owned(), name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn a_short_value_leaves_its_own_field_and_no_other() {
        let html = "<p title=123>123<input id=\"n\" value=\"123\"><INPUT name='cvv' VALUE='123' />\
                    <input value=123 name=cvv><textarea id=\"a&amp;b\">\n123</textarea>\
                    <script>a<b;'<input name=cvv value=123>'</script><i a='<input name=cvv value=123>'><b";
        let fields = [field("", "cvv", "123"), field("a&b", "", "123"), field("q", "cvv", "77")];
        let kept = "<p title=123>123<input id=\"n\" value=\"123\"><INPUT name='cvv' \
                    VALUE='[redacted]' /><input value=[redacted] name=cvv><textarea \
                    id=\"a&amp;b\">[redacted]</textarea><script>a<b;'<input name=cvv \
                    value=[redacted]>'</script><i a='<input name=cvv value=[redacted]>'><b";
        let asked = CancelFlag::default();
        assert_eq!(cleaned(html, &fields, &asked).expect("read").as_deref(), Some(kept));
        let others = [field("x", "y", "123"), field("", "cvv", "12")];
        assert_eq!(cleaned(html, &others, &asked), Ok(None));
    }

    #[test]
    fn a_text_that_would_be_read_over_and_over_is_withheld_at_once() {
        let fields: Vec<Field> = (0..500).map(|n| field(&format!("f{n}"), "", "ab")).collect();
        let nameless: Vec<Field> = (0..500).map(|n| field("", "", &format!("{n}"))).collect();
        let begun = tokio::time::Instant::now();
        let hostile = ["<a x", "<a x=\"<a \" ", "<a ", "<a x='", "<textarea ", "<a/", "<"];
        for piece in hostile {
            let html = piece.repeat(100_000 / piece.len());
            for fields in [&fields, &nameless] {
                drop(cleaned(&html, fields, &CancelFlag::default()));
            }
        }
        // A second or so; read over and over, each would take minutes.
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", begun.elapsed());
        let html = "<a x".repeat(25_000);
        assert_eq!(cleaned(&html, &fields, &CancelFlag::default()), Err(Withheld));
    }

    #[test]
    fn an_honest_document_is_read_however_long() {
        let row = "<tr class=\"a b\"><td style=\"color: red\"><a href=\"/x?a=1&amp;b=2\">text</a></td>\
                   <td><input name=\"n\" value=\"5\" onclick=\"if (a<b) go('<p>')\"></td></tr>\n";
        let html = format!("<table>{}<input name=cvv value=123>", row.repeat(5_000));
        let kept = cleaned(&html, &[field("", "cvv", "123")], &CancelFlag::default());
        assert!(kept.expect("read").is_some_and(|kept| kept.ends_with("value=[redacted]>")));
    }
}
