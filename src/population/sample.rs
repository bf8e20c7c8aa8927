//! Owns samples: which runs of a population are looked at, so that neither side picks them. A run's
//! rank is the SHA-256 of the seed, a line feed and the run's id; the lowest ranks are the sample.
//! Anybody can compute that with `sha256sum`.

use serde::Serialize;

use super::{LogState, Population, Query, Row};
use crate::digest::Digest;

/// A sample of a population.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// What population it is of.
    pub query: Query,
    /// Version of the program that answered.
    pub exhibit: String,
    /// The state of the log it is about.
    pub log: LogState,
    /// The seed.
    pub seed: String,
    /// Runs asked for.
    pub asked: usize,
    /// Runs in the population.
    pub population: u64,
    /// The runs, by rank.
    pub runs: Vec<Ranked>,
}

/// A run of a sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranked {
    /// SHA-256 over the seed, a line feed and the run's id.
    pub rank: Digest,
    /// The run.
    #[serde(flatten)]
    pub row: Row,
}

/// `asked` runs of `population`, or all when there are fewer.
pub fn sample(population: Population, asked: usize, seed: &str) -> Sample {
    let Population { query, exhibit, log, totals, runs, .. } = population;
    let ranked = |row: Row| {
        let run = row.run.to_string();
        Ranked { rank: Digest::of_parts(&[seed.as_bytes(), b"\n", run.as_bytes()]), row }
    };
    let mut runs: Vec<Ranked> = runs.into_iter().map(ranked).collect();
    runs.sort_by_key(|ranked| ranked.rank);
    runs.truncate(asked);
    let (seed, population) = (seed.to_owned(), totals.runs);
    Sample { query, exhibit, log, seed, asked, population, runs }
}
