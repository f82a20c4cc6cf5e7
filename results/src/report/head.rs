//! What it is, what it came to and why, where it ran, how to repeat it.

use std::collections::BTreeMap;

use maud::{Markup, html};
use measure::Fingerprint;

use super::data::Data;
use super::figure::{Unit, count, figure, words};
use crate::verdict::Verdict;

/// Reasons that are spelt out.
const REASONS_MAX: usize = 40;

pub(super) fn name(data: &Data) -> &str {
    match (&data.summary.experiment, &data.summary.runs[..]) {
        (Some(name), _) => name,
        (None, [only]) => &only.name,
        _ => "unnamed",
    }
}

pub(super) fn section(data: &Data) -> Markup {
    let summary = &data.summary;
    html! {
        header {
            p.brand { "Reforge report" }
            h1 { (name(data)) " " (badge("/summary/verdict", summary.verdict)) }
            p.lead {
                (count("/summary/runs", summary.runs.len())) @if summary.runs.len() == 1 { " run" } @else { " runs" }
                @if data.points.len() != summary.runs.len() { " of " (count("/points", data.points.len())) " points" }
                ": " (counts(data))
            }
            (reasons(data))
            (notes(data))
            @if let Some(command) = &summary.command {
                h2 { "Repeat it" }
                pre { code { (words("/summary/command", command)) } }
            }
            @if let Some(machine) = &data.machine {
                h2 { "Machine and program" }
                (fingerprint(machine))
                @if data.machines_differ > 0 {
                    p.note { (figure("/machines_differ", data.machines_differ as f64, Unit::Plain))
                        " of the other runs carry another fingerprint than this, which is the first run's." }
                }
            }
            @if !data.missing.is_empty() {
                p.missing { b { "not measured in this run: " } (data.missing.join("; ")) "." }
            }
            @if !data.left_out.is_empty() {
                p.missing { b { "left out of this page for its size: " } (data.left_out.join("; ")) "." }
            }
        }
    }
}

pub(super) fn badge(path: &str, verdict: Verdict) -> Markup {
    html! { span class={ "badge v-" (verdict.name()) } data-path=(path) data-unit="text" { (verdict.name()) } }
}

fn counts(data: &Data) -> String {
    let mut counts: BTreeMap<Verdict, usize> = BTreeMap::new();
    for run in &data.summary.runs {
        *counts.entry(run.verdict).or_default() += 1;
    }
    let worst_first = counts.iter().rev();
    let parts: Vec<String> = worst_first
        .map(|(verdict, n)| format!("{n} {}", verdict.name()))
        .collect();
    parts.join(", ")
}

/// The campaign's own, then those of the runs; what many runs say is said once.
fn reasons(data: &Data) -> Markup {
    let mut all: Vec<(Verdict, &str, Vec<&str>)> = Vec::new();
    for reason in &data.summary.reasons {
        all.push((reason.verdict, &reason.text, Vec::new()));
    }
    for run in &data.summary.runs {
        for reason in &run.reasons {
            match all.iter_mut().find(|(v, text, runs)| {
                *v == reason.verdict && *text == reason.text && !runs.is_empty()
            }) {
                Some((_, _, runs)) => runs.push(&run.name),
                None => all.push((reason.verdict, &reason.text, vec![&run.name])),
            }
        }
    }
    all.sort_by_key(|(verdict, _, _)| std::cmp::Reverse(*verdict));
    let further = all.len().saturating_sub(REASONS_MAX);
    html! {
        @if all.is_empty() {
            p { "Every check held, on complete data: consistency of the ledgers, the harness itself, progress, and the bounds of the spec." }
        } @else {
            ul.reasons {
                @for (verdict, text, runs) in all.iter().take(REASONS_MAX) {
                    li {
                        span class={ "badge v-" (verdict.name()) } { (verdict.name()) } " " (text)
                        @match &runs[..] {
                            [] => {}
                            [one] => span.sub { " (" (one) ")" }
                            [first, rest @ ..] => span.sub { " (" (first) " and " (rest.len()) " more)" }
                        }
                    }
                }
                @if further > 0 { li { (further) " further reasons are in the embedded data." } }
            }
        }
    }
}

fn notes(data: &Data) -> Markup {
    let runs = data.summary.runs.iter();
    let notes: std::collections::BTreeSet<&str> = runs
        .flat_map(|run| run.notes.iter().map(String::as_str))
        .collect();
    html! {
        @for note in notes { p.sub { "Note: " (note) "." } }
    }
}

fn fingerprint(machine: &Fingerprint) -> Markup {
    let path = |key: &str| format!("/machine/{key}");
    let text = |key: &str, value: &Option<String>| match value {
        Some(value) => words(&path(key), value),
        None => html! { span.none { "unknown" } },
    };
    html! {
        dl.facts {
            dt { "CPU" } dd { (text("cpu_model", &machine.cpu_model)) }
            dt { "cores" } dd { (figure(&path("cpus"), f64::from(machine.cpus), Unit::Plain))
                @if machine.virtual_machine { span.sub { " (virtual machine)" } } }
            dt { "memory" } dd {
                @match machine.memory_bytes {
                    Some(bytes) => { (figure(&path("memory_bytes"), bytes as f64, Unit::Gb)) " GB" }
                    None => span.none { "unknown" }
                }
            }
            dt { "kernel" } dd { (text("kernel", &machine.kernel)) }
            dt { "governor" } dd { (text("governor", &machine.governor)) }
            dt { "clock" } dd { (text("clock_source", &machine.clock_source)) }
            dt { "program" } dd { "reforge " (words(&path("version"), &machine.version))
                @if machine.debug_build { " (debug build)" } }
            dt { "commit" } dd {
                @match &machine.git {
                    Some(git) => {
                        code { (words(&path("git/commit"), &git.commit)) }
                        @if git.dirty { " " span.dirty { "with uncommitted changes" } }
                    }
                    None => span.none { "unknown" }
                }
            }
            dt { "binary" } dd { code { (text("binary_hash", &machine.binary_hash)) } }
        }
    }
}
