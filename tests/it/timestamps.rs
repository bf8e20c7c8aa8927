//! Timestamps over the log: by an authority of openssl's, against openssl's own verdict.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use exhibit::auth::keyring::Keyring;
use exhibit::clock::{Clock, Moment};
use exhibit::evidence::log::{Log, StampRefusal};
use exhibit::evidence::{FindingCode, LogKey, Trust, verify};
use exhibit::timestamp::{Authorities, QUERY, Request, TimestampToken};
use serde_json::{Value, json};

use crate::authority::{Authority, NOW, P256, P384, RSA, stock};
use crate::harness::{TestDaemon, eventually};
use crate::keeping::{refused_to_agents, with_tcp};
use crate::process::{Process, said, stock_tools, write_config};
use crate::visitor::Visitor;

const BODY: &[u8] = b"example.com/log\n3\nK5JFJJm7bDvAz3SWZ0zuZcJQnI1SoxUTzk0nPGFMTO4=\n";

fn now() -> Moment {
    Clock::system().now()
}

fn believed(root: &Path) -> Authorities {
    Authorities::from_pem(&std::fs::read(root).expect("a certificate")).expect("certificates")
}

#[test]
fn openssl_and_exhibit_agree_on_timestamps() {
    let stranger = Authority::new(P256, NOW);
    for (name, authority, with, good) in [
        ("P-256", Authority::new(P256, NOW), None, true),
        ("P-384", Authority::new(P384, NOW), None, true),
        ("RSA", Authority::new(RSA, NOW), None, true),
        ("a chain", Authority::below_another(P256), Some("between.pem"), true),
        ("a chain of RSA", Authority::below_another(RSA), Some("between.pem"), true),
        ("a chain with a gap", Authority::below_another(P256), None, false),
        ("expired", Authority::new(P256, ("20200101000000Z", "20210101000000Z")), None, false),
        ("not yet", Authority::new(RSA, ("20970101000000Z", "20980101000000Z")), None, false),
    ] {
        let request = Request::over(BODY).expect("a request");
        assert_eq!(Request::parse(request.bytes()).as_ref(), Ok(&request));
        let answer = authority.answer(request.bytes(), with);
        let stamp =
            TimestampToken::parse(&answer).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(stamp.answers(&request) && stamp.is_over(BODY), "{name}");
        assert_eq!(stamp.accuracy, Duration::from_secs(1), "{name}");
        let judged = believed(&authority.root()).judge(&stamp);
        assert_eq!(judged.is_ok(), good, "{name}: {judged:?}");
        assert_eq!(stock(BODY, &answer, &authority.root(), stamp.time), good, "{name}");

        assert!(
            !stamp.is_over(b"other") && !stock(b"other", &answer, &authority.root(), stamp.time)
        );
        assert!(!stamp.answers(&Request::over(BODY).expect("a request")), "{name}");
        assert!(believed(&stranger.root()).judge(&stamp).is_err(), "{name}");
        assert!(!stock(BODY, &answer, &stranger.root(), stamp.time), "{name}");
    }
    assert!(Authorities::from_pem(b"").is_err());
    assert!(
        Authorities::from_pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            .is_err()
    );
}

/// Made with openssl under faketime, by a root that is valid from 2019 to 2099.
#[test]
fn a_timestamp_is_judged_at_the_moment_it_states() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/timestamp");
    let root = place.join("ca.pem");
    let body = std::fs::read(place.join("body")).expect("the text");
    for (name, time, good) in [
        // Its certificate expired in 2021, and it is from before.
        ("expired.tsr", "2020-06-01T12:00:00Z", true),
        // Its certificate is of November 2026: the authority's clock was set back.
        ("rolled-back.tsr", "2026-06-01T12:00:00Z", false),
    ] {
        let answer = std::fs::read(place.join(name)).expect("a timestamp");
        let stamp = TimestampToken::parse(&answer).expect("sound");
        assert!(stamp.is_over(&body), "{name}");
        assert_eq!(stamp.time.to_string(), time);
        let judged = believed(&root).judge(&stamp);
        assert_eq!(judged.is_ok(), good, "{name}: {judged:?}");
        assert_eq!(stock(&body, &answer, &root, stamp.time), good, "{name}");
    }
}

#[test]
fn an_authority_with_another_clock_is_judged_as_openssl_does() {
    let authority = Authority::new(P256, ("20200101000000Z", "20210101000000Z"));
    let request = Request::over(BODY).expect("a request");
    for (time, good) in [
        ("2019-12-31T23:59:59Z", false),
        ("2020-01-01T00:00:00Z", true),
        ("2020-12-31T23:59:59Z", true),
        ("2021-01-02T00:00:00Z", false),
    ] {
        let answer = authority.answer_at(request.bytes(), time.parse().expect("a time"));
        let stamp = TimestampToken::parse(&answer).expect("sound");
        assert!(stamp.answers(&request) && stamp.time.to_string() == time, "{time}");
        assert_eq!(believed(&authority.root()).judge(&stamp).is_ok(), good, "{time}");
        assert_eq!(stock(BODY, &answer, &authority.root(), stamp.time), good, "{time}");
    }
}

#[test]
fn no_changed_byte_of_a_timestamp_is_accepted() {
    for kind in [P256, RSA] {
        let authority = Authority::new(kind, NOW);
        let roots = believed(&authority.root());
        let request = Request::over(BODY).expect("a request");
        let answer = authority.answer(request.bytes(), None);
        let accepted = |bytes: &[u8]| {
            TimestampToken::parse(bytes)
                .is_ok_and(|stamp| stamp.answers(&request) && roots.judge(&stamp).is_ok())
        };
        assert!(accepted(&answer));
        for at in 0..answer.len() {
            for bit in 0..8 {
                let mut changed = answer.clone();
                changed[at] ^= 1 << bit;
                assert!(!accepted(&changed), "byte {at}, bit {bit} of {kind:?}");
            }
            assert!(!accepted(&answer[..at]), "cut at {at}");
            assert!(!accepted(&[&answer[..at], &[0], &answer[at..]].concat()), "longer at {at}");
        }
        assert!(!accepted(&[&answer[..], &[0]].concat()));
    }
}

/// A store that is a log alone, with entries dated `time`.
struct LogAlone {
    folder: tempfile::TempDir,
    log: Log,
}

impl LogAlone {
    fn new(time: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = LogKey::load_or_create(&folder.path().join("key")).expect("a key");
        let log = Log::open(&folder.path().join("store"), &key, "example.com/log").expect("a log");
        let own = Self { folder, log };
        own.grow(time);
        own
    }

    fn grow(&self, time: &str) {
        let entry = json!({ "format": "exhibit-log/1", "kind": "heartbeat", "time": time });
        self.log.append(entry.to_string().into_bytes()).expect("appended");
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn stamp(&self, authority: &Authority) -> Vec<u8> {
        let (_, request) = self.log.timestamp_request().expect("a request");
        let answer = authority.answer(request.bytes(), None);
        self.log.take_stamp(&answer, None, now()).expect("taken in");
        answer
    }

    /// What verification has to say, and the size of the newest checkpoint with a timestamp.
    fn verified(&self, authority: Option<&Authority>) -> (Vec<FindingCode>, Option<u64>) {
        let time = authority.map_or_else(Authorities::default, |it| believed(&it.root()));
        let (report, findings) = verify::log(&self.root(), &Trust::none().with_time(time), &[]);
        let codes = findings.iter().map(|finding| finding.code).collect();
        (codes, report.stamped.map(|stamped| stamped.size))
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.root().join("checkpoints").join(name);
        drop(std::fs::remove_file(&path));
        std::fs::write(path, bytes).expect("written");
    }
}

#[test]
fn verification_tells_what_is_wrong_with_a_timestamp() {
    use FindingCode as Code;
    let (own, other) = (Authority::new(P256, NOW), Authority::new(P256, NOW));
    let log = LogAlone::new("2026-01-01T00:00:00Z");
    let first = log.stamp(&own);
    assert_eq!(log.verified(Some(&own)), (vec![], Some(1)));
    assert_eq!(log.verified(None), (vec![Code::TimestampNotJudged], None));
    assert_eq!(log.verified(Some(&other)), (vec![Code::TimestampForeign], None));

    // What answers nothing is not taken in.
    let strange = Request::over(BODY).expect("a request");
    let refused = log.log.take_stamp(&own.answer(strange.bytes(), None), None, now());
    assert!(matches!(refused, Err(StampRefusal::NotAsked)), "{refused:?}");
    let refused = log.log.take_stamp(b"nothing", None, now());
    assert!(matches!(refused, Err(StampRefusal::Unsound(_))), "{refused:?}");

    // The next one covers more, and the log goes on.
    log.grow("2026-01-02T00:00:00Z");
    let second = log.stamp(&own);
    log.grow("2026-01-03T00:00:00Z");
    assert_eq!(log.verified(Some(&own)), (vec![], Some(3)));
    assert_eq!(log.log.stamped(None).expect("read").map(|it| it.size), Some(3));

    // One that is exchanged is missed as well, for the log tells of it.
    let missed = |code: Code| vec![code, Code::TimestampMissing];
    log.put("003.tsr", &first);
    assert_eq!(log.verified(Some(&own)), (missed(Code::TimestampMismatch), Some(1)));
    log.put("003.tsr", &second[..second.len() - 1]);
    assert_eq!(log.verified(Some(&own)), (missed(Code::TimestampMalformed), Some(1)));
    let place = log.root().join("checkpoints");
    let text = std::fs::read_to_string(place.join("003.note")).expect("a note");
    let text = text.split_once("\n\n").expect("a text").0.to_owned() + "\n";
    let again = Request::over(text.as_bytes()).expect("a request");
    log.put("003.tsr", &own.answer(again.bytes(), None));
    let found = log.verified(Some(&own));
    assert_eq!(found, (missed(Code::TimestampMismatch), Some(1)), "another nonce");
    log.put("003.tsr", &second);
    log.put("003.tsq", b"nothing");
    assert_eq!(log.verified(Some(&own)).0, [Code::TimestampMalformed]);
    std::fs::remove_file(place.join("003.tsq")).expect("removed");
    assert_eq!(log.verified(Some(&own)), (vec![], Some(3)), "a request need not be there");
    std::fs::remove_file(place.join("003.note")).expect("removed");
    assert_eq!(log.verified(Some(&own)), (vec![Code::TimestampMismatch], Some(1)));
    for name in ["001.01.tsr", "001.17.tsr"] {
        log.put(name, &first);
        assert!(log.verified(Some(&own)).0.contains(&Code::LogMalformed), "{name}");
        std::fs::remove_file(place.join(name)).expect("removed");
    }
}

#[test]
fn what_nobody_believes_counts_for_nothing_and_is_no_verdict() {
    use FindingCode as Code;
    let (own, other) = (Authority::new(P256, NOW), Authority::new(P256, NOW));
    let log = LogAlone::new("2026-01-01T00:00:00Z");
    let first = log.stamp(&own);
    let place = log.root().join("checkpoints");
    let asked = std::fs::read(place.join("001.tsq")).expect("a request");
    let foreign = other.answer(&asked, None);
    // Where the operator says whom to believe, nobody else's is taken in.
    let trusted = believed(&own.root());
    let refused = log.log.take_stamp(&foreign, Some(&trusted), now());
    assert!(matches!(refused, Err(StampRefusal::Foreign(_))), "{refused:?}");
    assert!(!place.join("001.2.tsr").exists());
    // A second authority's answer stands beside the first; the same again changes nothing.
    log.log.take_stamp(&foreign, None, now()).expect("taken in");
    log.log.take_stamp(&first, None, now()).expect("it is known");
    assert!(place.join("001.2.tsr").exists() && !place.join("001.3.tsr").exists());
    for authority in [&own, &other] {
        let found = log.verified(Some(authority));
        assert_eq!(found, (vec![Code::TimestampForeign], Some(1)));
        let newest = log.log.stamped(Some(&believed(&authority.root()))).expect("read");
        assert!(newest.is_some_and(|it| believed(&authority.root()).judge(&it.stamp).is_ok()));
    }
    let nobody = Authority::new(P256, NOW);
    assert_eq!(log.log.stamped(Some(&believed(&nobody.root()))).expect("read"), None);
    std::fs::remove_file(place.join("001.2.tsr")).expect("removed");
    assert_eq!(log.verified(Some(&own)), (vec![Code::TimestampMissing], Some(1)));
    // Whatever others put into all its places, one who is believed gets one.
    log.grow("2026-01-02T00:00:00Z");
    let (size, request) = log.log.timestamp_request().expect("a request");
    let foreign = other.answer(request.bytes(), None);
    let place_of = |number: u32| match number {
        1 => format!("{size:03}.tsr"),
        number => format!("{size:03}.{number}.tsr"),
    };
    (1..=16).for_each(|number| log.put(&place_of(number), &foreign));
    let full = log.log.take_stamp(&own.answer(request.bytes(), None), None, now());
    assert!(matches!(full, Err(StampRefusal::TooMany(_))), "{full:?}");
    log.log.take_stamp(&own.answer(request.bytes(), None), Some(&trusted), now()).expect("a place");
    let newest = log.log.stamped(Some(&trusted)).expect("read");
    assert_eq!(newest.map(|it| it.size), Some(size));
    // A copy of the newest one that cannot be read keeps the next from no place.
    log.put("stamped.note", b"nothing");
    log.grow("2026-01-02T00:00:00Z");
    log.stamp(&own);
    let newest = log.log.stamped(Some(&trusted)).expect("read").expect("a timestamp");
    assert_eq!(newest.size, log.log.checkpoint().1.size - 1);
}

/// A short value of DER.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(content.len()).expect("short")], content].concat()
}

/// The timestamp `plain` with another content of its status, which nobody signs.
fn with_status(plain: &[u8], status: &[u8]) -> Vec<u8> {
    let at = plain.windows(5).position(|it| it == [0x30, 3, 2, 1, 0]).expect("granted");
    let inside = [&tlv(0x30, status), &plain[at + 5..]].concat();
    let length = u16::try_from(inside.len()).expect("small").to_be_bytes();
    [&[0x30, 0x82][..], &length, &inside].concat()
}

#[test]
fn words_that_nobody_signed_are_left_out_and_refused_on_disk() {
    let own = Authority::new(P256, NOW);
    let request = Request::over(BODY).expect("a request");
    let plain = own.answer(request.bytes(), None);
    assert_eq!(TimestampToken::without_words(&plain), plain);
    let worded = |words: &[&str], failure: &[u8]| {
        let text = |text: &&str| tlv(0x0c, text.as_bytes());
        let list = words.iter().map(text).collect::<Vec<_>>().concat();
        let list = if words.is_empty() { vec![] } else { tlv(0x30, &list) };
        with_status(&plain, &[&[2, 1, 0], &list[..], failure].concat())
    };
    let forged = "x\nTime stamp: Jan  1 00:00:00 2020 GMT";
    for words in [&[forged][..], &["it was noon"], &["Operation Okay", "so"], &[""]] {
        let response = worded(words, &[]);
        assert!(TimestampToken::parse(&response).is_err(), "{words:?}");
        assert_eq!(TimestampToken::without_words(&response), plain, "{words:?}");
    }
    let okay = worded(&["Operation Okay"], &[]);
    assert!(TimestampToken::parse(&okay).is_ok_and(|stamp| stamp.answers(&request)));
    // A failure beside a timestamp is a contradiction, not words.
    let failed = worded(&[], &[3, 2, 5, 0x20]);
    assert!(
        TimestampToken::parse(&failed).is_err() && TimestampToken::without_words(&failed) == failed
    );
    let log = LogAlone::new("2026-01-01T00:00:00Z");
    let (_, request) = log.log.timestamp_request().expect("a request");
    let plain = own.answer(request.bytes(), None);
    let response = with_status(&plain, &[2, 1, 0, 0x30, 4, 0x0c, 2, b'o', b'k']);
    log.log.take_stamp(&response, None, now()).expect("taken in");
    assert_eq!(std::fs::read(log.root().join("checkpoints/001.tsr")).expect("kept"), plain);
    assert_eq!(log.verified(Some(&own)), (vec![], Some(1)));
}

#[test]
fn a_timestamp_before_what_it_covers_is_told() {
    let own = Authority::new(P256, NOW);
    let log = LogAlone::new("2098-01-01T00:00:00Z");
    log.grow("2026-01-01T00:00:00Z");
    log.stamp(&own);
    assert_eq!(log.verified(Some(&own)), (vec![FindingCode::TimestampBeforeEntry], Some(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_courier_brings_a_timestamp() {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let daemon = Process::start(&folder).await;
    let (at, authority) = (folder.path(), Authority::new(RSA, NOW));
    let (code, text) = said(at, &["log", "timestamp", "status"]);
    assert!(code == 0 && text.contains("no checkpoint has a timestamp"), "{text}");
    assert_eq!(said(at, &["log", "timestamp", "export", "--out", "log.tsq"]).0, 0);
    let asked = std::fs::read(at.join("log.tsq")).expect("a request");
    // The log goes on while the courier is away.
    daemon.post("/v1/runs", json!({ "workflow": "refund" })).await.ok();
    let answer = authority.answer(&asked, None);
    std::fs::write(at.join("log.tsr"), &answer).expect("written");
    let (code, text) = said(at, &["log", "timestamp", "import", "log.tsr"]);
    assert!(code == 0 && text.starts_with("1 entries were there at 20"), "{text}");
    let (code, text) = said(at, &["log", "timestamp", "import", "log.tsq"]);
    assert!(code == 2 && text.contains("no timestamp of RFC 3161"), "{text}");
    let (_, text) = said(at, &["log", "timestamp", "status", "--json"]);
    let status: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&status["size"], &status["stamped"]["size"]), (&json!(3), &json!(1)));

    // An auditor's own tools, and ours.
    let kept = at.join("store/checkpoints/001.tsr");
    assert_eq!(std::fs::read(kept).expect("kept"), answer);
    let note = std::fs::read_to_string(at.join("store/checkpoints/001.note")).expect("a note");
    let text: String = note.split_inclusive('\n').take(3).collect();
    let time = TimestampToken::parse(&answer).expect("sound").time;
    assert!(stock(text.as_bytes(), &answer, &authority.root(), time));
    assert_eq!(said(at, &["keys", "export", "--out", "trust"]).0, 0);
    let (code, text) = said(at, &["verify", "--trust", "trust", "store"]);
    assert!(code == 0 && text.contains("timestamp_not_judged"), "{text}");
    std::fs::copy(authority.root(), at.join("trust/tsa-ca.pem")).expect("copied");
    let (code, text) = said(at, &["verify", "--trust", "trust", "store"]);
    let line = format!("1 entries were there at {time}, says CN=Test tsa");
    assert!(code == 0 && text.contains(&line), "{text}");
    let (passed, text) = stock_tools(at);
    assert!(passed && text.contains("PASS 17 timestamps"), "{text}");
    let other = Authority::new(P256, NOW);
    std::fs::copy(other.root(), at.join("trust/tsa-ca.pem")).expect("copied");
    let (code, text) = said(at, &["verify", "--trust", "trust", "store"]);
    assert!(code == 0 && text.contains("timestamp_foreign") && !text.contains(&line), "{text}");
    let (passed, text) = stock_tools(at);
    assert!(passed && text.contains("an authority that is not believed"), "{text}");
    std::fs::write(at.join("trust/tsa-ca.pem"), "nothing").expect("written");
    let (code, text) = said(at, &["verify", "--trust", "trust", "store"]);
    assert!(code == 2 && text.contains("tsa-ca.pem"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_in_the_network_is_asked_until_it_answers() {
    let (authority, asked) = (Arc::new(Authority::new(P256, NOW)), Arc::new(AtomicU32::new(0)));
    let answering = (Arc::clone(&authority), Arc::clone(&asked));
    let answer = async move |headers: HeaderMap, request: Bytes| -> Response {
        assert_eq!(headers["content-type"], QUERY);
        let (authority, asked) = answering;
        match asked.fetch_add(1, Ordering::SeqCst) {
            0 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            1 => "no timestamp".into_response(),
            _ => authority.answer(&request, None).into_response(),
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/tsa", listener.local_addr().expect("an address"));
    let app = Router::new().route("/tsa", post(answer));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let daemon = TestDaemon::start_with(|config| {
        config.timestamp.url = Some(url.parse().expect("an address"));
        config.timestamp.every = Duration::from_millis(50);
    })
    .await;
    let stamped = async |size: u64| {
        eventually("the log is stamped", async || {
            let told = daemon.get("/api/v1/log/timestamps").await.ok().json();
            told["stamped"]["size"] == size
        })
        .await;
    };
    stamped(1).await;
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    daemon.open_run("refund").await;
    // The entry that tells of a timestamp is no growth.
    stamped(3).await;
    assert_eq!(asked.load(Ordering::SeqCst), 4, "asked only when the log has grown");
    let trust = daemon.trust().with_time(believed(&authority.root()));
    let report = verify::store(&daemon.store(), &trust, &[]);
    let log = report.log.expect("a log");
    assert_eq!(log.stamped.map(|it| it.size), Some(3), "{:?}", report.findings);
}

/// With a key over TCP nobody brings a timestamp, nor has anything kept for one.
#[tokio::test(flavor = "multi_thread")]
async fn only_operators_bring_timestamps_and_only_of_those_who_are_believed() {
    let (own, other) = (Authority::new(P256, NOW), Authority::new(P256, NOW));
    let roots = own.root();
    let daemon = TestDaemon::start_with(|config| {
        with_tcp(config);
        config.timestamp.authorities = Some(roots.clone());
    })
    .await;
    let place = daemon.store().join("checkpoints");
    let body = json!({});
    refused_to_agents(&daemon, "/v1/log/timestamps", &body).await;
    let ring = daemon.folder.path().join("keys/api-keys.json");
    let (key, _) = Keyring::open(&ring).expect("keys").add("agent", now()).expect("made");
    let bearer = format!("Bearer {}", key.expose());
    let (key, place_of) = ([("authorization", bearer.as_str())], "/v1/log/timestamp-request");
    let told = Visitor::of(&daemon).send(reqwest::Method::GET, place_of, &key, "").await.refusal();
    assert_eq!((told.0, told.1.as_str()), (403, "not_an_operator"));
    assert!(!place.join("001.tsq").exists());
    let request = daemon.get("/v1/log/timestamp-request").await.ok().body;
    let foreign = other.answer(&request, None);
    let bring = |response: Vec<u8>| {
        daemon.send(daemon.request(reqwest::Method::POST, "/v1/log/timestamps").body(response))
    };
    let refused = bring(foreign.clone()).await;
    assert_eq!(refused.refusal(), (400, "invalid_field".into(), "body".into()));
    let text = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(text.contains("timestamp.authorities") && !place.join("001.tsr").exists(), "{text}");
    bring(own.answer(&request, None)).await.ok();
    assert!(place.join("001.tsr").exists());
    // One that lies there counts for nothing, and keeps no honest one from being told.
    for number in 2..=16 {
        std::fs::write(place.join(format!("001.{number}.tsr")), &foreign).expect("written");
    }
    let told = daemon.get("/v1/log/timestamps").await.ok().json();
    assert_eq!(told["stamped"]["size"], 1);
    let report = verify::store(&daemon.store(), &daemon.trust().with_time(believed(&roots)), &[]);
    let codes: BTreeSet<_> = report.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), [FindingCode::TimestampForeign]);
    assert_eq!(
        (report.exit(), report.log.and_then(|it| it.stamped).map(|it| it.size)),
        (0, Some(1))
    );
}
