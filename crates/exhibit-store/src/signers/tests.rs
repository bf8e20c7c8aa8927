//! The history of keys: exchanged, revoked, found changed.

use std::cell::Cell;
use std::time::Duration;

use super::*;

pub(crate) struct Desk {
    folder: tempfile::TempDir,
    pub(crate) place: KeyPlace,
    now: Cell<Moment>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys/evidence");
        let place = KeyPlace { path, kind: KeyKind::Ed25519, agent: None };
        let wall = "2026-11-24T08:15:46.120Z".parse().expect("a time");
        let now = Cell::new(Moment { wall, monotonic: Duration::ZERO, state: None });
        Self { folder, place, now }
    }

    pub(crate) fn now(&self) -> Moment {
        self.now.get()
    }

    fn read(&self) -> Result<Signers, SignersError> {
        Signers::open(&self.folder.path().join("keys/signers.json"))
    }

    pub(crate) fn signers(&self) -> Signers {
        self.read().expect("readable")
    }

    /// As the daemon does at its start, an hour later.
    pub(crate) fn start(&self) -> Result<Signer, SignersError> {
        self.now.set(self.now().plus(Duration::from_hours(1)));
        self.read()?.take_up(&self.place, None, self.now())
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path().join("keys")).expect("there");
        let name = |entry: io::Result<std::fs::DirEntry>| {
            entry.expect("an entry").file_name().to_string_lossy().into_owned()
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.retain(|name| name != "signers.lock");
        names.sort();
        names
    }
}

#[test]
fn a_new_key_waits_for_the_next_start_and_the_old_one_stays_good_for_its_time() {
    let desk = Desk::new();
    let old = desk.start().expect("made").fingerprint();
    let mut signers = desk.signers();
    let new = signers.rotate(&desk.place, KeyKind::P256, "a year is over").expect("made");
    assert_eq!(Signer::load_or_create(&desk.place.path).expect("there").fingerprint(), old);
    let again = desk.signers().rotate(&desk.place, KeyKind::P256, "x").expect_err("one waits");
    assert!(again.to_string().contains("waits in"), "{again}");

    let taken = desk.start().expect("taken up");
    assert_eq!(taken.fingerprint(), new);
    assert_eq!(desk.start().expect("again").fingerprint(), new);
    let signers = desk.signers();
    let [first, second] = signers.keys() else { panic!("{signers:?}") };
    assert_eq!((&first.fingerprint, first.from, &first.reason), (&old, None, &None));
    assert_eq!((&second.fingerprint, second.until), (&new, None));
    assert_eq!((first.until, signers.reason()), (second.from, Some("a year is over")));
    assert_eq!(signers.next(), None);
    let lines = signers.allowed_signers("exhibit", taken.public());
    let [one, two] = lines.lines().collect::<Vec<_>>()[..] else { panic!("{lines}") };
    let begin = "exhibit valid-before=\"20261124101547Z\",namespaces=\"evidence@exhibit\" ssh-";
    assert!(one.starts_with(begin), "{one}");
    let begin = "exhibit valid-after=\"20261124101546Z\",namespaces=\"evidence@exhibit\" ecdsa-";
    assert!(two.starts_with(begin), "{two}");
    let retired = "evidence.until-20261124T101546.120Z";
    assert_eq!(desk.names(), ["evidence", "evidence.pub", retired, "signers.json"]);
    let public = std::fs::read_to_string(desk.place.path.with_extension("pub")).expect("there");
    assert!(public.starts_with(&second.key), "{public}");
}

#[test]
fn a_crash_at_any_step_of_an_exchange_leaves_a_key_and_the_next_start_goes_on() {
    // After each step of `rotate`, and of `exchange` and `take_up`.
    for step in 0..6 {
        let desk = Desk::new();
        let old = desk.start().expect("made").fingerprint();
        let new = desk.signers().rotate(&desk.place, KeyKind::Ed25519, "due").expect("made");
        let (path, next) = (&desk.place.path, key_file::next_file(&desk.place.path));
        let key = key_file::read(&next, &KeyKind::ALL).expect("a key");
        let history = desk.signers().path;
        let before = std::fs::read(&history).expect("there");
        match step {
            // The reason was written, and no key.
            0 => disk::remove_file(&next).expect("removed"),
            1 => {}
            2 => key_file::write_public(path, &key).expect("written"),
            3 => disk::rename_new(path, &path.with_extension("until-x")).expect("renamed"),
            4 => key_file::exchange(path, millis(desk.now())).expect("exchanged"),
            _ => {
                desk.start().expect("taken up");
                disk::replace(&history, &before, PUBLIC).expect("written");
            }
        }
        let expected = if step == 0 { &old } else { &new };
        for _ in 0..2 {
            let taken = desk.start().unwrap_or_else(|error| panic!("{step}: {error}"));
            assert_eq!(&taken.fingerprint(), expected, "{step}");
        }
        let signers = desk.signers();
        let keys: Vec<&str> = signers.keys().iter().map(|key| &*key.fingerprint).collect();
        let history = if step == 0 { vec![&*old] } else { vec![&*old, &*new] };
        assert_eq!(keys, history, "{step}");
        assert_eq!(signers.reason(), (step > 0).then_some("due"), "{step}");
        let retired = desk.names().iter().filter(|name| name.contains("until-")).count();
        assert_eq!(retired, usize::from(step > 0), "{step}: the old key is kept");
        assert!(!next.exists(), "{step}");
        let public = std::fs::read_to_string(path.with_extension("pub")).expect("there");
        assert!(public.starts_with(&signers.keys().last().expect("one").key), "{step}");
    }
}

#[test]
fn what_waits_and_is_no_key_or_is_not_ours_alone_takes_no_place() {
    let desk = Desk::new();
    let old = desk.start().expect("made").fingerprint();
    let next = key_file::next_file(&desk.place.path);
    disk::write_once(&next, b"not a key").expect("written");
    assert!(desk.start().expect_err("no key").to_string().contains("evidence.next"));
    disk::remove_file(&next).expect("removed");
    desk.signers().rotate(&desk.place, KeyKind::P256, "due").expect("made");
    disk::set_mode(&next, 0o644).expect("set");
    assert!(desk.start().expect_err("exposed").to_string().contains("chmod 600"));
    assert_eq!(Signer::load_or_create(&desk.place.path).expect("there").fingerprint(), old);
    assert_eq!(desk.signers().keys().len(), 1);
}

#[test]
fn a_key_that_was_exchanged_by_hand_is_written_down_and_may_come_back() {
    let desk = Desk::new();
    let (path, aside) = (&desk.place.path, desk.place.path.with_extension("aside"));
    let first = desk.start().expect("made").fingerprint();
    disk::rename_new(path, &aside).expect("renamed");
    // None is made in its place, with its public half there or without.
    let refused = desk.start().expect_err("gone").to_string();
    assert!(refused.contains("is gone") && refused.contains("ssh-keygen"), "{refused}");
    disk::remove_file(&key_file::public_file(path)).expect("removed");
    desk.start().expect_err("gone");
    assert!(!path.exists() && desk.signers().keys().len() == 1);
    let by_hand = key_file::new(KeyKind::P256, COMMENT).expect("a key");
    key_file::write(path, &by_hand).expect("written");
    let second = desk.start().expect("taken up").fingerprint();
    assert_eq!(desk.signers().reason(), Some(UNANNOUNCED));
    disk::remove_file(path).expect("removed");
    disk::rename_new(&aside, path).expect("renamed");
    desk.start().expect("the first again");
    let signers = desk.signers();
    let keys: Vec<&str> = signers.keys().iter().map(|key| &*key.fingerprint).collect();
    assert_eq!(keys, [&*first, &*second, &*first]);
}

#[test]
fn a_history_that_others_can_change_or_that_is_damaged_is_refused() {
    let desk = Desk::new();
    desk.start().expect("made");
    let path = desk.signers().path;
    disk::set_mode(&path, 0o666).expect("set");
    assert!(desk.start().expect_err("exposed").to_string().contains("chmod go-w"));
    disk::replace(&path, b"{}", PUBLIC).expect("written");
    assert!(desk.start().expect_err("damaged").to_string().contains("restore it"));
    disk::replace(&path, b"{\"format\":\"x/9\",\"keys\":[]}", PUBLIC).expect("written");
    assert!(desk.start().expect_err("another form").to_string().contains("x/9"));
}

#[test]
fn a_key_beside_the_fingerprint_of_another_is_refused() {
    let (desk, other) = (Desk::new(), Desk::new());
    let mine = desk.start().expect("made");
    let signers = desk.signers();
    let theirs = other.start().expect("made");
    let text = std::fs::read_to_string(&signers.path).expect("there");
    let [mine, theirs] = [mine, theirs].map(|key| key_file::public_line(key.public()));
    assert!(text.contains(&mine), "{text}");
    disk::replace(&signers.path, text.replace(&mine, &theirs).as_bytes(), PUBLIC).expect("ours");
    let told = desk.read().expect_err("refused").to_string();
    assert!(told.contains("is another (SHA256:") && told.contains("restore the file"), "{told}");
}

#[test]
fn a_reason_is_a_line() {
    let desk = Desk::new();
    desk.start().expect("made");
    for reason in ["", " ", "two\nlines", &"x".repeat(MAX_REASON + 1)] {
        let refused = desk.signers().rotate(&desk.place, KeyKind::Ed25519, reason);
        assert!(matches!(refused, Err(SignersError::Refused(_))), "{reason:?}");
    }
    assert!(!key_file::next_file(&desk.place.path).exists());
}

/// The log of a desk on which `names` signed one after the other, an hour each from 9:00 on.
fn told(names: &[&str]) -> LoggedKeys {
    let mut told = LoggedKeys::default();
    for (hour, name) in names.iter().enumerate() {
        let entry = serde_json::json!({
            "format": "exhibit-log/1", "kind": "start", "key": name,
            "time": format!("2026-11-24T{:02}:15:46.120Z", 9 + hour),
        });
        told.take(hour as u64, &entry_of(&entry));
    }
    told
}

fn entry_of(entry: &serde_json::Value) -> crate::log::Leaf {
    crate::log::Leaf::parse(entry.to_string().as_bytes()).expect("an entry")
}

fn revoked_in(told: &mut LoggedKeys, key: &str, since: &str) {
    let entry = serde_json::json!({
        "format": "exhibit-log/1", "kind": "key-revocation", "time": "2026-11-24T12:00:00.000Z",
        "key": key, "since": since, "reason": "lost",
    });
    told.take(9, &entry_of(&entry));
}

#[test]
fn a_history_that_was_edited_contradicts_the_log_and_an_honest_one_does_not() {
    let desk = Desk::new();
    let old = desk.start().expect("made").fingerprint();
    desk.signers().rotate(&desk.place, KeyKind::Ed25519, "due").expect("made");
    let new = desk.start().expect("taken up").fingerprint();
    let honest = desk.signers();
    let logged = told(&[&old, &new]);
    let says = |signers: &Signers, logged: &LoggedKeys| -> Vec<(String, bool)> {
        let doubts = signers.doubts(logged, Some(&new));
        doubts.into_iter().map(|doubt| (doubt.field, doubt.contradicts)).collect()
    };
    let edited = |edit: &dyn Fn(&mut File)| {
        let mut signers = desk.signers();
        edit(&mut signers.file);
        says(&signers, &logged)
    };
    // As it is; as a crash leaves it before the log heard of the new key; and of a store that began when
    // another log had ended.
    assert_eq!(says(&honest, &logged), []);
    assert_eq!(says(&honest, &told(&[&old])), []);
    let mut later = told(&[&new]);
    later.epochs[0].first = later.epochs[0].first.map(|at| at + SignedDuration::from_hours(1));
    assert_eq!(says(&honest, &later), [("keys[0].fingerprint".to_owned(), false)]);

    let at = |field: &str| vec![(field.to_owned(), true)];
    let time = |text: &str| Some(text.parse().expect("a time"));
    assert_eq!(edited(&|file| file.keys = Vec::new()), at("keys"), "gone");
    assert_eq!(edited(&|file| file.keys.truncate(1))[1], at("keys")[0], "put back");
    let late = edited(&|file| {
        (file.keys[0].until, file.keys[1].from) =
            (time("2046-01-01T00:00:00Z"), time("2046-01-01T00:00:00Z"));
    });
    assert_eq!(late, at("keys[1].from"));
    assert_eq!(
        edited(&|file| file.keys[0].until = time("2046-01-01T00:00:00Z")),
        at("keys[1].from")
    );
    let slipped = edited(&|file| {
        let until = time("2026-11-24T10:00:00Z");
        file.keys[0].from = until;
        let fingerprint = "SHA256:evil".to_owned();
        let key = file.keys[0].key.clone();
        file.keys.insert(0, Epoch { fingerprint, key, from: None, until, reason: None });
    });
    assert_eq!(slipped, at("keys[0].fingerprint"));
    let appended = edited(&|file| {
        let mut evil = file.keys[1].clone();
        (evil.from, evil.fingerprint) = (time("2026-11-24T11:00:00Z"), "SHA256:evil".to_owned());
        file.keys[1].until = evil.from;
        file.keys.push(evil);
    });
    assert_eq!(appended, at("keys[2].fingerprint"));
}

#[test]
fn a_key_that_the_log_revokes_does_not_sign_whatever_the_history_says() {
    let desk = Desk::new();
    let old = desk.start().expect("made").fingerprint();
    let mut logged = told(&[&old]);
    revoked_in(&mut logged, &old, "2026-11-24T09:00:00.000Z");
    let mut signers = desk.signers();
    let refused = signers.take_up(&desk.place, Some(&logged), desk.now()).expect_err("revoked");
    let said = refused.to_string();
    assert!(said.contains("revoked") && said.contains(&old) && said.contains("put back"), "{said}");
    // Since later than the log says is no better; since earlier is what `keys revoke` allows.
    for (since, field) in [
        ("2026-11-24T10:00:00Z", Some(format!("revoked[{old}].since"))),
        ("2026-11-24T09:00:00Z", None),
        ("2026-11-24T08:00:00Z", None),
    ] {
        let mut signers = desk.signers();
        let since = since.parse().expect("a time");
        let (fingerprint, key) = (old.clone(), signers.file.keys[0].key.clone());
        let reason = "lost".to_owned();
        let revocation = Revocation { fingerprint, key, since, at: since, reason, logged: true };
        signers.file.revoked.push(revocation);
        let found = signers.doubts(&logged, Some(&old)).pop().map(|doubt| doubt.field);
        assert_eq!(found, field);
    }
}
