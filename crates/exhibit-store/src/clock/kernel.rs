//! Owns the question to the kernel how good its wall clock is, adjtimex(2), and nothing else: the one
//! file with unsafe code. Sets nothing.

use super::TimeQuality;

/// Ask the kernel; none when it does not answer, as in a sandbox that forbids the question.
pub(super) fn quality() -> Option<TimeQuality> {
    let answer = timex()?;
    Some(TimeQuality {
        synchronised: answer.status & libc::STA_UNSYNC == 0,
        max_error_us: u64::try_from(answer.maxerror).ok()?,
    })
}

#[expect(unsafe_code, reason = "no maintained crate offers adjtimex(2) for reading")]
fn timex() -> Option<libc::timex> {
    // SAFETY: `timex` is plain integers, for each of which zero is a value.
    let mut answer: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a whole `timex` that lives through the call; `modes` is zero, so
    // that the kernel only writes its answer there and changes no clock.
    let status = unsafe { libc::adjtimex(&raw mut answer) };
    (status >= 0).then_some(answer)
}
