//! What events become, one by one.

use super::*;
use serde_json::{Value, json};
use std::time::Duration;

fn observed() -> (Observed, Instant) {
    let now = Instant::now();
    (Observed::new("main".to_owned(), Policy::default(), now), now)
}

fn event(method: &str, params: &Value) -> RawEvent {
    let params = serde_json::value::to_raw_value(params).expect("JSON");
    RawEvent { method: method.to_owned(), params }
}

fn request(id: &str, kind: &str, redirect: Option<&str>) -> RawEvent {
    let redirect = redirect.map(|url| json!({"url": url, "status": 302}));
    let request = json!({"url": format!("http://a.example/{id}"), "method": "GET"});
    let params = json!({
        "requestId": id, "request": request, "redirectResponse": redirect,
        "type": kind, "frameId": "main",
    });
    event("Network.requestWillBeSent", &params)
}

#[test]
fn idleness_is_counted_from_the_moment_it_began() {
    let (mut page, start) = observed();
    let at = |ms| start + Duration::from_millis(ms);
    for (index, id) in ["1", "2", "3"].iter().enumerate() {
        page.note(PAGE, &request(id, "Fetch", None), at(index as u64));
    }
    assert_eq!((page.idle_since(0), page.idle_since(2)), (None, None));
    page.note(PAGE, &event("Network.loadingFinished", &json!({"requestId": "1"})), at(10));
    assert_eq!((page.idle_since(0), page.idle_since(2)), (None, Some(at(10))));
    page.note(
        PAGE,
        &event("Network.loadingFailed", &json!({"requestId": "2", "errorText": "net::ERR_X"})),
        at(20),
    );
    page.note(PAGE, &event("Network.loadingFinished", &json!({"requestId": "3"})), at(30));
    assert_eq!((page.idle_since(0), page.idle_since(2)), (Some(at(30)), Some(at(10))));
    assert_eq!(page.facts.failed_requests[0].url, "http://a.example/2");
    for id in ["4", "5", "6"] {
        page.note(7, &request(id, "Fetch", None), at(32));
    }
    assert_eq!(page.idle_since(2), None);
    page.part_ended(7, at(35));
    assert_eq!(page.idle_since(0), Some(at(35)), "what a gone frame asked for is not waited for");
    page.note(PAGE, &request("stream", "EventSource", None), at(40));
    assert_eq!(page.idle_since(0), Some(at(35)), "a stream of events does not count");
}

#[test]
fn redirects_status_and_certificate_belong_to_the_main_document() {
    let (mut page, now) = observed();
    page.note(PAGE, &request("1", "Document", None), now);
    page.note(PAGE, &request("1", "Document", Some("http://a.example/")), now);
    let response = json!({
        "url": "https://a.example/end", "status": 404, "statusText": "Not Found",
        "mimeType": "text/html", "remoteIPAddress": "10.1.2.3", "remotePort": 443,
        "securityDetails": {"protocol": "TLS 1.3", "cipher": "AES_128_GCM", "subjectName": "a.example",
            "issuer": "CA", "sanList": ["a.example"], "validFrom": 0, "validTo": 86400,
            "somethingNew": {"a": 1}},
    });
    let received =
        json!({"requestId": "1", "type": "Document", "frameId": "main", "response": response});
    page.note(PAGE, &event("Network.responseReceived", &received), now);
    assert_eq!(page.facts.redirects, [Redirect { url: "http://a.example/".into(), status: 302 }]);
    let document = page.facts.document.expect("a document");
    assert_eq!((document.status, document.remote_address.as_deref()), (404, Some("10.1.2.3:443")));
    assert_eq!(document.tls.expect("facts").valid_to, "1970-01-02T00:00:00Z");
}

#[test]
fn only_the_current_documents_life_counts() {
    let (mut page, now) = observed();
    let lifecycle = |loader: &str, name: &str| {
        event("Page.lifecycleEvent", &json!({"frameId": "main", "loaderId": loader, "name": name}))
    };
    let navigated = |loader: &str| {
        let frame = json!({"id": "main", "loaderId": loader, "url": "http://a.example/"});
        event("Page.frameNavigated", &json!({"frame": frame}))
    };
    page.note(PAGE, &navigated("one"), now);
    page.note(PAGE, &lifecycle("one", "load"), now);
    assert!(page.is_loaded());
    page.note(PAGE, &navigated("two"), now);
    assert!(!page.is_loaded(), "a script moved on to another page");
    page.note(PAGE, &lifecycle("one", "load"), now);
    assert!(!page.is_loaded());
    page.note(PAGE, &lifecycle("two", "DOMContentLoaded"), now);
    assert!(page.is_parsed() && !page.is_loaded());
    page.note(PAGE, &lifecycle("two", "load"), now);
    assert!(page.is_loaded());
}

#[test]
fn the_quiet_before_a_document_does_not_count_for_it() {
    let (mut page, start) = observed();
    let later = start + Duration::from_secs(5);
    let frame = json!({"id": "main", "loaderId": "one", "url": "http://a.example/"});
    page.note(PAGE, &event("Page.frameNavigated", &json!({"frame": frame})), later);
    assert_eq!((page.idle_since(0), page.idle_since(2)), (Some(later), Some(later)));
}

#[test]
fn an_address_that_policy_denies_is_remembered_also_inside_a_page() {
    let settings = crate::policy::PolicySettings {
        allow_hosts: Vec::new(),
        deny_hosts: Vec::new(),
        deny_addresses: vec!["169.254.0.0/16".to_owned()],
    };
    let (mut page, now) = observed();
    page.set_policy(Policy::new(&settings, Masks::default(), None).expect("sound"));
    let response = json!({"url": "http://rebound.example/", "status": 200, "remoteIPAddress": "169.254.169.254", "remotePort": 80});
    let received =
        json!({"requestId": "1", "type": "Fetch", "frameId": "child", "response": response});
    page.note(PAGE, &event("Network.responseReceived", &received), now);
    assert!(page.forbidden.expect("noticed").contains("169.254.169.254"));
}

#[test]
fn dialogs_are_answered_and_errors_counted() {
    let (mut page, now) = observed();
    let dialog = |kind: &str| {
        event("Page.javascriptDialogOpening", &json!({"type": kind, "message": "m", "url": "u"}))
    };
    assert_eq!(page.note(PAGE, &dialog("confirm"), now), Reaction::AnswerDialog(false));
    assert_eq!(page.note(PAGE, &dialog("beforeunload"), now), Reaction::AnswerDialog(true));
    let call = json!({"type": "error", "args": [{"type": "string", "value": "bad"}, {"type": "number", "value": 7}]});
    page.note(PAGE, &event("Runtime.consoleAPICalled", &call), now);
    let details = json!({"text": "Uncaught", "lineNumber": 3, "exception": {"type": "object", "description": "Error: x"}});
    page.note(PAGE, &event("Runtime.exceptionThrown", &json!({"exceptionDetails": details})), now);
    assert_eq!(page.facts.console_errors, 2);
    let texts: Vec<_> = page.console.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["bad 7", "Error: x"]);
    assert_eq!(
        page.note(PAGE, &event("Inspector.targetCrashed", &json!({})), now),
        Reaction::Crashed
    );
}
