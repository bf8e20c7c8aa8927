//! Owns the words for what makes an altered view: one for each field that does.

/// The fields through which a page is changed or not real, and what each does to it.
const WORDS: &[(&str, &str)] = &[
    ("html", "HTML handed over by the caller, not loaded from a server"),
    ("markdown", "Markdown handed over by the caller, not loaded from a server"),
    ("viewportDevice", "window of another device"),
    ("viewportMobile", "laid out as on a phone"),
    ("viewportHasTouch", "touch screen pretended"),
    ("darkMode", "dark colours asked for"),
    ("reducedMotion", "less motion asked for"),
    ("mediaType", "style sheets of another medium"),
    ("geolocation", "place pretended"),
    ("headers", "request headers added"),
    ("cookies", "cookies put in place"),
    ("authState", "signed in by cookies and storage put in place"),
    ("userAgent", "another browser's name sent"),
    ("timeZone", "time zone pretended"),
    ("locale", "language and region pretended"),
    ("bypassCSP", "the page's content security policy not applied"),
    ("hideSelectors", "elements hidden"),
    ("injectCss", "style sheet injected"),
    ("injectJs", "script injected"),
    ("click", "element clicked"),
    ("evaluate", "script run by a step before"),
    ("blockAds", "advertisements blocked"),
    ("blockBanners", "cookie banners blocked"),
    ("blockChats", "chat windows blocked"),
    ("blockTrackers", "trackers blocked"),
    ("blockRequests", "requests blocked"),
    ("blockResources", "kinds of resources blocked"),
    ("omitBackground", "background made transparent"),
    ("expandScrollers", "areas that scroll by themselves shown in full height"),
];

/// What the field `name` does to a page, in words; the name itself where there are none.
pub fn alteration(name: &str) -> &str {
    WORDS.iter().find(|(known, _)| *known == name).map_or(name, |(_, words)| words)
}

#[cfg(test)]
mod tests {
    use super::super::{CaptureSettings, MediaType, PageSettings, Picture, Product, Target};
    use super::*;

    #[test]
    fn every_field_that_alters_a_view_has_words() {
        let mut page = PageSettings::of(Target::Html(String::new()));
        page.device = Some("x".into());
        (page.viewport.mobile, page.viewport.touch) = (true, true);
        (page.dark_mode, page.reduced_motion, page.bypass_csp) = (true, true, true);
        page.media_type = Some(MediaType::Print);
        page.geolocation =
            Some(super::super::Geolocation { latitude: 0.0, longitude: 0.0, accuracy: 1.0 });
        page.headers.push(("a".into(), crate::secret::Secret::new("b".into())));
        page.cookies.push(super::super::page::Cookie::new(
            "a".into(),
            crate::secret::Secret::new("b".into()),
        ));
        page.auth_state = Some(super::super::AuthState::default());
        (page.user_agent, page.time_zone) = (Some("a".into()), Some("UTC".into()));
        page.locale = super::super::Locale::new("de-CH");
        page.edits.hide_selectors.push("a".into());
        page.edits.inject_css = Some("a".into());
        page.edits.inject_js = Some("a".into());
        page.edits.click = Some("a".into());
        let blocking = &mut page.blocking;
        (blocking.ads, blocking.banners) = (true, true);
        (blocking.chats, blocking.trackers) = (true, true);
        blocking.requests.push("a".into());
        blocking.resources.push(crate::blocking::Resource::Image);
        page.carried = vec!["evaluate", "markdown"];
        let full = super::super::FullPage { expand_scrollers: true, ..Default::default() };
        let region = super::super::Region::FullPage(full);
        let picture = Picture { omit_background: true, region, ..Picture::default() };
        let settings = CaptureSettings { page, product: Product::Picture(picture) };
        let names = settings.altered_by();
        assert_eq!(names.len(), WORDS.len(), "{names:?}");
        for name in names {
            assert_ne!(alteration(name), name);
        }
        assert_eq!(alteration("new"), "new");
    }
}
