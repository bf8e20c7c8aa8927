//! Owns the revoking of keys: which key may be, and that the history of keys and the list for auditors
//! tell of it.

use jiff::Timestamp;

use super::super::sign::{KeyPlace, Signer};
use super::{
    Revocation, Signers, SignersError, check_reason, fingerprint as fingerprint_of, millis,
};
use crate::clock::Moment;

impl Signers {
    /// Revoke the key `fingerprint`, with which others may have signed since `since`, or from `at` on.
    ///
    /// # Errors
    /// [`SignersError::Refused`] when the key never signed, is the one at `place` and no other waits
    /// for the next start, or is revoked since as long; see [`SignersError`].
    pub fn revoke(
        &mut self,
        fingerprint: &str,
        place: &KeyPlace,
        (since, reason): (Option<Timestamp>, &str),
        at: Moment,
    ) -> Result<Revocation, SignersError> {
        check_reason(reason)?;
        let _lock = self.lock()?;
        let refused = |why: &str| Err(SignersError::Refused(format!("{fingerprint} {why}")));
        let Some(epoch) = self.file.keys.iter().find(|key| key.fingerprint == fingerprint) else {
            return refused("is no key that signed here; `exhibit keys signers` lists them");
        };
        let current = Signer::public_at(place)?;
        if fingerprint_of(&current) == fingerprint && !place.waits() {
            return refused(
                "is the key that signs evidence; make another first, with: exhibit keys rotate (of \
                 an agent's, name another in keys.signing and start the daemon again)",
            );
        }
        let at = millis(at);
        let since = since.unwrap_or(at);
        if since > at {
            return refused("cannot be revoked since a time to come; give an earlier --since");
        }
        let known = self.file.revoked.iter().find(|it| it.fingerprint == fingerprint);
        if known.is_some_and(|known| known.since <= since) {
            return refused("is revoked already; only an earlier --since changes that");
        }
        let (fingerprint, key) = (epoch.fingerprint.clone(), epoch.key.clone());
        let reason = reason.to_owned();
        let revocation = Revocation { fingerprint, key, since, at, reason, logged: false };
        self.file.revoked.retain(|it| it.fingerprint != revocation.fingerprint);
        self.file.revoked.push(revocation.clone());
        self.save()?;
        Ok(revocation)
    }

    /// What revokes the key `fingerprint`, if it is revoked.
    pub fn revocation(&self, fingerprint: &str) -> Option<&Revocation> {
        self.revoked().iter().find(|revocation| revocation.fingerprint == fingerprint)
    }

    /// Every key that was revoked.
    pub fn revoked(&self) -> &[Revocation] {
        &self.file.revoked
    }

    /// The list of revoked keys, for auditors and `ssh-keygen -r`; empty when there are none.
    pub fn revoked_keys(&self) -> String {
        self.revoked().iter().map(Revocation::line).collect()
    }

    /// Remember that the log tells of `revocations`.
    ///
    /// # Errors
    /// See [`SignersError`].
    pub fn mark_logged(&mut self, revocations: &[Revocation]) -> Result<(), SignersError> {
        let _lock = self.lock()?;
        for revoked in &mut self.file.revoked {
            revoked.logged |= revocations.contains(revoked);
        }
        self.save()
    }
}

#[cfg(test)]
mod tests {
    use exhibit_verify::revocation::Revoked;

    use super::*;
    use crate::disk;
    use crate::fixture::{signer, stranger};
    use crate::key_file::KeyKind;
    use crate::key_file::public_line;
    use crate::signers::tests::Desk;

    fn revocation() -> Revocation {
        let since = "2026-11-24T08:00:00.700Z".parse().expect("a time");
        let at = "2026-11-25T08:00:00Z".parse().expect("a time");
        let (fingerprint, key) = (signer().fingerprint(), public_line(signer().public()));
        let reason = "the \"laptop\" was lost".to_owned();
        Revocation { fingerprint, key, since, at, reason, logged: false }
    }

    #[test]
    fn what_is_written_is_read_and_the_second_before_it_counts_as_well() {
        let text = format!("# lost\n\n{}", revocation().line());
        let [revoked] = &Revoked::list(&text).expect("a list")[..] else { panic!("{text}") };
        assert_eq!(revoked.fingerprint(), revocation().fingerprint);
        assert_eq!(revoked.since, Some("2026-11-24T08:00:00Z".parse().expect("a time")));
        assert_eq!(revoked.reason, revocation().reason);
        let before = |at: &str| revoked.came_after(Some(at.parse().expect("a time")));
        assert!(before("2026-11-24T07:59:59.9Z") && !before("2026-11-24T08:00:00Z"));
        assert!(!revoked.came_after(None));
    }

    #[test]
    fn a_key_without_a_time_was_never_good_and_half_a_list_is_none() {
        let stranger = public_line(stranger().public());
        let bare = Revoked::list(&format!("{stranger} some comment")).expect("a list");
        assert!(!bare[0].came_after(Some(Timestamp::MIN)));
        for bad in ["since=soon x", "since=20261124Z", "since="] {
            let (line, what) = Revoked::list(&format!("\n{stranger} {bad}")).expect_err(bad);
            assert!(line == 2 && what.contains("YYYYMMDD"), "{what}");
        }
        assert_eq!(Revoked::list("ssh-ed25519 AAAA").expect_err("no key").0, 1);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "tests prepare files of their own")]
    fn ssh_keygen_reads_the_list() {
        use std::process::Command;
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let line = signer().allowed_signers_line("x");
        std::fs::write(at("allowed_signers"), format!("{line}\n")).expect("written");
        std::fs::write(at("sig"), signer().sign(b"evidence").expect("signed")).expect("written");
        std::fs::write(at("bytes"), b"evidence").expect("written");
        let other = format!("{} since=20200101000000Z x\n", public_line(stranger().public()));
        for (list, good) in [(revocation().line(), false), (other, true)] {
            std::fs::write(at("revoked_keys"), list).expect("written");
            let mut command = Command::new("ssh-keygen");
            command.args(["-Y", "verify", "-n", "evidence@exhibit", "-I", "x"]);
            command.arg("-f").arg(at("allowed_signers")).arg("-s").arg(at("sig"));
            command.arg("-r").arg(at("revoked_keys"));
            let done = command.stdin(std::fs::File::open(at("bytes")).expect("there")).output();
            assert_eq!(done.expect("ssh-keygen is there").status.success(), good);
        }
    }

    #[test]
    fn a_key_is_revoked_once_another_waits_and_never_signs_again() {
        let desk = Desk::new();
        let old = desk.start().expect("made").fingerprint();
        let revoke = |since: Option<&str>, reason: &str| {
            let since = since.map(|since| since.parse().expect("a time"));
            desk.signers().revoke(&old, &desk.place, (since, reason), desk.now())
        };
        let refused = revoke(None, "lost").expect_err("it signs");
        assert!(refused.to_string().contains("exhibit keys rotate"), "{refused}");
        desk.signers().rotate(&desk.place, KeyKind::Ed25519, "it was lost").expect("made");
        assert!(matches!(revoke(None, "two\nlines"), Err(SignersError::Refused(_))));
        let revoked = revoke(None, "lost").expect("another waits");
        assert_eq!(revoked.since.to_string(), "2026-11-24T09:15:46.12Z");
        let again = revoke(Some("2026-11-25T00:00:00Z"), "later").expect_err("revoked already");
        assert!(again.to_string().contains("earlier"), "{again}");
        revoke(Some("2026-11-24T09:00:00Z"), "stolen before").expect("it takes back more");
        let future = revoke(Some("2026-11-24T11:00:00Z"), "x").expect_err("not yet");
        assert!(future.to_string().contains("to come"), "{future}");
        let stranger = desk.signers().revoke("SHA256:x", &desk.place, (None, "x"), desk.now());
        assert!(stranger.expect_err("never signed").to_string().contains("exhibit keys signers"));

        desk.start().expect("the other is taken up");
        let mut signers = desk.signers();
        let [revoked] = signers.revoked() else { panic!("{signers:?}") };
        assert_eq!((revoked.reason.as_str(), revoked.logged), ("stolen before", false));
        let revoked = revoked.clone();
        signers.mark_logged(&[revoked]).expect("written");
        assert!(desk.signers().revoked()[0].logged);
        let line = format!("{} since=20261124090000Z stolen before\n", signers.keys()[0].key);
        assert_eq!(signers.revoked_keys(), line);

        // Somebody brings it back.
        let path = &desk.place.path;
        let names = desk.names();
        let retired = names.iter().find(|name| name.contains("until-")).expect("kept");
        disk::remove_file(path).expect("removed");
        disk::rename_new(&path.with_file_name(retired), path).expect("renamed");
        let refused = desk.start().expect_err("revoked");
        assert!(matches!(refused, SignersError::Revoked { .. }), "{refused}");
    }
}
