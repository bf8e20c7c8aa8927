//! Owns who is signed in to the web page: links that work once and sessions, as digests, in memory
//! only. Knows no HTTP and reads no clock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use subtle::{Choice, ConstantTimeEq as _};

use crate::clock::Moment;
use crate::digest::Digest;
use crate::error::Problem;
use crate::run::Caller;
use crate::secret::{Secret, new_token};

/// How long a link works.
pub const LINK: Duration = Duration::from_secs(60);
/// Most links that wait to be used, and most sessions; the oldest make room.
const MOST: usize = 256;

/// Links and sessions. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct SignIn(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    links: Vec<Grant>,
    sessions: Vec<Grant>,
}

/// A token that was given out, without the token.
#[derive(Debug)]
struct Grant {
    digest: Digest,
    caller: Caller,
    /// Ends with whichever clock comes first: one may be set back, the other stands still while
    /// the machine sleeps.
    wall: Timestamp,
    monotonic: Duration,
}

impl Grant {
    fn is_over(&self, now: Moment) -> bool {
        now.wall >= self.wall || now.monotonic >= self.monotonic
    }
}

impl SignIn {
    /// A token for a link that signs `caller` in, once, within [`LINK`].
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn link(&self, caller: Caller, now: Moment) -> Result<Secret<String>, Problem> {
        add(&mut self.lock(now).links, caller, LINK, now)
    }

    /// Whether `token` is that of a link that still works. It goes on working.
    pub fn is_link(&self, token: &str, now: Moment) -> bool {
        place(&self.lock(now).links, token).is_some()
    }

    /// Use up the link of `token` and open a session of `lasting` for whom it was made; the
    /// session's token, none when there is no such link.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn redeem(
        &self,
        token: &str,
        lasting: Duration,
        now: Moment,
    ) -> Result<Option<(Secret<String>, Caller)>, Problem> {
        let mut state = self.lock(now);
        let Some(place) = place(&state.links, token) else { return Ok(None) };
        let caller = state.links.remove(place).caller;
        let session = add(&mut state.sessions, caller.clone(), lasting, now)?;
        Ok(Some((session, caller)))
    }

    /// Whose session `token` is.
    pub fn session(&self, token: &str, now: Moment) -> Option<Caller> {
        let state = self.lock(now);
        place(&state.sessions, token).map(|place| state.sessions[place].caller.clone())
    }

    /// End the session of `token`.
    pub fn end(&self, token: &str, now: Moment) {
        let mut state = self.lock(now);
        if let Some(place) = place(&state.sessions, token) {
            state.sessions.remove(place);
        }
    }

    /// The state, without what is over.
    fn lock(&self, now: Moment) -> MutexGuard<'_, State> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.links.retain(|grant| !grant.is_over(now));
        state.sessions.retain(|grant| !grant.is_over(now));
        state
    }
}

fn add(
    grants: &mut Vec<Grant>,
    caller: Caller,
    lasting: Duration,
    now: Moment,
) -> Result<Secret<String>, Problem> {
    let token = new_token().map_err(|error| Problem::internal("making a token", error))?;
    if grants.len() >= MOST {
        grants.remove(0);
    }
    let signed = SignedDuration::try_from(lasting).unwrap_or(SignedDuration::MAX);
    grants.push(Grant {
        digest: Digest::of(token.expose().as_bytes()),
        caller,
        wall: now.wall.saturating_add(signed).unwrap_or(Timestamp::MAX),
        monotonic: now.monotonic.saturating_add(lasting),
    });
    Ok(token)
}

/// Where the grant of `token` stands. Every grant is compared, and each comparison takes as long as
/// any other, so that the time tells nothing.
fn place(grants: &[Grant], token: &str) -> Option<usize> {
    let digest = Digest::of(token.as_bytes());
    let mut found = None;
    for (place, grant) in grants.iter().enumerate() {
        let same: Choice = grant.digest.as_bytes().ct_eq(digest.as_bytes());
        if bool::from(same) {
            found = Some(place);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const HOUR: Duration = Duration::from_secs(3600);

    fn clock() -> Clock {
        Clock::fixed("2026-11-24T08:15:46Z".parse().expect("a timestamp"))
    }

    fn caller(uid: u32) -> Caller {
        Caller::Socket { uid, gid: uid, pid: None }
    }

    #[test]
    fn a_link_works_once_however_often_it_is_looked_at() {
        let (clock, sign_in) = (clock(), SignIn::default());
        let link = sign_in.link(caller(7), clock.now()).expect("random");
        assert_eq!(link.expose().len(), 43);
        for _ in 0..3 {
            assert!(sign_in.is_link(link.expose(), clock.now()));
        }
        let redeemed = sign_in.redeem(link.expose(), HOUR, clock.now()).expect("random");
        let (session, who) = redeemed.expect("a session");
        assert_eq!(who, caller(7));
        assert!(session != link && session.expose().len() == 43);
        assert!(!sign_in.is_link(link.expose(), clock.now()));
        assert!(sign_in.redeem(link.expose(), HOUR, clock.now()).expect("asked").is_none());
        assert_eq!(sign_in.session(session.expose(), clock.now()), Some(caller(7)));
        // A link's token opens no page, and a session's signs nobody in.
        assert_eq!(sign_in.session(link.expose(), clock.now()), None);
        assert!(sign_in.redeem(session.expose(), HOUR, clock.now()).expect("asked").is_none());
        sign_in.end(session.expose(), clock.now());
        assert_eq!(sign_in.session(session.expose(), clock.now()), None);
    }

    #[test]
    fn both_end_with_their_time_by_either_clock() {
        let (clock, sign_in) = (clock(), SignIn::default());
        let early = sign_in.link(caller(7), clock.now()).expect("random");
        clock.advance(LINK);
        assert!(sign_in.redeem(early.expose(), HOUR, clock.now()).expect("asked").is_none());
        let link = sign_in.link(caller(7), clock.now()).expect("random");
        clock.advance(Duration::from_millis(59_999));
        let redeemed = sign_in.redeem(link.expose(), HOUR, clock.now()).expect("random");
        let (session, _) = redeemed.expect("in time");
        clock.advance(Duration::from_secs(3599));
        assert!(sign_in.session(session.expose(), clock.now()).is_some());
        // A wall clock that is set back does not lengthen it.
        clock.set_wall("2026-11-24T00:00:00Z".parse().expect("a timestamp"));
        clock.advance(Duration::from_secs(1));
        assert!(sign_in.session(session.expose(), clock.now()).is_none());
        // One that is set forward ends it, as a sleep of the machine does.
        let link = sign_in.link(caller(7), clock.now()).expect("random");
        clock.set_wall("2026-11-25T00:00:00Z".parse().expect("a timestamp"));
        assert!(!sign_in.is_link(link.expose(), clock.now()));
    }

    #[test]
    fn nothing_near_a_token_is_one_and_none_is_kept() {
        let (clock, sign_in) = (clock(), SignIn::default());
        let link = sign_in.link(caller(7), clock.now()).expect("random");
        let token = link.expose();
        for wrong in ["", &token[1..], &token.to_lowercase(), &format!("{token} "), "x"] {
            assert!(!sign_in.is_link(wrong, clock.now()), "{wrong}");
        }
        assert!(!format!("{sign_in:?}").contains(token.as_str()));
    }

    #[test]
    fn the_oldest_make_room() {
        let (clock, sign_in) = (clock(), SignIn::default());
        let first = sign_in.link(caller(7), clock.now()).expect("random");
        let second = sign_in.link(caller(7), clock.now()).expect("random");
        for _ in 0..MOST - 1 {
            sign_in.link(caller(8), clock.now()).expect("random");
        }
        assert!(!sign_in.is_link(first.expose(), clock.now()));
        assert!(sign_in.is_link(second.expose(), clock.now()));
    }
}
