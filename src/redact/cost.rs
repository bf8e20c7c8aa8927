//! What redaction costs: at most in proportion to what is said, whatever is said. Measured by the time
//! that the thread has the processor, which does not depend on what else the machine does.

use std::time::Duration;

use proptest::prelude::*;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

use super::tests::PIECES;
use super::{BUILT_IN, Rule, redact};

/// The greater text is so many times the smaller one.
const TIMES: usize = 4;
/// So many times the smaller one's cost may be the greater one's: what is quadratic costs 16 times as
/// much.
const FACTOR: u32 = 9;
/// What costs less than this in all is not compared: too much of it is noise.
const FLOOR: Duration = Duration::from_millis(10);

fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).expect("below a second"))
}

/// The least that redaction of `data` cost in some attempts.
fn cost(rules: &[Rule], data: &Value) -> Duration {
    let once = || {
        let mut map = Map::from_iter([("data".to_owned(), data.clone())]);
        let begun = processor_time();
        std::hint::black_box(redact(rules, &mut map, &[""]));
        processor_time().saturating_sub(begun)
    };
    (0..2).map(|_| once()).min().expect("two")
}

/// That `make` of 4 n costs no more than in proportion to `make` of n.
fn check(what: &str, make: &dyn Fn(usize) -> Value, n: usize) {
    let rules: Vec<Rule> =
        BUILT_IN.iter().map(|name| Rule::parse(name).expect("built in")).collect();
    // Expressions are compiled when they are first used.
    cost(&rules, &make(1));
    let (mut small, mut great) = (Duration::MAX, Duration::MAX);
    // What is linear is seen to be in one of some attempts; what is not, in none.
    for _ in 0..3 {
        great = great.min(cost(&rules, &make(n * TIMES)));
        small = small.min(cost(&rules, &make(n)));
        if great < FLOOR || great <= small * FACTOR {
            return;
        }
    }
    panic!("{what}: {small:?} for {n}, and {great:?} for {TIMES} times as much");
}

fn object(names: impl Iterator<Item = String>) -> Value {
    Value::Object(names.map(|name| (name, json!(1))).collect())
}

/// What it is called, what it is made of so many pieces, and how many these are.
type Case<'a> = (&'a str, &'a dyn Fn(usize) -> Value, usize);

#[test]
fn what_attackers_said_costs_no_more_than_its_length() {
    let card = |at: usize| format!("{:016}", 4_000_000_000_000_000 + at);
    let cases: [Case<'_>; 10] = [
        ("names that are left alike", &|n| object((0..n).map(|at| format!("pwd=k{at}x"))), 1_000),
        (
            "names that look like numbered ones",
            &|n| {
                let numbered = (2..n + 2).map(|at| format!("pwd=[redacted:credential]_{at}"));
                object(numbered.chain((0..n).map(|at| format!("pwd=k{at}x"))))
            },
            1_000,
        ),
        ("a long name over many items", &|n| json!({ "x".repeat(4 * n): vec![0; n] }), 10_000),
        (
            "a long name over many secrets",
            &|n| json!({ "x".repeat(4 * n): vec!["4111111111111111"; n] }),
            1_000,
        ),
        (
            "a program called again and again",
            &|n| json!(["curl", "-u", "a:b1234567"].repeat(n)),
            2_000,
        ),
        ("many numbers under a secret's name", &|n| json!({ "pwd": vec![1; n] }), 10_000),
        (
            "many names under a secret's name",
            &|n| json!({ "pwd": object((0..n).map(|at| format!("k{at}"))) }),
            4_000,
        ),
        ("names with card numbers", &|n| object((0..n).map(card)), 2_000),
        (
            "a word with many names and an end of signs",
            &|n| json!("pwd=x[redacted:a]".repeat(n) + &".".repeat(16 * n)),
            2_000,
        ),
        (
            "lists in lists",
            &|n| (0..100).fold(json!(vec!["pwd=hunter2"; n]), |inner, _| json!([inner])),
            1_000,
        ),
    ];
    for (what, make, n) in cases {
        check(what, make, n);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 20, ..ProptestConfig::default() })]
    #[test]
    fn what_is_said_again_and_again_costs_no_more_than_its_length(
        pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 1..6),
        tail in proptest::sample::select(&PIECES[..]),
        shape in 0..4,
    ) {
        let piece = pieces.concat();
        let make = |n: usize| match shape {
            0 => json!(piece.repeat(n)),
            1 => json!(piece.repeat(n) + &tail.repeat(n)),
            2 => json!(pieces.repeat(n)),
            _ => object((0..n).map(|at| format!("{piece}{at}{tail}"))),
        };
        check(&format!("{pieces:?}, {tail:?}, {shape}"), &make, 3_000 / piece.len().max(1) + 1);
    }
}
