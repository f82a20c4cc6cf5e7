//! Two folders of one experiment against each other: what did a change do?
//!
//! A *pair* is the same point in the same repetition, once in each folder. Only like is compared with
//! like: another machine or another spec is refused, and a pair of which one half is missing or means
//! nothing keeps the whole from passing.

mod side;
mod text;

use std::path::Path;

use measure::MeasureError;
use serde::{Deserialize, Serialize};

use crate::bootstrap::{Estimate, estimate};
use crate::judgement::RunJudgement;
use crate::overhead::{Conclusion, FLOOR, Figure, PAIRS_MIN, conclude};
use crate::verdict::Verdict;
pub use side::Side;
use side::{Half, Read};
pub use text::text;

/// Tails are noisier than medians: less than this is no difference in practice.
const FLOOR_P99: f64 = 0.02;

/// Why two folders are not compared.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// A part cannot be read.
    #[error(transparent)]
    Unreadable(#[from] MeasureError),
    /// One of them holds no run.
    #[error(
        "{folder}: expected a campaign, a run or a kept folder, found {found}; name the folder that `reforge run` printed"
    )]
    NoRuns {
        /// The folder as given.
        folder: String,
        /// What is wrong with it.
        found: String,
    },
    /// Twice the same.
    #[error(
        "expected two folders, found {folder} twice; run the spec once more and compare the two"
    )]
    Same {
        /// The folder.
        folder: String,
    },
    /// The runs of one folder were not all made on one machine, or not all by one program.
    #[error(
        "{folder}: expected one machine and one program, found {found}; compare folders that were not mixed"
    )]
    Mixed {
        /// The folder as given.
        folder: String,
        /// What differs.
        found: String,
    },
    /// They were made on unlike machines.
    #[error(
        "expected two folders of like machines, found {found}; run both on one machine, or look at the figures without a verdict with --across-machines"
    )]
    Machines {
        /// What differs.
        found: String,
    },
    /// One of them was made by a build without optimisation.
    #[error(
        "expected two optimised builds, or two debug builds, found {found}; build both with --release"
    )]
    Builds {
        /// Which is which.
        found: String,
    },
    /// They are of unlike experiments: another commit rule, configuration, load, ….
    #[error(
        "expected two folders of one spec, found another {found}; run the same spec with both programs (`reforge repro` repeats a folder; what differs inside of one campaign stands in its own table: `reforge judge`)"
    )]
    Specs {
        /// Keys with both values.
        found: String,
    },
}

/// What was compared, and what it comes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// [`measure::SCHEMA_VERSION`].
    pub schema: u32,
    /// Numerator.
    pub a: Side,
    /// Denominator.
    pub b: Side,
    /// Where the machines differ; without a verdict then.
    pub unlike_machines: Vec<String>,
    /// To know, without effect on the verdict.
    pub notes: Vec<String>,
    /// Pairs that were planned and are not there, each with its reason.
    pub missing: Vec<String>,
    /// Per point and figure.
    pub figures: Vec<Compared>,
    /// `Pass`: A is not worse. `ThresholdFailed`: A is worse. `Inconclusive`: too few pairs, a pair is missing, or
    /// the machines differ.
    pub verdict: Verdict,
}

/// One figure of one point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The point, as its runs are named.
    pub point: String,
    /// Which figure.
    pub figure: Figure,
    /// `a / b` of every pair, in the order of the repetitions.
    pub ratios: Vec<f64>,
    /// Median and 95 % interval; absent without any pair.
    pub estimate: Option<Estimate>,
    /// A smaller effect is none in practice.
    pub floor: f64,
    /// What it comes to.
    pub conclusion: Conclusion,
}

impl Compared {
    /// Whether A is slower for sure: longer latency, less throughput.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        let worse = match self.figure {
            Figure::Throughput => Conclusion::Lower,
            Figure::LatencyP50 | Figure::LatencyP99 => Conclusion::Higher,
        };
        self.conclusion == worse
    }
}

/// Compares folder `a` with folder `b`.
///
/// # Errors
/// [`Refused`], with what to do instead.
pub fn compare(a: &Path, b: &Path, across_machines: bool) -> Result<Comparison, Refused> {
    let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    if canonical(a) == canonical(b) {
        return Err(Refused::Same {
            folder: a.display().to_string(),
        });
    }
    let (a, b) = (Read::folder(a)?, Read::folder(b)?);
    let unlike_specs = a.unlike_specs(&b);
    if !unlike_specs.is_empty() {
        return Err(Refused::Specs {
            found: unlike_specs.join("; "),
        });
    }
    let unlike_machines = a.fingerprint.unlike_machine(&b.fingerprint);
    if !unlike_machines.is_empty() && !across_machines {
        return Err(Refused::Machines {
            found: unlike_machines.join("; "),
        });
    }
    if a.fingerprint.debug_build != b.fingerprint.debug_build {
        let word = |read: &Read| {
            if read.fingerprint.debug_build {
                "debug"
            } else {
                "release"
            }
        };
        return Err(Refused::Builds {
            found: format!("A {}, B {}", word(&a), word(&b)),
        });
    }
    Ok(compare_read(&a, &b, unlike_machines))
}

fn compare_read(a: &Read, b: &Read, unlike_machines: Vec<String>) -> Comparison {
    let mut missing = Vec::new();
    let mut figures: Vec<Compared> = Vec::new();
    for key in a.keys().union(&b.keys()) {
        let halves = (a.half(key), b.half(key));
        let (Half::Usable(one), Half::Usable(other)) = &halves else {
            let why = |half: &Half<'_>| match half {
                Half::Usable(_) => "usable".to_owned(),
                Half::Missing => "missing".to_owned(),
                Half::Useless(run) => run.verdict.name().to_owned(),
            };
            let (point, repetition) = key;
            missing.push(format!(
                "{point}, repetition {repetition}: A {}, B {}",
                why(&halves.0),
                why(&halves.1)
            ));
            add(&mut figures, &key.0, [None; 3]);
            continue;
        };
        add(&mut figures, &key.0, ratios(one, other));
    }
    for compared in &mut figures {
        compared.estimate = estimate(&compared.ratios);
        compared.conclusion = conclude(compared.ratios.len(), compared.estimate, compared.floor);
    }
    let verdict = verdict(&figures, !missing.is_empty() || !unlike_machines.is_empty());
    Comparison {
        schema: measure::SCHEMA_VERSION,
        a: a.side.clone(),
        b: b.side.clone(),
        unlike_machines,
        notes: a.notes(b),
        missing,
        figures,
        verdict,
    }
}

const FIGURES: [Figure; 3] = [Figure::Throughput, Figure::LatencyP50, Figure::LatencyP99];

fn ratios(a: &RunJudgement, b: &RunJudgement) -> [Option<f64>; 3] {
    FIGURES.map(|figure| {
        let of = |run: &RunJudgement| match figure {
            Figure::Throughput => run.achieved_tps,
            Figure::LatencyP50 => run.corrected.p50_ns as f64,
            Figure::LatencyP99 => run.corrected.p99_ns as f64,
        };
        let (a, b) = (of(a), of(b));
        (a > 0.0 && b > 0.0).then(|| a / b)
    })
}

/// A point that has no usable pair at all is shown all the same, as inconclusive.
fn add(figures: &mut Vec<Compared>, point: &str, ratios: [Option<f64>; 3]) {
    for (figure, ratio) in FIGURES.into_iter().zip(ratios) {
        let at = figures
            .iter()
            .position(|of| of.point == point && of.figure == figure)
            .unwrap_or_else(|| {
                figures.push(Compared {
                    point: point.to_owned(),
                    figure,
                    ratios: Vec::new(),
                    estimate: None,
                    floor: match figure {
                        Figure::LatencyP99 => FLOOR_P99,
                        Figure::Throughput | Figure::LatencyP50 => FLOOR,
                    },
                    conclusion: Conclusion::Inconclusive,
                });
                figures.len() - 1
            });
        figures[at].ratios.extend(ratio);
    }
}

fn verdict(figures: &[Compared], incomplete: bool) -> Verdict {
    let few = |of: &Compared| of.ratios.len() < PAIRS_MIN;
    match () {
        () if incomplete || figures.is_empty() || figures.iter().any(few) => Verdict::Inconclusive,
        () if figures.iter().any(Compared::is_worse) => Verdict::ThresholdFailed,
        () => Verdict::Pass,
    }
}
