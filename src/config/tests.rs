//! Tests of the configuration: what is accepted, and how exactly what is not is reported.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::tlog::note::Algorithm;

const SHIPPED: &str = include_str!("../../config.toml");

fn read(text: &str) -> Result<Config, ConfigErrors> {
    parse(text, Path::new("/etc/exhibit/config.toml"))
}

/// What is wrong with `text`: in which line, with which key, and a part of what is said of it.
#[track_caller]
fn assert_complaints(text: &str, expected: &[(usize, &str, &str)]) {
    let complaints = complaints(text);
    assert_eq!(complaints.len(), expected.len(), "{complaints:#?}");
    for ((line, key, part), complaint) in expected.iter().zip(&complaints) {
        let start = format!("/etc/exhibit/config.toml:{line}: {key}: ");
        assert!(complaint.starts_with(&start), "{complaint} should start with {start}");
        assert!(complaint.contains(part), "{complaint} should contain {part}");
    }
}

/// The lines of the complaint about `text`.
fn complaints(text: &str) -> Vec<String> {
    let errors = read(text).expect_err("refused");
    errors.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn the_shipped_file_is_the_default_and_holds_every_key() {
    assert_eq!(read(SHIPPED), Ok(Config::default()));
    assert_eq!(read(""), Ok(Config::default()));
    let table: toml::Table = SHIPPED.parse().expect("TOML");
    let mut found = Vec::new();
    // Workflows have tables by name; a test of their own looks at those.
    for (name, keys) in table.iter().filter(|(name, _)| *name != "workflows") {
        for (key, value) in keys.as_table().expect("a table") {
            match value.as_table() {
                // Classes have names of the operator's.
                Some(inner) if *key != "classes" => {
                    found.extend(inner.keys().map(|inner| format!("{name}.{key}.{inner}")));
                }
                _ => found.push(format!("{name}.{key}")),
            }
        }
    }
    let mut known: Vec<_> = KEYS.iter().map(|key| key.name.to_owned()).collect();
    found.sort();
    known.sort();
    assert_eq!(found, known);
}

#[test]
fn no_key_of_the_structs_is_missing_from_the_list() {
    // Every field of the structs, as `Debug` names them.
    let mut config = Config { workflows: Workflows([].into()), ..Config::default() };
    config.retention.classes.clear();
    let debug = format!("{config:#?}");
    let fields = debug.lines().filter(|line| line.contains(": ") && !line.ends_with(" {")).count();
    // One line more is that of the workflows.
    assert_eq!(fields, KEYS.len() + 1, "{debug}");
}

#[test]
fn the_shipped_file_says_which_keys_need_a_restart() {
    for key in KEYS {
        let (table, name) = key.parts();
        let section = SHIPPED.split(&format!("[{table}]\n")).nth(1).expect("the table");
        let before = section.split(&format!("\n{name} = ")).next().expect("the key");
        let lines = before.lines().rev().take_while(|line| line.starts_with('#'));
        let comment: String = lines.collect();
        assert_eq!(comment.contains("[restart]"), key.restart, "{}: {comment}", key.name);
    }
}

#[test]
fn every_problem_is_reported_at_once_with_its_line_and_remedy() {
    let text = r#"
[daemon]
sokcet = "/run/x.sock"
drain = "30"
listen = "0.0.0.0:80"
socket_mode = "0999"

[store]
path = "/no/such/folder/above"
min_free = 5

[browsr]
[browser]
path = "/no/such/browser"
prepared = 17
sandbox = "yes"
concurrent = 2

[capture]
concurrent = 0
deadline = "900ms"

[policy]
deny_addresses = ["10.0.0.0/33"]
allow_hosts = ["https://shop.example.com/", "*.example.com"]

[runs]
idle = "25h"
[backend.hosted]
base_url = "https://pagebolt.dev"
fallback = "browser"
retires = 5
[backend.local]
[privacy]
mask = [".iban", "a } b"]
mask_inputs = ["pass word"]
[video]
source = "camera"
"#;
    let expected = [
        (3, "daemon.sokcet", "did you mean `socket`?"),
        (4, "daemon.drain", "`\"30\"`: write a duration with its unit"),
        (5, "daemon.listen", "127.0.0.1:80"),
        (6, "daemon.socket_mode", "octal"),
        (9, "store.path", "mkdir -p /no/such"),
        (10, "store.min_free", "`5`: write a size with its unit, such as \"512 KiB\""),
        (12, "browsr", "did you mean `browser`? the tables are daemon, store"),
        (14, "browser.path", "/no/such/browser"),
        (15, "browser.prepared", "`17`: write a whole number from 0 to 16"),
        (16, "browser.sandbox", "true or false"),
        (17, "browser.concurrent", "it belongs under [capture]"),
        (20, "capture.concurrent", "from 1 to 64"),
        (21, "capture.deadline", "more than \"1s\""),
        (24, "policy.deny_addresses", "`10.0.0.0/33` is no network"),
        (25, "policy.allow_hosts", "`https://shop.example.com/` is no host"),
        (28, "runs.idle", "longer than runs.max_duration"),
        (30, "backend.hosted.base_url", "without a key"),
        (31, "backend.hosted.fallback", "\"none\" or \"chromium\""),
        (32, "backend.hosted.retires", "did you mean `retries`?"),
        (33, "backend.local", "unknown table or key"),
        (35, "privacy.mask", "`a } b` is no CSS selector"),
        (36, "privacy.mask_inputs", "`pass word` is no type of input fields"),
        (38, "video.source", "\"screencast\" or \"recorder\""),
    ];
    assert_complaints(text, &expected);
}

#[test]
fn faults_of_syntax_are_reported_beside_the_others() {
    let complaints = complaints("[daemon]\ndrain = 30s\n[runs]\nidel = \"1m\"\n");
    assert!(complaints.iter().any(|line| line.contains("config.toml:2: not TOML")));
    assert!(
        complaints.iter().any(|line| line.contains(":4: runs.idel: unknown key; did you mean"))
    );
    let twice = read("[log]\nfilter = \"info\"\nfilter = \"debug\"\n").expect_err("refused");
    assert_eq!(twice.0[0].line, Some(3), "{twice}");
}

#[test]
fn a_table_that_is_none_and_a_key_outside_all_tables_are_named() {
    let complaints = complaints("store = 5\nsocket = \"/x\"\n");
    assert!(complaints[0].contains(":1: store: `5` is no table; write a line `[store]`"));
    assert!(
        complaints[1]
            .contains(":2: socket: unknown key outside all tables; it belongs under [daemon]")
    );
}

#[test]
fn the_web_pages_address_is_one_that_shows_evidence_to_nobody_else() {
    for good in ["https://evidence.internal", "http://exhibit.localhost:8420", "http://[::1]:80/"] {
        let config = read(&format!("[web]\nurl = \"{good}\"\nviewers = [1001]")).expect(good);
        assert_eq!(config.web.viewers, [1001]);
    }
    assert_complaints("[web]\nurl = \"http://evidence.internal\"", &[(2, "web.url", "https")]);
    for bad in ["https://a.example/x", "https://u:p@a.example", "https://a.example/?q", "ftp://a"] {
        let text = format!("[web]\nurl = \"{bad}\"");
        assert_complaints(&text, &[(2, "web.url", "scheme, name and port alone")]);
    }
    for bad in ["[\"root\"]", "[-1]", "[4294967296]", "1001"] {
        let text = format!("[web]\nviewers = {bad}");
        assert_complaints(&text, &[(2, "web.viewers", "a list of numbers")]);
    }
    assert_complaints("[web]\nsession = \"0s\"", &[(2, "web.session", "longer than nothing")]);
}

#[test]
fn wrong_values_are_refused_one_by_one() {
    for bad in [
        "[daemon]\nsocket = \"\"",
        "[daemon]\nsocket_mode = 660",
        "[daemon]\nsocket_mode = \"0666\"",
        "[daemon]\nsocket_mode = \"1777\"",
        "[daemon]\nlisten = \"localhost\"",
        "[daemon]\nlisten = \"192.168.1.1:80\"",
        "[daemon]\ndrain = \"-5s\"",
        "[daemon]\ndrain = 5",
        "[store]\nmin_free = \"10\"",
        "[store]\nmin_free = \"10 MiX\"",
        "[store]\nmin_free = \"-1 MiB\"",
        "[keys]\nprincipal = \"two words\"",
        "[keys]\nprincipal = \"a,b\"",
        "[browser]\nprepared = -1",
        "[browser]\nprepared = 1.5",
        "[browser]\nrecycle_after = 0",
        "[browser]\npatience = \"0s\"",
        "[browser]\npath = \"/\"",
        "[capture]\nmax_body = \"0 B\"",
        "[policy]\nallow_hosts = \"example.com\"",
        "[policy]\nallow_hosts = [1]",
        "[policy]\nallow_hosts = [\"\"]",
        "[policy]\nallow_hosts = [\"*\"]",
        "[policy]\nallow_hosts = [\"a.*.com\"]",
        "[policy]\nallow_hosts = [\"example.com:443\"]",
        "[policy]\ndeny_addresses = [\"10.0.0.0/\"]",
        "[policy]\ndeny_addresses = [\"10.0.0.0/+8\"]",
        "[policy]\ndeny_addresses = [\"example.com\"]",
        "[code]\nwork_trees = [\"/\"]",
        "[code]\nwork_trees = [\"agents\"]",
        "[code]\nwork_trees = [\"/no/such/folder\"]",
        "[events]\nmax_size = \"5 MiB\"",
        "[events]\nredact = [\"card-number\", \"cards\"]",
        "[events]\nredact = [\"x: (\"]",
        "[backend]\nhosted = 1",
        "[backend.hosted]\nbase_url = \"pagebolt.dev\"",
        "[backend.hosted]\nkey = \"two words\"",
        "[backend.hosted]\nkey_file = \"/no/such/file\"",
        "[backend.hosted]\nretries = 11",
        "[backend.hosted]\ntimeout = \"0s\"",
        "[backend.hosted]\nmax_response = \"0 B\"",
        "[backend.hosted]\ncallers = [\"agent\"]",
        "[log]\nformat = \"xml\"",
        "[log]\nfilter = \"exhibit=loud\"",
    ] {
        let errors = read(bad).expect_err(bad);
        assert_eq!(errors.0.len(), 1, "{bad}: {errors}");
        assert_eq!(errors.0[0].line, Some(2), "{bad}: {errors}");
    }
}

#[test]
fn good_values_are_understood() {
    let config = read(
        "[daemon]\nlisten = \"[::1]:0\"\ndrain = \"1m 30s\"\n[capture]\nmax_body = \"1.5 GiB\"\n\
         [policy]\nallow_hosts = [\"shop.example.com\", \"*.example.org\", \"10.0.0.1\", \"localhost\"]\n\
         deny_addresses = [\"10.1.2.3\", \"fd00::/8\"]\n",
    )
    .expect("accepted");
    assert_eq!(config.daemon.drain, Duration::from_secs(90));
    assert_eq!(config.capture.max_body, 1536 * 1024 * 1024);
    assert_eq!(config.policy.allow_hosts.len(), 4);
}

#[test]
fn a_witness_is_a_key_and_perhaps_an_address() {
    let key = crate::tlog::note::NoteSigner::new("w.example/w", &[5; 32]).expect("a name");
    let key = key.verifier(Algorithm::Cosignature).to_string();
    let witnesses = |entry: &str| format!("[transparency]\nwitnesses = [\"{entry}\"]");
    let entry = format!("{key} https://witness.example/prefix");
    let config = read(&witnesses(&entry)).expect("accepted");
    assert_eq!(config.transparency.witnesses[0].to_string(), entry);
    assert_eq!(read(&config.to_string()), Ok(config), "what is shown reads back");
    assert!(read(&witnesses(&key)).expect("accepted").transparency.witnesses[0].url.is_none());
    for wrong in [" ftp://witness.example/", " https://me:secret@witness.example/", " nothing"] {
        let part = "write an http or https address";
        assert_complaints(
            &witnesses(&format!("{key}{wrong}")),
            &[(2, "transparency.witnesses", part)],
        );
    }
}

#[test]
fn paths_are_resolved_against_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.toml");
    let config = parse("[store]\npath = \"evidence\"\n", &file).expect("accepted");
    assert_eq!(config.store.path, folder.path().join("evidence"));
}

#[test]
fn a_socket_path_longer_than_the_system_allows_is_refused() {
    let text = |length: usize| format!("[daemon]\nsocket = \"/{}\"\n", "s".repeat(length - 1));
    assert!(read(&text(107)).is_ok());
    assert!(complaints(&text(108))[0].contains("108 bytes"));
}

#[test]
fn a_missing_file_is_a_problem_with_a_remedy() {
    let errors = load(Path::new("/no/such/config.toml")).expect_err("not there");
    let text = errors.to_string();
    assert!(text.starts_with("/no/such/config.toml: cannot be read: "), "{text}");
    assert!(text.contains("--config"), "{text}");
    let problem = crate::error::Problem::from(errors);
    assert_eq!(problem.code, crate::error::Code::InvalidConfig);
}

#[test]
fn the_hosted_services_key_is_never_shown_and_never_in_the_open() {
    let wrong = complaints("[backend.hosted]\nkey = [\"pf_live_1\"]\n");
    assert!(wrong[0].contains(":2: backend.hosted.key: `[redacted]`: write text"), "{wrong:?}");
    let unquoted = complaints("[backend.hosted]\nkey = pf_live_1\n").concat();
    assert!(!unquoted.contains("pf_live_1"), "{unquoted}");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.toml");
    let text = "[backend.hosted]\nbase_url = \"https://pagebolt.dev\"\nkey = \"pf_live_1\"\n";
    crate::disk::write_once(&file, text.as_bytes()).expect("written");
    assert!(load(&file).is_ok());
    crate::disk::set_mode(&file, 0o644).expect("changed");
    let refused = load(&file).expect_err("everybody can read it").to_string();
    assert!(refused.contains("chmod o=") && !refused.contains("pf_live_1"), "{refused}");
}

#[test]
fn what_is_shown_reads_back_to_the_same_configuration() {
    assert_eq!(read(&Config::default().to_string()), Ok(Config::default()));
    let mut config = Config::default();
    config.daemon.listen = Some("127.0.0.1:8420".parse().expect("an address"));
    config.daemon.socket_group = Some("exhibit-callers".into());
    config.daemon.drain = Duration::from_millis(1500);
    config.store.min_free = 1025;
    config.log.format = LogFormat::Json;
    config.backend.hosted.workflows = vec!["refund".into()];
    assert_eq!(read(&config.to_string()), Ok(config.clone()));
    config.backend.hosted.key = Some(crate::secret::Secret::new("pf_live_1".into()));
    let shown = config.to_string();
    assert!(shown.contains("key = \"[redacted]\"") && !shown.contains("pf_live_1"), "{shown}");
}

#[test]
fn the_shipped_file_shows_every_key_of_the_workflows() {
    let table: toml::Table = SHIPPED.parse().expect("TOML");
    let shown = table["workflows"].as_table().expect("a table");
    assert_eq!(shown.len(), Config::default().workflows.0.len());
    for (name, keys) in shown {
        let keys: Vec<_> = keys.as_table().expect("a table").keys().cloned().collect();
        let all =
            ["layers", "stages", "recording", "fields", "controls", "retention", "max_duration"];
        assert_eq!(
            keys.iter().collect::<std::collections::BTreeSet<_>>(),
            all.map(str::to_owned).iter().collect(),
            "{name}"
        );
    }
}

#[test]
fn workflows_are_changed_and_added() {
    let config = read(
        "[workflows.refund]\nrecording = false\n[workflows.\"payroll.v2\"]\n\
         stages = { review = [], before = [\"pdf\", \"screenshot\"] }\nmax_duration = \"90s\"\n",
    )
    .expect("accepted");
    let default = Workflows::default();
    let refund = config.workflows.get("refund").expect("there");
    assert!(!refund.recording);
    assert_eq!(refund.fields, default.get("refund").expect("there").fields, "left as it was");
    let payroll = config.workflows.get("payroll.v2").expect("there");
    assert_eq!(payroll.max_duration_ms, Some(90_000));
    assert_eq!((payroll.layers.len(), payroll.stages.len()), (0, 2));
    assert_eq!(read(&config.to_string()), Ok(config.clone()), "{config}");
    assert_eq!(Config::default().changed(&config), ["workflows"]);
    assert!(Config::default().needs_restart(&config).is_empty());
}

#[test]
fn retention_classes_are_changed_and_added() {
    let text = "[retention]\ndefault = \"30d\"\n[retention.classes]\naccess = \"500d\"\n\"hr.eu\" = \"0d\"\n\
                [workflows.refund]\nretention = \"hr.eu\"\n";
    let config = read(text).expect("accepted");
    let retention = &config.retention;
    let days = ["financial", "access", "hr.eu", "operations", "gone"];
    let days = days.map(|class| retention.days(Some(class)));
    assert_eq!((retention.days(None), days), (30, [2555, 500, 0, 400, 30]));
    assert_eq!(retention.imports(), 2555, "the longest");
    let text = text.replace("[retention]", "[retention]\nimports = \"9000d\"");
    let longer = read(&text).expect("accepted");
    assert_eq!((longer.retention.imports, longer.retention.imports()), (Some(9000), 9000));
    assert_eq!(read(&longer.to_string()), Ok(longer.clone()), "{longer}");
    let refund = retention.promise(config.workflows.get("refund"));
    assert_eq!((refund.class.as_deref(), refund.days), (Some("hr.eu"), 0));
    assert_eq!(retention.promise(None).days, 30);
    assert_eq!(read(&config.to_string()), Ok(config.clone()), "{config}");
    let default = Config::default();
    assert_eq!(default.changed(&config), ["retention.default", "retention.classes", "workflows"]);
    assert!(default.needs_restart(&config).is_empty());
}

#[test]
fn what_is_wrong_with_retention_is_told_with_the_remedy() {
    let text = r#"
[retention]
default = "1y"
[workflows.refund]
retention = "finance"
"#;
    let unknown = "`finance` is no retention class; write one of access, financial, operations, or";
    let wrong =
        [(3, "retention.default", "such as \"400d\""), (5, "workflows.refund.retention", unknown)];
    assert_complaints(text, &wrong);
    for (classes, why) in [
        ("7", "classes, each with its days"),
        ("{ financial = 7 }", "of `financial`: write whole days"),
        ("{ financial = \"-1d\" }", "of `financial`: write whole days"),
        ("{ financial = \"36526d\" }", "of `financial`: write whole days"),
        ("{ \"a b\" = \"1d\" }", "no name of a class"),
    ] {
        let text = format!("[retention]\nclasses = {classes}\n");
        assert_complaints(&text, &[(2, "retention.classes", why)]);
    }
}

#[test]
fn every_problem_of_a_workflow_is_reported_at_once() {
    let text = r#"
[workflows.refund]
layers = ["log", "video"]
stages = { before = ["video"] }
recording = "yes"
fields = ["subject", "subject"]
controls = ["CC8.1", ""]
retention = 7
max_duration = "0s"
layer = []
[workflows.payroll]
[workflows."two words"]
recording = true
[workflows]
other = 1
"#;
    let expected = [
        (3, "workflows.refund.layers", "`video` is not known; write a list of \"log\", \"code\""),
        (4, "workflows.refund.stages", "`video` is no kind of capture"),
        (5, "workflows.refund.recording", "true or false"),
        (6, "workflows.refund.fields", "`subject` stands there twice"),
        (7, "workflows.refund.controls", "short texts"),
        (8, "workflows.refund.retention", "text in quotes"),
        (9, "workflows.refund.max_duration", "longer than nothing"),
        (10, "workflows.refund.layer", "did you mean `layers`?"),
        (11, "workflows.payroll", "requires nothing"),
        (12, "workflows.two words", "no name of a workflow"),
        (15, "workflows.other", "is no table; write a line `[workflows.other]`"),
    ];
    assert_complaints(text, &expected);
}

#[test]
fn changes_are_named_and_split_by_when_they_take_effect() {
    let old = Config::default();
    assert!(old.changed(&old).is_empty());
    let mut new = old.clone();
    new.capture.deadline = Duration::from_secs(60);
    new.daemon.listen = Some("127.0.0.1:8420".parse().expect("an address"));
    assert_eq!(old.changed(&new), ["daemon.listen", "capture.deadline"]);
    assert_eq!(old.needs_restart(&new), ["daemon.listen"]);
}

proptest::proptest! {
    /// Whatever stands in the file: an answer, never a panic.
    #[test]
    fn no_text_makes_reading_panic(text in "(?s).{0,200}") {
        drop(read(&text));
    }

    /// The same, nearer to the real thing: the shipped file, with some of it replaced.
    #[test]
    fn no_damage_makes_reading_panic(at in 0..SHIPPED.len(), cut in 0usize..80, with in "[\\[\\]\"=\n#a1.]{0,4}") {
        let mut bytes = SHIPPED.as_bytes().to_vec();
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, with.bytes());
        drop(read(&String::from_utf8_lossy(&bytes)));
    }
}
