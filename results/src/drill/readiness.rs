//! Eq. 7 of the article for one attack: `R = sum w_i A_i` over detect, recover, forensics and governance.
//! Each axis is a share that the files tell, `0..=1`; the weights, an operator's policy, are equal here.

use measure::{DrillKind, IncidentKind};
use serde::{Deserialize, Serialize};

use super::{DrillReport, Window};

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Readiness {
    /// Correct replicas that held a conflict (a proof of fraud, where nothing was split) themselves.
    pub detect: f64,
    /// Correct replicas that executed in an epoch without those who are left out.
    pub recover: f64,
    /// Attackers against whom there is a proof, less the share of the convicted that had not attacked.
    pub forensics: f64,
    /// Correct replicas whose timeline tells why they went on: the open gate with its reason (a proof of fraud,
    /// where nothing was split) before the new epoch.
    pub governance: f64,
    /// `R`.
    pub index: f64,
    /// The axis with the lowest score, which counts in a crisis.
    pub weakest: String,
}

/// None without a correct replica or an attacker.
pub(super) fn of(
    report: &DrillReport,
    window: &Window<'_>,
    correct: &[u32],
    kind: DrillKind,
) -> Option<Readiness> {
    let split = kind == DrillKind::Split;
    let is_clean = |members: &[u32]| {
        !report
            .convicted
            .iter()
            .any(|culprit| members.contains(culprit))
    };
    let is_found = |what: &IncidentKind| match what {
        IncidentKind::Conflict { .. } => split,
        IncidentKind::Convicted { .. } => !split,
        _ => false,
    };
    let begins = |what: &IncidentKind| match what {
        IncidentKind::Merged { members, .. } | IncidentKind::Crossed { members, .. } => {
            is_clean(members)
        }
        _ => false,
    };
    let is_reason = |what: &IncidentKind| match what {
        IncidentKind::Gate { open, .. } => split && *open,
        IncidentKind::Convicted { .. } => !split,
        _ => false,
    };
    let share = |holds: &dyn Fn(&[&measure::IncidentLine]) -> bool| {
        let of = correct.iter().filter(|replica| {
            let lines = window.lines.iter().find(|(index, _)| index == *replica);
            lines.is_some_and(|(_, lines)| holds(lines))
        });
        of.count() as f64 / correct.len() as f64
    };
    if correct.is_empty() || report.attackers.is_empty() {
        return None;
    }
    let detect = share(&|lines| lines.iter().any(|line| is_found(&line.what)));
    let recover = share(&|lines| {
        let begun = lines.iter().position(|line| begins(&line.what));
        let after = begun.map_or(&[][..], |at| &lines[at..]);
        let works = |what: &IncidentKind| {
            matches!(
                what,
                IncidentKind::FirstBlock { .. } | IncidentKind::Crossed { .. }
            )
        };
        !report.convicted.is_empty() && after.iter().any(|line| works(&line.what))
    });
    let governance = share(&|lines| {
        let begun = lines.iter().position(|line| begins(&line.what));
        let before = &lines[..begun.unwrap_or(0)];
        before.iter().any(|line| is_reason(&line.what))
    });
    let caught = report.convicted.len() - report.convicted_falsely.len();
    let caught = caught as f64 / report.attackers.len() as f64;
    let falsely = report.convicted_falsely.len() as f64 / report.convicted.len().max(1) as f64;
    let forensics = caught.min(1.0) * (1.0 - falsely);
    let axes = [
        ("detect", detect),
        ("recover", recover),
        ("forensics", forensics),
        ("governance", governance),
    ];
    let weakest = axes.iter().min_by(|a, b| a.1.total_cmp(&b.1))?.0;
    Some(Readiness {
        detect,
        recover,
        forensics,
        governance,
        index: axes.iter().map(|(_, score)| score / 4.0).sum(),
        weakest: weakest.into(),
    })
}
