//! What is blocked, what is left alone, and that the lists hold no dead lines.

use std::collections::HashSet;
use std::thread;

use adblock::lists::{ParseOptions, ParsedLine, parse_filter};

use super::{Blocking, List, Resource, Why, matches};

const PAGE: &str = "https://shop.example/basket";

fn everything() -> Blocking {
    Blocking { ads: true, trackers: true, banners: true, chats: true, ..Blocking::default() }
}

fn only(list: List) -> Blocking {
    Blocking {
        ads: list == List::Ads,
        trackers: list == List::Trackers,
        banners: list == List::Banners,
        chats: list == List::Chats,
        ..Blocking::default()
    }
}

/// The lists that block a script on our page, asked one at a time.
fn named(url: &str) -> Vec<List> {
    let blocks = |list: &List| only(*list).judge(url, PAGE, Resource::Script).is_some();
    List::ALL.into_iter().filter(blocks).collect()
}

#[test]
fn each_list_blocks_its_own_and_no_other() {
    let cases = [
        ("https://securepubads.g.doubleclick.net/tag/js/gpt.js", List::Ads),
        ("https://pagead2.googlesyndication.com/pagead/js/adsbygoogle.js", List::Ads),
        ("https://cdn.taboola.com/libtrc/loader.js", List::Ads),
        ("https://ib.adnxs.com/ut/v3/prebid", List::Ads),
        ("https://static.criteo.net/js/ld/publishertag.js", List::Ads),
        ("https://www.google-analytics.com/analytics.js", List::Trackers),
        ("https://www.googletagmanager.com/gtm.js?id=GTM-1", List::Trackers),
        ("https://static.hotjar.com/c/hotjar-1.js", List::Trackers),
        ("https://o1.ingest.sentry.io/api/1/envelope/", List::Trackers),
        ("https://connect.facebook.net/en_US/fbevents.js", List::Trackers),
        ("https://www.facebook.com/tr?id=1&ev=PageView", List::Trackers),
        ("https://img.en25.com/i/elqCfg.min.js", List::Trackers),
        ("https://cdn.cookielaw.org/scripttemplates/otSDKStub.js", List::Banners),
        ("https://consent.cookiebot.com/uc.js", List::Banners),
        ("https://app.usercentrics.eu/browser-ui/latest/loader.js", List::Banners),
        ("https://cdn.jsdelivr.net/npm/cookieconsent@3/build/cookieconsent.min.js", List::Banners),
        ("https://cdn.iubenda.com/cs/iubenda_cs.js", List::Banners),
        ("https://widget.intercom.io/widget/abc", List::Chats),
        ("https://embed.tawk.to/1/default", List::Chats),
        ("https://static.zdassets.com/ekr/snippet.js?key=1", List::Chats),
        ("https://js.driftt.com/include/1/abc.js", List::Chats),
        ("wss://nexus-websocket-a.intercom.io/pubsub", List::Chats),
    ];
    for (url, list) in cases {
        assert_eq!(named(url), [list], "{url}");
    }
}

#[test]
fn consent_scripts_are_blocked_on_the_site_itself() {
    let cases = [
        "https://shop.example/wp-content/plugins/complianz-gdpr/cookiebanner/js/complianz.min.js",
        "https://shop.example/js/tarteaucitron.js",
        "https://shop.example/js/klaro.js?v=2",
    ];
    for url in cases {
        assert_eq!(named(url), [List::Banners], "{url}");
    }
}

#[test]
fn innocent_addresses_are_left_alone() {
    let cases = [
        "https://example.com/ads.html",
        "https://example.com/ads/banner.png",
        "https://tracker.internal/tickets.js",
        "http://analytics.corp.internal/report.js",
        "https://intranet/chat/cookie-banner.js",
        "https://notdoubleclick.net.example/x.js",
        "https://mydoubleclick.net/x.js",
        "https://example.com/?from=https://doubleclick.net/",
        "https://connect.facebook.net/en_US/sdk.js",
        "https://logo.clearbit.com/example.com",
        "https://static.zdassets.com/hc/assets/en-us.js",
        "https://consent.cookiebot.com/1234/cd.js",
        "https://cdn.iubenda.com/iubenda.js",
        "https://fonts.googleapis.com/css2?family=Inter",
        "https://js.stripe.com/v3/",
        "https://cdn.jsdelivr.net/npm/vue@3/dist/vue.global.js",
        "http://127.0.0.1:8080/app.js",
        "http://[::1]/app.js",
        "data:image/png;base64,AAAA",
        "blob:https://shop.example/1-2-3",
    ];
    for url in cases {
        assert_eq!(named(url), [], "{url}");
    }
}

#[test]
fn a_company_keeps_its_own_site() {
    let cases = [
        ("https://static.hotjar.com/c/hotjar-1.js", "https://www.hotjar.com/", List::Trackers),
        ("https://embed.tawk.to/1/default", "https://dashboard.tawk.to/", List::Chats),
        ("https://cdn.taboola.com/a.js", "https://taboola.com/", List::Ads),
        ("https://edge.cookiefirst.com/a.js", "https://cookiefirst.com/", List::Banners),
        ("https://platform.illow.io/banner.js", "https://illow.io/", List::Banners),
    ];
    for (url, own, list) in cases {
        assert_eq!(everything().judge(url, own, Resource::Script), None, "{url}");
        assert_eq!(named(url), [list], "{url}");
    }
}

#[test]
fn every_kind_but_the_document_is_blocked_by_a_list() {
    let ad = "https://ad.doubleclick.net/x";
    for kind in Resource::ASKABLE.into_iter().chain([Resource::Frame]) {
        assert_eq!(everything().judge(ad, PAGE, kind), Some(Why::List(List::Ads)), "{kind}");
    }
}

#[test]
fn the_document_is_never_blocked() {
    let mut all = everything();
    all.requests = vec!["*".to_owned()];
    all.resources = vec![Resource::Document, Resource::Other];
    for url in ["https://www.doubleclick.net/", "https://intercom.io/", PAGE] {
        assert_eq!(all.judge(url, url, Resource::Document), None);
        assert_eq!(all.judge(url, "", Resource::Document), None);
    }
}

#[test]
fn an_unreadable_address_is_not_blocked() {
    let mut all = everything();
    all.requests = vec!["*".to_owned()];
    all.resources = Resource::ASKABLE.to_vec();
    for url in ["", "not a url", "http://", "//doubleclick.net/x", "http://[::1", "ht\u{0}tp:/é"] {
        for kind in Resource::ASKABLE {
            assert_eq!(all.judge(url, PAGE, kind), None, "{url:?}");
        }
        assert!(all.hidden_selectors(url).is_empty(), "{url:?}");
    }
    for source in ["", "not a url", "about:blank", "data:text/html,x"] {
        let why = everything().judge("https://ad.doubleclick.net/x", source, Resource::Image);
        assert_eq!(why, Some(Why::List(List::Ads)), "{source:?}");
    }
}

#[test]
fn kinds_are_read_in_both_spellings() {
    assert_eq!(Resource::from_word("XHR"), Some(Resource::Xhr));
    assert_eq!(Resource::from_word("eventsource"), Some(Resource::EventSource));
    assert_eq!(Resource::from_word("document"), None);
    assert_eq!(Resource::from_word("frame"), None);
    assert_eq!(Resource::from_word("images"), None);
    for kind in Resource::ASKABLE {
        assert_eq!(Resource::from_word(&kind.word().to_uppercase()), Some(kind));
    }
    let protocol = "Document Stylesheet Image Media Font Script TextTrack XHR Fetch Prefetch \
        EventSource WebSocket Manifest SignedExchange Ping CSPViolationReport Preflight FedCM Other";
    let words = protocol.split(' ').map(Resource::from_protocol).map(Resource::word);
    let expected = "document stylesheet image media font script texttrack xhr fetch other \
        eventsource websocket manifest other other other other other other";
    assert_eq!(words.collect::<Vec<_>>().join(" "), expected);
    assert_eq!(Resource::from_protocol("SomethingNew"), Resource::Other);
    assert_eq!(Resource::from_protocol("Document").in_frame(), Resource::Frame);
    assert_eq!(Resource::Image.in_frame(), Resource::Image);
}

#[test]
fn kinds_are_blocked() {
    let images = Blocking { resources: vec![Resource::Image], ..Blocking::default() };
    let url = "https://shop.example/logo.png";
    let why = images.judge(url, PAGE, Resource::Image);
    assert_eq!(why.map(|w| w.to_string()).as_deref(), Some("blockResources: image"));
    assert_eq!(images.judge(url, PAGE, Resource::Media), None);
}

#[test]
fn patterns_match_as_in_chromium() {
    let url = "https://shop.example/img/Logo.png?x=1";
    for pattern in
        ["shop.example", "*.png*", "https://*/img/", "*", "img*x=1", "**g**", url, "://shop*?x="]
    {
        assert!(matches(pattern, url), "{pattern}");
    }
    for pattern in ["", "logo.png", "x=1*img", "png*png", "^https", "shop.example$", "sh?p", "é*"]
    {
        assert!(!matches(pattern, url), "{pattern}");
    }
    assert!(matches("ü*", "https://example.com/grün/é"));
}

#[test]
fn a_pattern_is_named() {
    let blocking = Blocking {
        requests: vec!["*.woff2".to_owned(), "*/fonts/*".to_owned()],
        ..Blocking::default()
    };
    let why = blocking.judge("https://a.example/fonts/x.ttf", PAGE, Resource::Font);
    assert_eq!(why.map(|w| w.to_string()).as_deref(), Some("blockRequests: */fonts/*"));
    assert_eq!(blocking.judge("https://a.example/x.ttf", PAGE, Resource::Font), None);
}

#[test]
fn reasons_are_words() {
    let words = List::ALL.map(|list| Why::List(list).to_string());
    assert_eq!(words, ["ads", "trackers", "banners", "chats"]);
}

#[test]
fn nothing_asked_is_nothing_blocked() {
    let none = Blocking::default();
    assert!(none.is_empty());
    assert!(none.hidden_selectors(PAGE).is_empty());
    assert_eq!(none.judge("https://ad.doubleclick.net/x", PAGE, Resource::Image), None);
    assert!(!everything().is_empty());
    assert!(!Blocking { requests: vec!["x".to_owned()], ..Blocking::default() }.is_empty());
    assert!(!Blocking { resources: vec![Resource::Font], ..Blocking::default() }.is_empty());
}

#[test]
fn only_active_lists_hide() {
    let has = |list: List, selector: &str| {
        only(list).hidden_selectors(PAGE).iter().any(|hidden| hidden == selector)
    };
    for selector in ["#onetrust-banner-sdk", ".cky-overlay", "[id^=\"sp_message_container_\"]"] {
        assert!(has(List::Banners, selector), "{selector}");
        assert!(!has(List::Chats, selector), "{selector}");
    }
    for selector in ["#intercom-frame", ".crisp-client", "jdiv"] {
        assert!(has(List::Chats, selector), "{selector}");
        assert!(!has(List::Banners, selector), "{selector}");
    }
    assert!(only(List::Ads).hidden_selectors(PAGE).is_empty());
    assert!(only(List::Trackers).hidden_selectors(PAGE).is_empty());
}

#[test]
fn a_site_has_its_own_selectors() {
    let hidden = |url: &str| only(List::Banners).hidden_selectors(url);
    let consent = "ytd-consent-bump-v2-lightbox".to_owned();
    assert!(hidden("https://www.youtube.com/watch?v=1").contains(&consent));
    assert!(hidden("https://www.amazon.co.uk/").contains(&"#sp-cc".to_owned()));
    assert!(!hidden(PAGE).contains(&consent));
    let blank = hidden("about:blank");
    assert!(blank.contains(&"#cmpbox".to_owned()));
    assert!(blank.is_sorted_by(|a, b| a < b));
}

/// Every selector of the lists is given out somewhere, and nothing that is not in them.
#[test]
fn what_is_hidden_is_what_the_lists_say() {
    for list in List::ALL {
        let generic: HashSet<_> = list.rules().filter_map(|rule| rule.strip_prefix("##")).collect();
        let hidden = only(list).hidden_selectors("https://nobody.example/");
        let hidden: HashSet<_> = hidden.iter().map(String::as_str).collect();
        assert_eq!(hidden, generic, "{list}");
    }
}

#[test]
fn every_rule_is_alive() {
    for list in List::ALL {
        for rule in list.rules() {
            let parsed = parse_filter(rule, true, ParseOptions::default());
            let cosmetic = match parsed {
                Ok(ParsedLine::Network(_)) => false,
                Ok(ParsedLine::Cosmetic(_)) => true,
                Err(error) => panic!("{list}: {rule}: {error}"),
            };
            assert_eq!(cosmetic, rule.contains("##"), "{list}: {rule}");
            assert_alive(list, rule);
        }
    }
}

/// Turns a network rule into an address that this list must block, and no other.
fn assert_alive(list: List, rule: &str) {
    if rule.starts_with("@@") || rule.contains("##") {
        return;
    }
    let body = rule.strip_suffix("$third-party").unwrap_or(rule);
    let address = match body.strip_prefix("||") {
        Some(host) => format!("https://{host}"),
        None => format!("https://other.example{body}"),
    };
    let url = address.replace("^*/", "/en/").replace('^', "/").replace('*', "x");
    assert_eq!(named(&url), [list], "{rule} at {url}");
}

#[test]
fn lists_are_sorted_and_say_what_they_are() {
    for list in List::ALL {
        let text = list.text();
        assert!(text.starts_with("! Title: Exhibit "), "{list}");
        assert!(text.contains(&format!("! Date: {}\n", List::DATE)), "{list}");
        assert!(text.ends_with('\n') && !text.contains("\n\n"), "{list}");
        assert!(text.lines().all(|line| line == line.trim()), "{list}");
        let rules: Vec<_> = list.rules().collect();
        let wrong = rules.windows(2).find(|pair| pair[0] >= pair[1]);
        assert_eq!(wrong, None, "{list}: out of order or twice");
        assert!(rules.len() > 100, "{list}");
        let after_header = text.lines().skip_while(|line| line.starts_with('!'));
        assert_eq!(after_header.count(), rules.len(), "{list}: a comment among the rules");
    }
}

#[test]
fn no_rule_is_on_two_lists() {
    let mut seen = HashSet::new();
    for list in List::ALL {
        for rule in list.rules() {
            assert!(seen.insert(rule), "{list}: {rule}");
        }
    }
}

#[test]
fn four_threads_judge_at_once() {
    let blocking = everything();
    thread::scope(|scope| {
        for thread in 0..4 {
            let blocking = &blocking;
            scope.spawn(move || {
                for n in 0..500 {
                    let ad = format!("https://ad{thread}.doubleclick.net/{n}");
                    let why = blocking.judge(&ad, PAGE, Resource::Image);
                    assert_eq!(why, Some(Why::List(List::Ads)));
                    let own = format!("https://shop.example/{thread}/{n}.png");
                    assert_eq!(blocking.judge(&own, PAGE, Resource::Image), None);
                }
            });
        }
    });
}
