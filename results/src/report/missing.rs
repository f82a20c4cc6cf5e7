//! What a folder does not tell: said once, instead of empty parts.

use super::data::{Data, Point};

pub(super) fn list(data: &Data) -> Vec<String> {
    let runs = &data.summary.runs;
    let resources = &data.resources;
    let drills = || runs.iter().flat_map(|run| &run.drills);
    let mut missing = Vec::new();
    let mut without = |there: bool, what: &str| {
        if !there {
            missing.push(what.to_owned());
        }
    };
    without(data.machine.is_some(), "the machine's fingerprint");
    without(
        data.summary.command.is_some(),
        "the command that repeats it",
    );
    without(
        runs.iter().any(|run| run.dissemination.is_some()),
        "the share of the dissemination bound",
    );
    without(
        resources.iter().any(|r| r.rss_bytes_max.is_some()),
        "memory of the replicas",
    );
    without(
        resources.iter().any(|r| r.replica_cores.is_some()),
        "CPU time of the replicas",
    );
    without(
        has_loads(data),
        "latency against throughput (a single load)",
    );
    without(
        data.points.iter().any(|p| !p.spectrum.corrected.is_empty()),
        "percentile spectra (no histograms)",
    );
    without(!data.timelines.is_empty(), "the timeline (no series)");
    without(
        !data.summary.overhead.is_empty(),
        "overhead (no pairs to compare)",
    );
    let told = drills().any(|drill| drill.terms.converge_ns.is_some());
    without(told, "recovery time (Eq. 5: no drill that recovered)");
    without(
        drills().any(|drill| drill.lambda.is_some()),
        "adversarial leverage (Eq. 3)",
    );
    without(
        drills().any(|drill| drill.readiness.is_some()),
        "readiness (Eq. 7)",
    );
    without(!data.flames.is_empty(), "flamegraphs");
    missing
}

/// The point has a place in latency against throughput.
pub(super) fn is_plotted(point: &Point) -> bool {
    point.corrected.count > 0 && point.achieved_tps > 0.0
}

/// Points with one load lie above one another and show nothing.
pub(super) fn has_loads(data: &Data) -> bool {
    let loads = data.points.iter().filter(|point| is_plotted(point));
    let loads = loads.map(|point| point.offered_tps);
    let (low, high) = loads.fold((f64::MAX, 0.0f64), |(low, high), tps| {
        (low.min(tps), high.max(tps))
    });
    high > low * 1.1
}
