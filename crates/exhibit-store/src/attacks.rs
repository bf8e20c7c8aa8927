//! Attacks on sealed folders by somebody who knows the format: manifests made anew, a stranger's
//! signature, events taken out, folders moved. And the proof that stock tools agree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::bag::render_manifest;
use super::damage::unlock;
use super::finding::FindingCode;
use super::fixture::{Bench, id, signer, stranger, trust, verdict};
use super::layout::{self, EVENTS, LISTED, MANIFEST, REPORT, SEAL, SIGNATURE, TAG_MANIFEST};
use super::record::{RunRecord, SealParts, seal_bytes, seal_value};
use super::sign::Signer;
pub(super) use super::tampering::{rename, write};
use super::trust::Trust;
use super::verify;
use crate::digest::Digest;
use crate::run::Ending;
use exhibit_verify::exit;

fn digest(path: &Path) -> Digest {
    Digest::of(&fs::read(path).expect("there"))
}

fn below(folder: &Path, name: &str, names: &mut Vec<String>) {
    for entry in layout::entries(folder).expect("listed") {
        let name = format!("{name}/{}", entry.name.to_string_lossy());
        if entry.kind.is_dir() {
            below(&entry.path, &name, names);
        } else {
            names.push(name);
        }
    }
}

/// Make both manifests anew, and `seal.json`; sign with `signer` when there is one.
pub(super) fn forge(folder: &Path, signer: Option<&Signer>) {
    let tags: Vec<&str> = LISTED.into_iter().chain([REPORT]).collect();
    forge_listing(folder, &tags, signer);
}

/// [`forge`] with a tag manifest that lists `tags`.
fn forge_listing(folder: &Path, tags: &[&str], signer: Option<&Signer>) {
    let mut names = Vec::new();
    below(&folder.join("data"), "data", &mut names);
    names.sort();
    let manifest = |names: &[&str]| {
        render_manifest(names.iter().map(|name| (*name, digest(&folder.join(name)))))
    };
    let payload: Vec<&str> = names.iter().map(String::as_str).collect();
    write(&folder.join(MANIFEST), manifest(&payload).as_bytes());
    write(&folder.join(TAG_MANIFEST), manifest(tags).as_bytes());
    if let Some(signer) = signer {
        let tags = fs::read(folder.join(TAG_MANIFEST)).expect("there");
        let signature = signer.sign(&tags).expect("signed");
        write(&folder.join(SIGNATURE), signature.as_bytes());
    }
    let size = |name: &&str| fs::metadata(folder.join(name)).expect("there").len();
    let bytes: u64 = payload.iter().map(size).sum();
    let there = |name: &str| {
        let path = folder.join(name);
        path.exists().then(|| digest(&path))
    };
    let parts = SealParts {
        payload_oxum: Some(super::bag::oxum(bytes, payload.len() as u64)),
        manifest_sha256: Some(digest(&folder.join(MANIFEST))),
        tagmanifest_sha256: Some(digest(&folder.join(TAG_MANIFEST))),
        signature_sha256: Some(digest(&folder.join(SIGNATURE))),
        timestamp_request_sha256: there(layout::REQUEST),
        timestamp_sha256: there(layout::TIMESTAMP),
    };
    let record = RunRecord::read(folder).expect("readable");
    write(&folder.join(SEAL), &seal_bytes(&seal_value(&record, &parts)));
}

/// A sealed folder that may be changed.
pub(super) fn victim() -> (Bench, PathBuf) {
    let bench = Bench::new();
    let folder = bench.sealed(0);
    unlock(&folder);
    (bench, folder)
}

#[test]
fn manifests_made_anew_do_not_carry_the_signature() {
    let (_bench, folder) = victim();
    write(&folder.join("data/captures/0001-before/capture.json"), b"[]\n");
    forge(&folder, None);
    let place = "data/captures/0001-before/capture.json";
    assert_eq!(
        verdict(&folder),
        [
            "signature_mismatch tagmanifest-sha256.txt.sig".to_owned(),
            format!("event_artifact_mismatch {place}"),
            format!("artifact_mismatch {place}"),
        ]
    );
}

#[test]
fn a_strangers_signature_is_sound_but_unknown() {
    let (_bench, folder) = victim();
    forge(&folder, Some(&stranger()));
    assert_eq!(verdict(&folder), ["unknown_key tagmanifest-sha256.txt.sig"]);
    let report = verify::folder(&folder, &trust());
    assert_eq!((report.exit(), report.signed_by), (exit::UNKNOWN_KEY, None));
    assert_eq!(report.key, Some(stranger().fingerprint()));
}

#[test]
fn a_key_found_inside_is_not_trusted() {
    let (_bench, folder) = victim();
    let line = stranger().allowed_signers_line("exhibit@bench");
    write(&folder.join("data/allowed_signers"), line.as_bytes());
    forge(&folder, Some(&stranger()));
    assert!(verdict(&folder).contains(&"unknown_key tagmanifest-sha256.txt.sig".to_owned()));
}

#[test]
fn an_event_taken_out_shows_even_with_the_right_key() {
    let (_bench, folder) = victim();
    let text = fs::read_to_string(folder.join(EVENTS)).expect("events");
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines.remove(2);
    let without = lines.concat();
    write(&folder.join(EVENTS), without.as_bytes());
    forge(&folder, Some(&signer()));
    assert_eq!(
        verdict(&folder),
        [
            "bag_info_mismatch bag-info.txt#Payload-Oxum",
            "event_previous data/events.jsonl:3",
            "event_sequence data/events.jsonl:3",
            "record_mismatch data/run.json#counts",
        ]
    );
}

#[test]
fn a_field_added_to_the_record_shows_even_with_the_right_key() {
    let (_bench, folder) = victim();
    let path = folder.join(layout::RECORD);
    let text = fs::read_to_string(&path).expect("there");
    write(&path, text.replacen('{', "{\"approved_by\": \"nobody\",", 1).as_bytes());
    forge(&folder, Some(&signer()));
    let expected = [
        "bag_info_mismatch bag-info.txt#Payload-Oxum",
        "record_mismatch data/run.json#approved_by",
    ];
    assert_eq!(verdict(&folder), expected);
}

#[test]
fn a_signature_for_another_purpose_is_refused() {
    let (_bench, folder) = victim();
    let key = ssh_key::private::Ed25519Keypair::from_seed(&[7; 32]);
    let key = ssh_key::PrivateKey::new(key.into(), "").expect("a key");
    let signed = fs::read(folder.join(TAG_MANIFEST)).expect("there");
    let other = key.sign("git", ssh_key::HashAlg::Sha512, &signed).expect("signed");
    let text = other.to_pem(ssh_key::LineEnding::LF).expect("text");
    write(&folder.join(SIGNATURE), text.as_bytes());
    let expected = [
        "signature_namespace tagmanifest-sha256.txt.sig",
        "seal_mismatch seal.json#signature_sha256",
    ];
    assert_eq!(verdict(&folder), expected);
}

#[test]
fn a_key_is_judged_at_the_time_of_sealing() {
    let (_bench, folder) = victim();
    let check = |options: &str, code: Option<FindingCode>| {
        let line = signer().allowed_signers_line("exhibit@bench");
        let line = line.replace("namespaces=\"evidence@exhibit\"", options);
        let report = verify::folder(&folder, &Trust::from_allowed_signers(&line).expect("a list"));
        let found = report.findings.first().map(|finding| finding.code);
        assert_eq!(found, code, "{options}");
        assert_eq!(report.signed_by.is_some(), code.is_none());
    };
    check("valid-after=\"20261101Z\",valid-before=\"20261201Z\"", None);
    check("valid-before=\"20261124Z\"", Some(FindingCode::KeyNotValidThen));
    check("namespaces=\"git\"", Some(FindingCode::KeyNotForEvidence));

    // Whoever knows better than the folder says when.
    let line = signer().allowed_signers_line("exhibit@bench");
    let line = line.replace("namespaces", "valid-before=\"20261201Z\",namespaces");
    let trust = Trust::from_allowed_signers(&line).expect("a list");
    for (at, code) in [
        ("2026-11-30T23:59:59Z", None),
        // The last second still belongs to it, as ssh-keygen has it.
        ("2026-12-01T00:00:00.9Z", None),
        ("2026-12-01T00:00:01Z", Some(FindingCode::KeyNotValidThen)),
    ] {
        let trust = trust.clone().at(Some(at.parse().expect("a time")));
        let report = verify::folder(&folder, &trust);
        assert_eq!(report.findings.first().map(|finding| finding.code), code, "{at}");
    }
}

#[test]
fn without_trust_the_key_is_unknown_and_nothing_else() {
    let (_bench, folder) = victim();
    let report = verify::folder(&folder, &Trust::none());
    assert_eq!(report.exit(), exit::UNKNOWN_KEY);
    assert_eq!(report.findings.len(), 1);
}

#[test]
fn a_report_that_nobody_signed_for_is_found() {
    let (_bench, folder) = victim();
    forge_listing(&folder, &LISTED, Some(&signer()));
    assert_eq!(verdict(&folder), ["tag_file_not_listed report.html"]);
}

#[test]
fn things_added_are_found_whatever_they_are() {
    let (_bench, folder) = victim();
    write(&folder.join("data/captures/0002.png"), b"x");
    write(&folder.join("manifest-md5.txt"), b"x");
    write(&folder.join("seal.json.tlog-proof"), b"x");
    write(&folder.join("tagmanifest-sha256.txt.sig.tsr"), b"x");
    make_dir(&folder.join("data/empty"));
    make_dir(&folder.join("more"));
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.join("data/pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .expect("a pipe");
    assert_eq!(
        verdict(&folder),
        [
            "unexpected_file manifest-md5.txt",
            "unexpected_folder more",
            "unexpected_file data/captures/0002.png",
            "unexpected_folder data/empty",
            "not_a_file data/pipe",
            "bag_info_mismatch bag-info.txt#Payload-Oxum",
            "timestamp_malformed tagmanifest-sha256.txt.sig.tsr",
            "seal_mismatch seal.json#payload_oxum",
            "seal_mismatch seal.json#timestamp_sha256",
            "proof_malformed seal.json.tlog-proof",
        ]
    );
}

#[expect(clippy::disallowed_methods, reason = "a test does damage")]
fn make_dir(path: &Path) {
    fs::create_dir(path).expect("made");
}

#[test]
fn a_manifest_that_names_files_elsewhere_is_not_followed() {
    let (_bench, folder) = victim();
    let mut text = fs::read_to_string(folder.join(MANIFEST)).expect("there");
    text += &render_manifest([("../../../../../lock", Digest::of(b""))]);
    write(&folder.join(MANIFEST), text.as_bytes());
    assert!(verdict(&folder).contains(&"unsafe_name manifest-sha256.txt:6".to_owned()));
}

#[test]
fn folders_renamed_moved_or_still_open_are_told() {
    let bench = Bench::new();
    let (folder, other) = (bench.sealed(0), bench.sealed(1));
    drop(bench.begin_third());
    unlock(&folder);
    unlock(&other);
    let root = bench.store.root();
    let renamed = folder.with_file_name("019ab2f0-6c1e-7d3a-9a41-000000000000");
    rename(&folder, &renamed);
    rename(&other, &root.join(format!("runs/2020/01/01/{}", id(1))));
    write(&root.join("runs/2020/note.txt"), b"x");
    let report = verify::store(root, &trust(), &[]);
    let told: Vec<String> =
        report.findings.iter().map(|f| format!("{} {}", f.code, f.place)).collect();
    let date = layout::sealed_place(id(0));
    let date = date.rsplit_once('/').expect("a date").0;
    assert_eq!(
        told,
        [
            "unexpected_file runs/2020/note.txt".to_owned(),
            format!("wrong_place runs/2020/01/01/{}", id(1)),
            format!("wrong_place {date}/019ab2f0-6c1e-7d3a-9a41-000000000000"),
            format!("run_open open/{}", Bench::third()),
        ]
    );
    assert_eq!(verdict(&renamed), ["folder_renamed ."]);
    assert_eq!(report.exit(), exit::ALTERED);
    let open = root.join(format!("open/{}", Bench::third()));
    assert_eq!(verdict(&open), ["unsealed ."]);
    assert_eq!(verify::folder(&open, &trust()).exit(), exit::INCOMPLETE);
    let nowhere = verify::folder(&root.join("nowhere"), &trust());
    assert_eq!(nowhere.exit(), exit::UNREADABLE);
}

#[test]
fn a_clock_that_was_set_back_is_a_note() {
    let bench = Bench::new();
    let mut draft = bench.begin(0);
    let mut at = bench.now();
    at.wall = at.wall.saturating_sub(jiff::SignedDuration::from_secs(60)).expect("in range");
    draft.record(&[super::fixture::agent_says("earlier")], at).expect("recorded");
    let receipt = draft.seal(&Ending::sealed("ok"), &signer(), bench.now()).expect("sealed");
    let report = verify::folder(&bench.store.root().join(receipt.folder), &trust());
    let codes: Vec<FindingCode> = report.findings.iter().map(|finding| finding.code).collect();
    assert_eq!((codes, report.exit()), (vec![FindingCode::EventTimeOrder], exit::OK));
}

/// Run the commands of `VERIFY.txt` in `folder`, each block on its own; how many failed.
fn stock_tools(bench: &Bench, folder: &Path) -> Vec<String> {
    let signers = bench.scratch().join("allowed_signers");
    write(&signers, signer().allowed_signers_line("exhibit@bench").as_bytes());
    let guide = include_str!("VERIFY.txt");
    let commands = guide.split("\n\n").filter(|block| block.starts_with("    "));
    let mut failed = Vec::new();
    for command in commands {
        let status = Command::new("bash")
            .args(["-c", command])
            .current_dir(folder)
            .env("ALLOWED_SIGNERS", &signers)
            .env("SIGNER", "exhibit@bench")
            .output()
            .expect("bash is there");
        if !status.status.success() {
            failed.push(command.trim().lines().next().unwrap_or_default().to_owned());
        }
    }
    failed
}

#[test]
fn the_commands_in_verify_txt_agree() {
    let (bench, folder) = victim();
    assert_eq!(stock_tools(&bench, &folder), [""; 0]);
    // Two known names in two lines are one that is not known.
    write(&folder.join("VERIFY.txt\nbagit.txt"), b"x");
    let failed = stock_tools(&bench, &folder);
    assert!(
        matches!(&failed[..], [one] if one.starts_with("test -z \"$(find . -mindepth")),
        "{failed:?}"
    );
    write(&folder.join("data/added"), b"x");
    write(&folder.join("added"), b"x");
    assert_eq!(stock_tools(&bench, &folder).len(), 2);
}

#[test]
fn the_commands_in_verify_txt_notice_what_we_notice() {
    let (bench, folder) = victim();
    let text = fs::read_to_string(folder.join(EVENTS)).expect("events");
    write(&folder.join(EVENTS), text.replacen("paid", "Paid", 1).as_bytes());
    forge(&folder, None);
    let failed = stock_tools(&bench, &folder);
    let starts: Vec<&str> = failed.iter().map(|line| &line[..10]).collect();
    assert_eq!(starts, ["ssh-keygen", "previous=$"]);
}
