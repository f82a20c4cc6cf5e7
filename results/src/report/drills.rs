//! Drills: Eq. 5 term by term, what clients saw, and every replica at close range.

use maud::{Markup, html};

use super::data::{Data, Recovery};
use super::eq5;
use super::figure::{Unit, figure, indices, maybe, words};
use super::plot::key;
use super::runs::ROWS_MAX;
use super::table::{Column, table};
use super::zoom;
use crate::drill::DrillReport;

const COLUMNS: &[Column] = &[
    Column("", "run", "run", false),
    Column("", "attack", "attack", false),
    Column("", "by", "by", false),
    Column("", "left out", "left out", false),
    Column("Eq. 5, ms", "detect", "detect ms", true),
    Column("Eq. 5, ms", "attribute", "attribute ms", true),
    Column("Eq. 5, ms", "reconfigure", "reconfigure ms", true),
    Column("Eq. 5, ms", "resync", "resync ms", true),
    Column("Eq. 5, ms", "converge", "converge ms", true),
    Column("clients", "first commit ms", "first commit ms", true),
    Column("clients", "outage s", "outage s", true),
    Column("clients", "before /s", "before /s", true),
    Column("clients", "after /s", "after /s", true),
    Column("histories", "blocks undone", "blocks undone", true),
    Column("histories", "moved", "moved", true),
    Column("histories", "without effect", "without effect", true),
    Column("Eq. 3", "Λ s", "Λ s", true),
    Column("Eq. 7", "R", "R", true),
    Column("Eq. 7", "weakest", "weakest", false),
];

const STATS: &[Column] = &[
    Column("", "point", "point", false),
    Column("", "attack", "attack", true),
    Column("", "passed", "passed", true),
    Column("", "of runs", "of runs", true),
    Column("", "term", "term", false),
    Column("ms", "min", "min ms", true),
    Column("ms", "p50", "p50 ms", true),
    Column("ms", "p99", "p99 ms", true),
    Column("ms", "max", "max ms", true),
];

const TERMS: [&str; 6] = [
    "detect",
    "attribute",
    "reconfigure",
    "resync",
    "converge",
    "first-commit",
];

pub(super) fn section(data: &Data) -> Markup {
    let runs = data.summary.runs.iter().enumerate();
    let drills: Vec<(usize, usize, &DrillReport)> = runs
        .flat_map(|(run, judged)| {
            let drills = judged.drills.iter().enumerate();
            drills.map(move |(attack, drill)| (run, attack, drill))
        })
        .take(ROWS_MAX)
        .collect();
    if drills.is_empty() {
        return html! {};
    }
    html! {
        section #drills {
            h2 { "Recovery from more liars than the committee tolerates" }
            @if drills.iter().any(|(_, _, d)| d.terms.converge_ns.is_some()) {
                figure.wide {
                    (eq5::plot(data, &drills))
                    figcaption { (terms_legend()) }
                }
            }
            (table(COLUMNS, drills.iter().map(|(run, attack, d)| row(data, *run, *attack, d)).collect()))
            p.note {
                "Eq. 5: T_safe_converge = T_detect + T_attribute + T_reconfigure + T_resync, from t0, the later of the two conflicting commits and of the moment "
                "from which both halves can talk. Eq. 3: Λ weighs the recovery's length with the share of the evicted that had not attacked; 0 is nobody. "
                "Eq. 7: R is the mean of four shares: correct replicas that held the conflict, that work in an epoch without the liars, attackers with a proof against them, and "
                "correct replicas that say why they went on; the weakest is named where one is below 1."
            }
            (receipts(data))
            (stats(data))
            @if !data.recoveries.is_empty() {
                h3 { "Every correct replica, from t0 on" }
                p.legend { (terms_legend()) (zoom::legend()) }
                div.grid2 {
                    @for recovery in &data.recoveries { (close_up(data, recovery)) }
                }
            }
        }
    }
}

fn terms_legend() -> Markup {
    html! {
        @for term in &TERMS[..4] { (key(&format!("area {term}"), true, &format!("T_{term}"))) }
    }
}

fn row(data: &Data, run: usize, attack: usize, drill: &DrillReport) -> Vec<Markup> {
    let path = |key: &str| format!("/summary/runs/{run}/drills/{attack}/{key}");
    let term = |key: &str, ns: Option<u64>| maybe(&path(key), ns.map(|ns| ns as f64), Unit::Ms);
    let plain = |key: &str, value: Option<f64>| maybe(&path(key), value, Unit::Plain);
    let clients = &drill.clients;
    let mut cells = vec![
        name(data, run),
        html! { (words(&path("kind"), &drill.kind)) " " (figure(&path("attack"), f64::from(drill.attack), Unit::Plain)) },
        indices(&path("attackers"), &drill.attackers),
        indices(&path("convicted"), &drill.convicted),
    ];
    for (name, ns) in drill.terms.named() {
        cells.push(term(&format!("terms/{name}_ns"), ns));
    }
    cells.extend([
        term("clients/first_commit_ns", clients.first_commit_ns),
        plain("clients/outage_s", Some(clients.outage_s)),
        plain("clients/before_tps", clients.before_tps),
        plain("clients/after_tps", clients.after_tps),
        plain("blocks_undone_max", Some(drill.blocks_undone_max as f64)),
        plain("moved_max", Some(drill.moved_max as f64)),
        plain("invalidated_max", Some(drill.invalidated_max as f64)),
        plain("lambda", drill.lambda),
        plain("readiness/index", drill.readiness.as_ref().map(|r| r.index)),
        match &drill.readiness {
            Some(readiness) if readiness.index < 1.0 => {
                words(&path("readiness/weakest"), &readiness.weakest)
            }
            _ => html! { "–" },
        },
    ]);
    cells
}

/// The run's number, which its name begins with and the drawings show.
fn name(data: &Data, run: usize) -> Markup {
    let judged = &data.summary.runs[run];
    match &judged.point {
        Some(point) => html! {
            "#" (figure(&format!("/summary/runs/{run}/point/index"), f64::from(point.index), Unit::Plain))
        },
        None => words(&format!("/summary/runs/{run}/name"), &judged.name),
    }
}

/// What clients hold in the end, all drills together: nothing of it may be lost or count twice.
fn receipts(data: &Data) -> Markup {
    let runs = data.summary.runs.iter().enumerate();
    let checked: Vec<_> = runs
        .filter_map(|(at, run)| Some((at, run.transactions.as_ref()?)))
        .collect();
    html! {
        @if !checked.is_empty() {
            details {
                summary { "Receipts of " (checked.len()) " runs: what was lost, what counts twice" }
                (table(
                    &[
                        Column("", "run", "run", false),
                        Column("", "receipts", "receipts", true),
                        Column("", "standing", "standing", true),
                        Column("", "moved", "moved", true),
                        Column("", "without effect", "without effect", true),
                        Column("", "told", "told", true),
                        Column("", "lost", "lost", true),
                        Column("", "in one place", "in one place", true),
                    ],
                    checked.iter().map(|(at, check)| {
                        let path = |key: &str| format!("/summary/runs/{at}/transactions/{key}");
                        let count = |key: &str, n: u64| figure(&path(key), n as f64, Unit::Plain);
                        vec![
                            words(&format!("/summary/runs/{at}/name"), &data.summary.runs[*at].name),
                            count("receipted", check.receipted),
                            count("standing", check.standing),
                            count("moved", check.moved),
                            count("without_effect", check.without_effect),
                            count("told", check.told),
                            count("lost", check.lost),
                            count("same_place", check.same_place),
                        ]
                    }).collect(),
                ))
            }
        }
    }
}

fn stats(data: &Data) -> Markup {
    let all = data
        .summary
        .drills
        .iter()
        .enumerate()
        .filter(|(_, stats)| stats.runs > 1);
    let rows = all.flat_map(|(at, stats)| {
        let told = TERMS
            .iter()
            .filter_map(move |name| Some((*name, stats.terms.get(*name)?)));
        told.map(move |(name, term)| {
            let path = |key: &str| format!("/summary/drills/{at}/{key}");
            let ms = |key: &str, ns: u64| {
                figure(&path(&format!("terms/{name}/{key}")), ns as f64, Unit::Ms)
            };
            let count = |key: &str, n: u32| figure(&path(key), f64::from(n), Unit::Plain);
            vec![
                words(&path("point"), &stats.point),
                count("attack", stats.attack),
                count("passed", stats.passed),
                count("runs", stats.runs),
                html! { (name) },
                ms("min_ns", term.min_ns),
                ms("p50_ns", term.p50_ns),
                ms("p99_ns", term.p99_ns),
                ms("max_ns", term.max_ns),
            ]
        })
    });
    let rows: Vec<_> = rows.collect();
    html! {
        @if !rows.is_empty() {
            h3 { "Over all repetitions" }
            (table(STATS, rows))
        }
    }
}

fn close_up(data: &Data, recovery: &Recovery) -> Markup {
    let run = &data.summary.runs[recovery.run];
    let drill = &run.drills[recovery.attack];
    html! {
        figure {
            figcaption { b { (run.name) } @if run.drills.len() > 1 { ", attack " (drill.attack) } }
            (zoom::plot(recovery, &drill.terms))
        }
    }
}
