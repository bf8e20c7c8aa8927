//! The pipe against a browser that a test plays: answers, events, sessions, ends.

use super::*;
use serde_json::json;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write};

const LIMIT: Duration = Duration::from_secs(20);

/// A browser played by the test: what we send it, and its side of the pipe.
fn peer() -> (Connection, BufReader<PipeReader>, PipeWriter) {
    let (their_read, our_write) = std::io::pipe().expect("a pipe");
    let (our_read, their_write) = std::io::pipe().expect("a pipe");
    let connection = Connection::open(our_write.into(), our_read.into(), &Tasks::new());
    (connection.expect("pipes"), BufReader::new(their_read), their_write)
}

fn next_call(reader: &mut BufReader<PipeReader>) -> Value {
    let mut message = Vec::new();
    reader.read_until(0, &mut message).expect("a message");
    message.pop();
    serde_json::from_slice(&message).expect("JSON")
}

fn say(writer: &mut PipeWriter, message: &Value) {
    writer.write_all(format!("{message}\0").as_bytes()).expect("somebody reads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_find_their_calls_in_any_order() {
    let (connection, mut reader, mut writer) = peer();
    let call = |name: &'static str| {
        let connection = connection.clone();
        async move { connection.call_raw("s", name, json!({"n": 1}), LIMIT).await }
    };
    let answering = async {
        let (first, second) = (next_call(&mut reader), next_call(&mut reader));
        assert_eq!(first["sessionId"], "s");
        say(&mut writer, &json!({"id": second["id"], "result": {"to": second["method"]}}));
        say(&mut writer, &json!({"id": 999_999, "result": {}}));
        say(&mut writer, &json!({"id": first["id"], "error": {"code": -32601, "message": "no"}}));
    };
    let (one, two, ()) = tokio::join!(call("A.one"), call("A.two"), answering);
    assert!(matches!(one, Err(CallError::Refused { code: -32601, .. })), "{one:?}");
    assert_eq!(two.expect("answered").get(), r#"{"to":"A.two"}"#);
}

#[tokio::test]
async fn every_pending_call_fails_when_the_browser_dies() {
    let (connection, reader, writer) = peer();
    let call = connection.call_raw("", "A.hangs", json!({}), LIMIT);
    let dying = async { drop((reader, writer)) };
    let (answer, ()) = tokio::join!(call, dying);
    assert!(matches!(answer, Err(CallError::Closed)), "{answer:?}");
    connection.closed().await;
    let later = connection.call_raw("", "A.later", json!({}), LIMIT).await;
    assert!(matches!(later, Err(CallError::Closed)), "{later:?}");
    assert!(connection.subscribe("s").next().await.is_none());
}

#[tokio::test]
async fn the_limit_fires_every_time_also_on_a_quiet_pipe() {
    let (connection, _reader, _writer) = peer();
    for _ in 0..3 {
        let answer = connection.call_raw("", "A.b", json!({}), Duration::from_millis(5)).await;
        assert!(matches!(answer, Err(CallError::Timeout { .. })), "{answer:?}");
    }
    assert!(connection.0.routes().pending.is_empty(), "given up and still waited for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_detached_session_ends_its_calls_and_events_and_no_others() {
    let (connection, mut reader, mut writer) = peer();
    let mut gone = connection.subscribe("gone");
    let mut stays = connection.subscribe("stays");
    let call = connection.call_raw("gone", "A.hangs", json!({}), LIMIT);
    let detaching = async {
        next_call(&mut reader);
        let params = json!({"sessionId": "gone"});
        say(&mut writer, &json!({"method": "Target.detachedFromTarget", "params": params}));
        say(&mut writer, &json!({"method": "P.e", "sessionId": "stays", "params": {"n": 7}}));
    };
    let (answer, ()) = tokio::join!(call, detaching);
    assert!(matches!(answer, Err(CallError::SessionGone)), "{answer:?}");
    assert!(gone.next().await.is_none());
    let event = stays.next().await.expect("an event");
    assert_eq!(event.read::<Value>(), Some(json!({"n": 7})));
}

#[tokio::test]
async fn nonsense_is_skipped_and_a_flood_is_counted() {
    let (connection, _reader, mut writer) = peer();
    let mut events = connection.subscribe("s");
    say(&mut writer, &json!([1, 2]));
    writer.write_all(b"no json\0\0").expect("somebody reads");
    let flood = EVENTS + 100;
    let writing = std::thread::spawn(move || {
        for n in 0..flood {
            say(&mut writer, &json!({"method": "P.e", "sessionId": "s", "params": {"n": n}}));
        }
    });
    connection.closed().await;
    writing.join().expect("written");
    let mut received = 0;
    while events.next().await.is_some() {
        received += 1;
    }
    assert_eq!((received, events.newly_lost()), (EVENTS, 100));
}

#[tokio::test]
async fn a_flood_of_one_console_is_cut_short_and_told_and_nothing_else_is_lost() {
    let (connection, _reader, mut writer) = peer();
    let (mut loud, mut other) = (connection.subscribe("loud"), connection.subscribe("other"));
    let writing = Tasks::new().spawn_blocking(move || {
        for _ in 0..20_000 {
            let params = json!({ "type": "log", "args": [] });
            let method = "Runtime.consoleAPICalled";
            say(&mut writer, &json!({"sessionId": "loud", "method": method, "params": params}));
        }
        say(&mut writer, &json!({"sessionId": "loud", "method": "Network.loadingFinished"}));
        say(&mut writer, &json!({"sessionId": "other", "method": "Log.entryAdded"}));
        writer
    });
    assert_eq!(other.next().await.expect("an event").method, "Log.entryAdded");
    assert!(!other.newly_flooding());
    let mut said = 0;
    while loud.next().await.expect("an event").method != "Network.loadingFinished" {
        said += 1;
    }
    assert!(loud.newly_flooding() && said < 8_192, "{said}");
    assert_eq!(said + loud.newly_lost(), 20_000, "each is read, or counted as lost");
    drop(writing.await);
}
