//! The back ends of the transport against each other, in interleaved rounds: bulk to all peers, one small message at
//! a time, many clients. Which one is the node's default is decided in the whole system, not here.

use measure::median;
use serde::Serialize;
use transport::Backend;

use crate::dissemination::{self, Plan};
use crate::{BenchError, hops};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Case {
    /// Batches from everybody to everybody: transactions per second, CPU per transaction.
    Bulk,
    /// One small message and its answer, again and again: answers per second, CPU per message.
    PingPong,
    /// The same over many connections at once.
    ManyClients,
}

impl Case {
    pub const ALL: [Case; 3] = [Case::Bulk, Case::PingPong, Case::ManyClients];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Case::Bulk => "bulk",
            Case::PingPong => "ping-pong",
            Case::ManyClients => "many clients",
        }
    }
}

/// How much of each.
#[derive(Debug, Clone)]
pub struct Comparison {
    pub rounds: usize,
    pub bulk: Plan,
    pub clients: usize,
    pub messages: usize,
}

/// One back end in one round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figure {
    /// Transactions or answers per second.
    pub per_s: f64,
    /// CPU of all ends per transaction or message, in microseconds.
    pub cpu_us: f64,
}

/// All rounds of one case; `rounds[r][b]` belongs to `Backend::ALL[b]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    pub case: Case,
    pub rounds: Vec<[Figure; Backend::ALL.len()]>,
}

impl Compared {
    /// Median of a back end's figures, of all rounds.
    #[must_use]
    pub fn median(&self, backend: usize, figure: impl Fn(&Figure) -> f64) -> f64 {
        let of = |round: &[Figure; 3]| figure(&round[backend]);
        median(&self.rounds.iter().map(of).collect::<Vec<_>>())
    }

    /// Median of the ratios to the first back end, each within its round.
    #[must_use]
    pub fn ratio(&self, backend: usize, figure: impl Fn(&Figure) -> f64) -> f64 {
        let of = |round: &[Figure; 3]| figure(&round[backend]) / figure(&round[0]);
        median(&self.rounds.iter().map(of).collect::<Vec<_>>())
    }
}

/// Every second round goes backwards, against drift.
///
/// # Errors
/// [`BenchError`] if a back end fails; one that is not available here falls back and says so.
pub fn compare(plan: &Comparison, mut told: impl FnMut(&str)) -> Result<Vec<Compared>, BenchError> {
    let mut all = Vec::new();
    for case in Case::ALL {
        let mut rounds = Vec::with_capacity(plan.rounds);
        for round in 0..plan.rounds {
            let none = Figure {
                per_s: 0.0,
                cpu_us: 0.0,
            };
            let mut figures = [none; Backend::ALL.len()];
            for step in 0..Backend::ALL.len() {
                let at = match round % 2 {
                    0 => step,
                    _ => Backend::ALL.len() - 1 - step,
                };
                told(&format!(
                    "{}, round {}, {}",
                    case.name(),
                    round + 1,
                    Backend::ALL[at]
                ));
                figures[at] = measure_one(plan, case, Backend::ALL[at])?;
            }
            rounds.push(figures);
        }
        all.push(Compared { case, rounds });
    }
    Ok(all)
}

fn measure_one(plan: &Comparison, case: Case, backend: Backend) -> Result<Figure, BenchError> {
    let connections = match case {
        Case::Bulk => {
            let bound = dissemination::run(&Plan {
                backend,
                ..plan.bulk.clone()
            })?;
            return Ok(Figure {
                per_s: bound.tps(),
                cpu_us: bound.cpu_us_per_tx(),
            });
        }
        Case::PingPong => 1,
        Case::ManyClients => plan.clients,
    };
    let answered = hops::run(backend, connections, plan.messages)?;
    Ok(Figure {
        per_s: answered.per_s,
        cpu_us: answered.cpu_us,
    })
}
