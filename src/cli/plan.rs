//! `reforge run --dry-run`: what would be done, in words.

use testbed::{Plan, Spec, in_words};

pub fn text(spec: &Spec) -> String {
    let plan = Plan::of(spec);
    let hash = spec.hash();
    let mut text = format!("{} (spec {}), in this order:\n", spec.name, &hash[..12]);
    for run in &plan.runs {
        let seconds = run.time.as_secs();
        text.push_str(&format!("{seconds:>6} s  {}\n", run.name));
    }
    if let Some(probes) = plan.probes_max {
        text.push_str(&format!(
            "each is a search of at most {probes} runs, at rates that turn out on the way\n"
        ));
    }
    text.push_str(&format!(
        "{} runs, about {}; about {} stay on disk, at most about {} more while a run lasts\n",
        plan.runs.len() * plan.probes_max.unwrap_or(1) as usize,
        in_words(plan.time()),
        bytes(plan.kept_bytes()),
        bytes(plan.scratch_bytes()),
    ));
    text.push_str("nothing was started\n");
    text
}

fn bytes(count: u64) -> String {
    match count {
        0..1_000_000 => format!("{} kB", count.div_ceil(1_000)),
        1_000_000..1_000_000_000 => format!("{} MB", count / 1_000_000),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}
