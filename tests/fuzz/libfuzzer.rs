//! Hands libFuzzer's bytes to the target that `EXHIBIT_FUZZ` names; `scripts/fuzz` builds and runs it.
#![no_main]

use std::sync::LazyLock;

use exhibit::fuzz::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let wanted = std::env::var("EXHIBIT_FUZZ").unwrap_or_default();
    let named = TARGETS.iter().find(|(name, _)| *name == wanted);
    named.unwrap_or_else(|| panic!("EXHIBIT_FUZZ={wanted:?} names no target")).1
});

fuzz_target!(|bytes: &[u8]| {
    TARGET(bytes);
});
