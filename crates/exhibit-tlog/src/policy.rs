//! Owns whom a reader of logs believes (c2sp.org/tlog-policy): which logs, which witnesses, and how
//! many of these must have cosigned. Always handed over from outside, never found in a log.

use std::collections::BTreeMap;

use super::note::{Algorithm, Note, VerifierKey};

/// The word for a quorum that asks for nobody.
const NONE: &str = "none";

/// Logs, witnesses, and the quorum.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    logs: Vec<VerifierKey>,
    witnesses: BTreeMap<String, VerifierKey>,
    groups: BTreeMap<String, Group>,
    quorum: Option<String>,
    /// Whether somebody stated it, rather than said nothing.
    stated: bool,
}

/// So many of these.
#[derive(Clone, Debug)]
struct Group {
    needed: usize,
    members: Vec<String>,
}

/// Why a text is not a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct PolicyError {
    /// Line number, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// What a policy says of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// A log that is believed signed it, and as many witnesses as are asked for.
    Believed {
        /// Names of the witnesses whose cosignatures are sound, with their times in seconds since
        /// the epoch.
        witnesses: Vec<(String, u64)>,
    },
    /// No log that is believed signed it.
    UnknownLog,
    /// Too few witnesses cosigned it.
    TooFewWitnesses {
        /// Names of those that did.
        witnesses: Vec<String>,
    },
}

impl Policy {
    /// Read a policy: lines `log KEY`, `witness NAME KEY`, `group NAME any|all|N MEMBER…` and
    /// `quorum NAME|none`; addresses after a key, and comments, are passed over.
    ///
    /// # Errors
    /// [`PolicyError`] for the first line that cannot be understood.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let mut policy = Self { stated: true, ..Self::default() };
        for (index, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let read = match words.as_slice() {
                [] => Ok(()),
                [comment, ..] if comment.starts_with('#') => Ok(()),
                ["log", key] | ["log", key, _] => policy.log(key),
                ["witness", name, key] | ["witness", name, key, _] => policy.witness(name, key),
                ["group", name, needed, members @ ..] => policy.group(name, needed, members),
                ["quorum", name] => policy.set_quorum(name),
                _ => Err("expected log, witness, group or quorum with what belongs to it".into()),
            };
            read.map_err(|what| PolicyError { line: index + 1, what })?;
        }
        Ok(policy)
    }

    /// The policy that believes the logs with these keys, one a line.
    ///
    /// # Errors
    /// [`PolicyError`] for the first line that is no such key.
    pub fn of_keys(keys: &str) -> Result<Self, PolicyError> {
        let lines: Vec<String> = keys.lines().map(|key| format!("log {key}\n")).collect();
        Self::parse(&lines.concat())
    }

    /// Whether anybody is believed at all.
    pub fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    /// The same, asking for no witness.
    #[must_use]
    pub fn without_quorum(mut self) -> Self {
        (self.quorum, self.stated) = (Some(NONE.to_owned()), false);
        self
    }

    /// Why a policy that somebody stated asks for less than it seems to.
    pub fn weakness(&self) -> Option<&'static str> {
        if !self.stated {
            None
        } else if self.logs.is_empty() {
            Some("no log: nobody is believed")
        } else if !self.witnesses.is_empty() && self.quorum.is_none() {
            Some("witnesses and no quorum: none of them is needed")
        } else {
            None
        }
    }

    /// Whether any witness is needed.
    pub fn asks_for_witnesses(&self) -> bool {
        self.quorum.as_ref().is_some_and(|name| name != NONE)
    }

    /// Names of the witnesses, in their order.
    pub fn witnesses(&self) -> impl Iterator<Item = &str> {
        self.witnesses.keys().map(String::as_str)
    }

    /// The witnesses whose cosignatures of `note` are sound, with their times in seconds since the
    /// epoch.
    pub fn cosigned(&self, note: &Note) -> Vec<(String, u64)> {
        let signed =
            |(name, key): (&String, &VerifierKey)| Some((name.clone(), note.signed_by(key)?));
        self.witnesses.iter().filter_map(signed).collect()
    }

    /// Whether those that `have` done something are as many as are needed.
    pub fn is_quorum(&self, have: impl Fn(&str) -> bool) -> bool {
        match &self.quorum {
            Some(name) if name != NONE => self.is_met(name, &have),
            _ => true,
        }
    }

    /// Whether `note` has a signature of a key of which nothing was said.
    pub fn has_strangers(&self, note: &Note) -> bool {
        !self.is_empty() && note.has_strangers(self.logs.iter().chain(self.witnesses.values()))
    }

    fn log(&mut self, key: &str) -> Result<(), String> {
        let key = parse_key(key)?;
        if key.algorithm() != Algorithm::Ed25519 {
            return Err("that is the key of a witness, not of a log".to_owned());
        }
        self.logs.push(key);
        Ok(())
    }

    fn witness(&mut self, name: &str, key: &str) -> Result<(), String> {
        self.check_free(name)?;
        let key = parse_key(key)?;
        if key.algorithm() != Algorithm::Cosignature {
            return Err("that is the key of a log, not of a witness".to_owned());
        }
        if self.witnesses.values().any(|other| *other == key) {
            return Err("another witness has that key".to_owned());
        }
        self.witnesses.insert(name.to_owned(), key);
        Ok(())
    }

    fn group(&mut self, name: &str, needed: &str, members: &[&str]) -> Result<(), String> {
        self.check_free(name)?;
        for (index, member) in members.iter().enumerate() {
            self.check_known(member)?;
            if members[..index].contains(member) {
                return Err(format!("{member} stands twice in the group"));
            }
        }
        let needed = match needed {
            "any" => 1,
            "all" => members.len(),
            number => {
                number.parse().map_err(|_| format!("{number} is not any, all or a number"))?
            }
        };
        if !(1..=members.len()).contains(&needed) {
            return Err(format!("{needed} of {} members", members.len()));
        }
        let members = members.iter().map(|&member| member.to_owned()).collect();
        self.groups.insert(name.to_owned(), Group { needed, members });
        Ok(())
    }

    fn set_quorum(&mut self, name: &str) -> Result<(), String> {
        if self.quorum.is_some() {
            return Err("there is a quorum already".to_owned());
        }
        if name != NONE {
            self.check_known(name)?;
        }
        self.quorum = Some(name.to_owned());
        Ok(())
    }

    fn check_free(&self, name: &str) -> Result<(), String> {
        let taken =
            name == NONE || self.witnesses.contains_key(name) || self.groups.contains_key(name);
        if taken { Err(format!("the name {name} is taken")) } else { Ok(()) }
    }

    fn check_known(&self, name: &str) -> Result<(), String> {
        let known = self.witnesses.contains_key(name) || self.groups.contains_key(name);
        if known { Ok(()) } else { Err(format!("no line before this one names {name}")) }
    }

    /// Whether `note`, which states a checkpoint of the log `origin`, is to be believed.
    pub fn judge(&self, note: &Note, origin: &str) -> Judgement {
        let signed = |key: &&VerifierKey| key.name() == origin && note.signed_by(key).is_some();
        if !self.logs.iter().any(|key| signed(&key)) {
            return Judgement::UnknownLog;
        }
        let witnesses = self.cosigned(note);
        if self.is_quorum(|name| witnesses.iter().any(|(there, _)| there == name)) {
            Judgement::Believed { witnesses }
        } else {
            let witnesses = witnesses.into_iter().map(|(name, _)| name).collect();
            Judgement::TooFewWitnesses { witnesses }
        }
    }

    /// Whether `name` cosigned, or enough of the group `name`. Groups name only those before them,
    /// so this ends; each is asked once for each that names it.
    fn is_met(&self, name: &str, has: &impl Fn(&str) -> bool) -> bool {
        match self.groups.get(name) {
            None => has(name),
            Some(Group { needed, members }) => {
                members.iter().filter(|member| self.is_met(member, has)).take(*needed).count()
                    == *needed
            }
        }
    }
}

fn parse_key(key: &str) -> Result<VerifierKey, String> {
    key.parse().map_err(|error| format!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::super::note::NoteSigner;
    use super::*;

    fn signer(name: &str, seed: u8) -> NoteSigner {
        NoteSigner::new(name, &[seed; 32]).expect("a name")
    }

    #[test]
    fn a_checkpoint_is_believed_when_log_and_quorum_signed() {
        let log = signer("example.com/log", 1);
        let witnesses = [signer("w/1", 2), signer("w/2", 3), signer("w/3", 4)];
        let mut text = format!("# ours\n\nlog {}\n", log.verifier(Algorithm::Ed25519));
        text.extend(witnesses.iter().enumerate().map(|(index, witness)| {
            let key = witness.verifier(Algorithm::Cosignature);
            format!("witness w{index} {key} https://w.example\n")
        }));
        text.push_str("group pair 2 w0 w1\ngroup both all pair w2\ngroup one any both w0\n");
        let policy =
            |quorum: &str| Policy::parse(&format!("{text}quorum {quorum}\n")).expect("a policy");
        let mut note = Note::new("example.com/log\n5\nAAAA\n".to_owned());
        let origin = "example.com/log";
        assert_eq!(policy("none").judge(&note, origin), Judgement::UnknownLog);
        note.add(&log.sign(&note.text)).expect("a line");
        assert_eq!(policy("none").judge(&note, origin), Judgement::Believed { witnesses: vec![] });
        assert_eq!(policy("none").judge(&note, "another"), Judgement::UnknownLog);
        let few = |names: &[&str]| Judgement::TooFewWitnesses {
            witnesses: names.iter().map(|&name| name.to_owned()).collect(),
        };
        assert_eq!(policy("one").judge(&note, origin), few(&[]));
        note.add(&witnesses[1].cosign(&note.text, 7)).expect("a line");
        note.add(&witnesses[2].cosign(&note.text, 8)).expect("a line");
        assert_eq!(policy("one").judge(&note, origin), few(&["w1", "w2"]));
        assert_eq!(policy("both").judge(&note, origin), few(&["w1", "w2"]));
        note.add(&witnesses[0].cosign(&note.text, 9)).expect("a line");
        let all = [("w0", 9), ("w1", 7), ("w2", 8)].map(|(name, at)| (name.to_owned(), at));
        assert_eq!(
            policy("both").judge(&note, origin),
            Judgement::Believed { witnesses: all.into() }
        );
    }

    #[test]
    fn what_cannot_be_understood_is_told_with_its_line() {
        let log = signer("example.com/log", 1);
        let (of_log, of_witness) =
            (log.verifier(Algorithm::Ed25519), log.verifier(Algorithm::Cosignature));
        let line = |text: &str| Policy::parse(text).expect_err(text).line;
        assert_eq!(line("nobody"), 1);
        assert_eq!(line("\nlog x"), 2);
        assert_eq!(line(&format!("log {of_witness}")), 1);
        assert_eq!(line(&format!("witness w {of_log}")), 1);
        let witness = format!("witness w {of_witness}\n");
        for bad in [
            "quorum v",
            "group g any v",
            "group g any",
            "group g 0 w",
            "group g 2 w",
            "group g 2 w w",
            "group w any w",
            "group none any w",
            &format!("witness v {of_witness}"),
            "quorum w\nquorum w",
        ] {
            let told = line(&format!("{witness}{bad}"));
            assert_eq!(told, 1 + bad.lines().count(), "{bad}");
        }
        assert!(Policy::parse("").expect("empty").is_empty());
    }

    #[test]
    fn a_policy_that_asks_for_less_than_it_seems_to_is_told() {
        let log = signer("example.com/log", 1).verifier(Algorithm::Ed25519);
        let witness = signer("w/1", 2).verifier(Algorithm::Cosignature);
        let (log, witness) = (format!("log {log}\n"), format!("witness w {witness}\n"));
        let weak = |text: &str| Policy::parse(text).expect("a policy").weakness().is_some();
        assert!(weak("") && weak("# nobody\n") && weak(&witness) && weak("quorum none"));
        assert!(weak(&format!("{log}{witness}")) && weak(&format!("{log}{witness}group g any w")));
        assert!(!weak(&log) && !weak(&format!("{log}{witness}quorum w")));
        // Whoever writes that nobody is needed means it.
        assert!(!weak(&format!("{log}{witness}quorum none")));
        assert!(Policy::default().weakness().is_none(), "nothing was said");
    }
}
