//! Owns the two directions of Markdown: a caller's Markdown as a page of ours, and the text of a
//! page as Markdown.

use htmd::HtmlToMarkdown;
use pulldown_cmark::{Options, Parser, html};

/// What a page made of Markdown looks like.
const STYLE: &str = "body { max-width: 46rem; margin: 2.5rem auto; padding: 0 1.5rem; color: #1b1f24; \
                     font: 16px/1.6 system-ui, 'Liberation Sans', 'DejaVu Sans', sans-serif } \
                     h1, h2, h3 { line-height: 1.25 } pre, code { font-family: 'Liberation Mono', \
                     'DejaVu Sans Mono', monospace; background: #f3f4f6 } pre { padding: 1rem; \
                     overflow-x: auto } code { padding: .1em .3em } pre code { padding: 0 } \
                     table { border-collapse: collapse } th, td { border: 1px solid #d0d7de; \
                     padding: .35rem .75rem } blockquote { margin-inline: 0; padding-inline-start: 1rem; \
                     border-inline-start: 4px solid #d0d7de; color: #57606a } img { max-width: 100% }";

/// `markdown` (CommonMark with tables, strike-through, task lists and foot notes) as a document.
pub fn to_html(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES;
    let mut document =
        format!("<!doctype html><meta charset=\"utf-8\"><style>{STYLE}</style><body>");
    html::push_html(&mut document, Parser::new_ext(markdown, options));
    document
}

/// The text of `html` as Markdown; scripts, styles and navigation left out.
///
/// # Errors
/// When it cannot be read as a document.
pub fn from_html(html: &str) -> std::io::Result<String> {
    const LEFT_OUT: [&str; 9] =
        ["script", "style", "noscript", "template", "svg", "nav", "iframe", "head", "footer"];
    let converter = HtmlToMarkdown::builder().skip_tags(LEFT_OUT.to_vec()).build();
    converter.convert(html).map(|markdown| markdown.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_becomes_a_page_and_a_page_markdown() {
        let page = to_html("# Refund\n\n| a | b |\n|---|---|\n| 1 | 2 |\n");
        assert!(page.contains("<h1>Refund</h1>") && page.contains("<td>2</td>"), "{page}");
        let text =
            from_html("<body><nav>Home</nav><h1>Refund</h1><p>Was <b>paid</b>.<script>x</script>");
        assert_eq!(text.expect("a document"), "# Refund\n\nWas **paid**.");
    }
}
