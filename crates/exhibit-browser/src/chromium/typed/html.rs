//! Owns the search for fields in the text of a document, and takes short secrets out of these fields
//! alone: out of their `value`, or their text.

use std::ops::Range;

use super::Field;
use crate::secret::REDACTED;

/// `html` without what stands in `fields`; none when nothing of it does.
pub(super) fn cleaned(html: &str, fields: &[Field]) -> Option<String> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, _) in html.match_indices('<') {
        let Some(tag) = Tag::read(html, at) else { continue };
        for field in fields {
            found.extend(tag.holding(html, field));
        }
    }
    if found.is_empty() {
        return None;
    }
    found.sort_by_key(|range| range.start);
    found.dedup();
    let mut kept = String::with_capacity(html.len());
    let mut from = 0;
    for range in found {
        kept.push_str(&html[from..range.start]);
        kept.push_str(REDACTED);
        from = range.end;
    }
    kept.push_str(&html[from..]);
    Some(kept)
}

/// The beginning of an element.
struct Tag<'a> {
    name: String,
    attributes: Vec<Attribute<'a>>,
    /// The end of its beginning.
    end: usize,
}

struct Attribute<'a> {
    name: String,
    text: &'a str,
    place: Range<usize>,
}

impl Attribute<'_> {
    fn is(&self, value: &str) -> bool {
        unescaped(self.text) == value
    }
}

impl<'a> Tag<'a> {
    /// The beginning of an element at `at`.
    fn read(html: &'a str, at: usize) -> Option<Self> {
        let rest = &html[at + 1..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))?;
        let name = rest[..end].to_ascii_lowercase();
        if name.is_empty() {
            return None;
        }
        let mut tag = Self { name, attributes: Vec::new(), end: 0 };
        let mut from = at + 1 + end;
        loop {
            from += html[from..].find(|c: char| !c.is_whitespace() && c != '/')?;
            if html[from..].starts_with(['>', '<']) {
                tag.end = from + 1;
                return Some(tag);
            }
            let rest = &html[from..];
            let end = rest.find(|c: char| c.is_whitespace() || "=>/".contains(c))?;
            let name = rest[..end].to_ascii_lowercase();
            from += end.max(1);
            let (place, end) = value_at(html, from)?;
            from = end;
            tag.attributes.push(Attribute { name, text: &html[place.clone()], place });
        }
    }

    /// Where the tag of `field` holds its value.
    fn holding(&self, html: &str, field: &Field) -> Vec<Range<usize>> {
        let known = (!field.id.is_empty() && self.says("id", &field.id))
            || (!field.name.is_empty() && self.says("name", &field.name))
            || (field.id.is_empty() && field.name.is_empty());
        if !known {
            return Vec::new();
        }
        let value = self.attributes.iter().find(|one| one.name == "value");
        let value = value.filter(|one| one.is(&field.value)).map(|one| one.place.clone());
        let text = html[self.end..].find('<').map_or(html.len(), |more| self.end + more);
        let same = unescaped(html[self.end..text].trim()) == field.value.trim();
        let text = (self.holds_text() && same).then_some(self.end..text);
        value.into_iter().chain(text).collect()
    }

    fn says(&self, name: &str, value: &str) -> bool {
        self.attributes.iter().any(|one| one.name == name && one.is(value))
    }

    fn holds_text(&self) -> bool {
        self.name == "textarea" || self.attributes.iter().any(|one| one.name == "contenteditable")
    }
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
                    <input value=123 name=cvv><textarea id=\"a&amp;b\">\n123</textarea><b";
        let fields = [field("", "cvv", "123"), field("a&b", "", "123")];
        let kept = "<p title=123>123<input id=\"n\" value=\"123\"><INPUT name='cvv' \
                    VALUE='[redacted]' /><input value=[redacted] name=cvv><textarea \
                    id=\"a&amp;b\">[redacted]</textarea><b";
        assert_eq!(cleaned(html, &fields).as_deref(), Some(kept));
        assert_eq!(cleaned(html, &[field("x", "y", "123"), field("", "cvv", "12")]), None);
    }
}
