//! A drill on its way: links between the halves are cut, the attackers act, the halves commit
//! different blocks, the links heal (`t0`), and the correct replicas find an end by themselves.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use measure::incident::read_incidents;
use measure::{
    Attack, DrillKind, DrillStep, EventKind, EventLog, FaultAction, IncidentKind, Ledger,
    PlannedDrill, PlannedFault, RunFolder, folder,
};

use super::sockets::Sockets;
use crate::error::TestbedError;
use crate::provider::{Provider, Told};

/// Links are cut this long before the attackers act.
const CUT_LEAD_NS: u64 = 300_000_000;
/// How often ledgers and timelines are looked at.
const LOOK_NS: u64 = 50_000_000;
/// Time for replicas to become ready, and further time per replica. (Whoever is ready earlier
/// waits; a drill cannot begin earlier.)
const READY_WITHIN: Duration = Duration::from_millis(3_000);
const READY_WITHIN_PER_REPLICA: Duration = Duration::from_millis(400);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    /// The next attack is to come.
    Waiting,
    /// Links are cut.
    Cut,
    /// The attackers act.
    Acting {
        since_ns: u64,
    },
    /// Both halves have committed, or the time has come: links heal then.
    Healing {
        at_ns: u64,
    },
    /// The correct replicas are on their own.
    Healed {
        since_ns: u64,
    },
    Over,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Drill {
    plan: PlannedDrill,
    replicas: u32,
    attacks: VecDeque<Attack>,
    stage: Stage,
    /// Start of the measured phase.
    start_ns: u64,
    looked_ns: u64,
    split_seen: bool,
    /// What is to be done to the replica that the plan kills, and when.
    kills: VecDeque<(u64, FaultAction)>,
    sockets: Sockets,
}

/// From the start of the replicas to the time at which they have to be ready.
pub(crate) fn ready_within(replicas: u32) -> Duration {
    READY_WITHIN + READY_WITHIN_PER_REPLICA * replicas
}

impl Drill {
    pub(super) fn new(plan: PlannedDrill, replicas: u32, sockets: Sockets) -> Drill {
        Drill {
            plan,
            replicas,
            attacks: plan.attacks(replicas).into(),
            stage: Stage::Waiting,
            start_ns: u64::MAX,
            looked_ns: 0,
            split_seen: false,
            kills: VecDeque::new(),
            sockets,
        }
    }

    pub(super) fn set_start(&mut self, measure_start_ns: u64) {
        self.start_ns = measure_start_ns;
    }

    /// The subcommand of an attacker; nothing for a correct replica.
    pub(super) fn command(&self, replica: u32) -> Option<Vec<String>> {
        let mut attacks = self.attacks.iter();
        let attack = attacks.find(|attack| attack.attackers.contains(&replica))?;
        // Those who attacked before are no allies: whoever is on no side would be taken for one.
        let mut side_a = attack.sides[0].clone();
        for earlier in &self.attacks {
            if earlier.index < attack.index {
                side_a.extend(&earlier.attackers);
            }
        }
        let list = |side: &[u32]| {
            let all: Vec<String> = side.iter().map(u32::to_string).collect();
            all.join(",")
        };
        let until_ns = self
            .at_ns(attack.at_s)
            .saturating_sub(measure::monotonic_ns());
        let after_ms = ("--split-after-ms", (until_ns / 1_000_000).to_string());
        let arguments = match self.plan.kind {
            DrillKind::Evict => vec![("--act", "double-vote".to_owned())],
            DrillKind::Split => vec![
                ("--act", "split".to_owned()),
                ("--side-a", list(&side_a)),
                ("--side-b", list(&attack.sides[1])),
                after_ms,
                ("--late-b-ms", self.plan.late_b_ms.to_string()),
                ("--after", self.plan.after.name().to_owned()),
            ],
        };
        let arguments = arguments.into_iter();
        let arguments = arguments.flat_map(|(flag, value)| [flag.to_owned(), value]);
        Some(
            std::iter::once("adversary".to_owned())
                .chain(arguments)
                .collect(),
        )
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over && self.kills.is_empty()
    }

    /// The crash or restart of the replica that the plan kills, once it is due.
    pub(super) fn due_kill(&mut self, now_ns: u64) -> Option<PlannedFault> {
        let kill = self.plan.kill?;
        let (at_ns, action) = self.kills.pop_front_if(|(at_ns, _)| *at_ns <= now_ns)?;
        let at_s = at_ns.saturating_sub(self.start_ns) as f64 / 1e9;
        Some(PlannedFault::new(at_s, action, kill.replica))
    }

    /// When [`Drill::due_kill`] has something next.
    pub(super) fn next_kill_ns(&self) -> Option<u64> {
        self.kills.front().map(|(at_ns, _)| *at_ns)
    }

    fn at_ns(&self, at_s: f64) -> u64 {
        self.start_ns.saturating_add_signed((at_s * 1e9) as i64)
    }

    fn wait_ns(&self) -> u64 {
        (self.plan.wait_s * 1e9) as u64
    }

    /// Does what is due; returns what to tell the user, if anything happened.
    pub(super) fn tick(
        &mut self,
        now_ns: u64,
        folder: &RunFolder,
        provider: &mut dyn Provider,
        events: &mut EventLog,
    ) -> Result<Option<&'static str>, TestbedError> {
        let Some(attack) = self.attacks.front().cloned() else {
            self.stage = Stage::Over;
            return Ok(None);
        };
        let at_ns = self.at_ns(attack.at_s);
        match self.stage {
            Stage::Waiting => self.begin(now_ns, at_ns, &attack, provider, events),
            Stage::Cut if now_ns >= at_ns => {
                self.note(&attack, DrillStep::Attack, events)?;
                self.stage = Stage::Acting { since_ns: now_ns };
                Ok(Some("attack"))
            }
            Stage::Acting { since_ns } => {
                let next = self.next_look(now_ns, since_ns, &attack, folder, provider, events)?;
                self.stage = next.unwrap_or(self.stage);
                Ok(None)
            }
            Stage::Healing { at_ns } if now_ns >= at_ns => {
                // Some links work before the last command is carried out: time counts from the first.
                let healed_ns = measure::monotonic_ns();
                self.links(&attack, "unblock", provider)?;
                if let Some(kill) = self.plan.kill.filter(|_| attack.index == 0) {
                    let down_ns = healed_ns + kill.after_ms * 1_000_000;
                    let back_ns = down_ns + kill.back_ms * 1_000_000;
                    self.kills = [
                        (down_ns, FaultAction::Crash),
                        (back_ns, FaultAction::Restart),
                    ]
                    .into();
                }
                let (attack, step) = (attack.index, DrillStep::Healed);
                events.record_at(healed_ns, EventKind::Drill { attack, step })?;
                self.stage = Stage::Healed { since_ns: now_ns };
                Ok(Some("healed"))
            }
            Stage::Healed { since_ns } => {
                self.await_end(now_ns, since_ns, &attack, folder, provider, events)
            }
            Stage::Cut | Stage::Healing { .. } | Stage::Over => Ok(None),
        }
    }

    fn begin(
        &mut self,
        now_ns: u64,
        at_ns: u64,
        attack: &Attack,
        provider: &mut dyn Provider,
        events: &mut EventLog,
    ) -> Result<Option<&'static str>, TestbedError> {
        match self.plan.kind {
            DrillKind::Split if now_ns + CUT_LEAD_NS >= at_ns => {
                self.links(attack, "block", provider)?;
                self.note(attack, DrillStep::Cut, events)?;
                self.stage = Stage::Cut;
                Ok(Some("links cut"))
            }
            // Liars lie from their start: from here on it is looked whether they were found out.
            DrillKind::Evict if now_ns >= at_ns => {
                self.note(attack, DrillStep::Attack, events)?;
                self.stage = Stage::Healed { since_ns: now_ns };
                Ok(Some("liars"))
            }
            _ => Ok(None),
        }
    }

    /// While the attackers act: where the next stage is known, that one.
    fn next_look(
        &mut self,
        now_ns: u64,
        since_ns: u64,
        attack: &Attack,
        folder: &RunFolder,
        provider: &mut dyn Provider,
        events: &mut EventLog,
    ) -> Result<Option<Stage>, TestbedError> {
        if self.is_time_to_look(now_ns)
            && !self.split_seen
            && let Some(height) = self.split_height(attack, folder, provider)
        {
            self.split_seen = true;
            self.note(attack, DrillStep::SplitSeen { height }, events)?;
            if attack.heal_s.is_none() {
                let at_ns = now_ns + self.plan.margin_ms * 1_000_000;
                return Ok(Some(Stage::Healing { at_ns }));
            }
        }
        if let Some(heal_s) = attack.heal_s {
            let at_ns = self.at_ns(heal_s);
            return Ok((now_ns >= at_ns).then_some(Stage::Healing { at_ns }));
        }
        if now_ns < since_ns + self.wait_ns() {
            return Ok(None);
        }
        let what = "different blocks of one height on both sides".to_owned();
        self.note(attack, DrillStep::GaveUp { what }, events)?;
        Ok(Some(Stage::Healing { at_ns: now_ns }))
    }

    fn await_end(
        &mut self,
        now_ns: u64,
        since_ns: u64,
        attack: &Attack,
        folder: &RunFolder,
        provider: &mut dyn Provider,
        events: &mut EventLog,
    ) -> Result<Option<&'static str>, TestbedError> {
        let next_ns = self.attacks.get(1).map_or(u64::MAX, |next| {
            self.at_ns(next.at_s).saturating_sub(CUT_LEAD_NS)
        });
        if self.is_time_to_look(now_ns) && self.has_ended(since_ns, attack, folder, provider) {
            self.note(attack, DrillStep::Resumed, events)?;
            self.attacks.pop_front();
            self.split_seen = false;
            self.stage = match self.attacks.is_empty() {
                true => Stage::Over,
                false => Stage::Waiting,
            };
            return Ok(Some("resumed"));
        }
        if now_ns >= (since_ns + self.wait_ns()).min(next_ns) {
            let what = "the end of the recovery at every correct replica".to_owned();
            self.note(attack, DrillStep::GaveUp { what }, events)?;
            self.stage = Stage::Over;
            return Ok(Some("gave up"));
        }
        Ok(None)
    }

    fn is_time_to_look(&mut self, now_ns: u64) -> bool {
        let due = now_ns >= self.looked_ns + LOOK_NS;
        if due {
            self.looked_ns = now_ns;
        }
        due
    }

    /// The lowest height at which one correct replica of each side has another block.
    fn split_height(
        &self,
        attack: &Attack,
        folder: &RunFolder,
        provider: &mut dyn Provider,
    ) -> Option<u64> {
        let correct = self.plan.correct(self.replicas);
        let shown = attack
            .sides
            .iter()
            .filter_map(|side| side.iter().find(|replica| correct.contains(replica)));
        let files: Vec<_> = shown
            .map(|&index| file_of(folder, index, folder::LEDGER))
            .collect();
        provider.refresh(&files);
        let chain = |side: &[u32]| {
            let index = *side.iter().find(|replica| correct.contains(replica))?;
            let ledger = Ledger::read(&folder.replica(index).join(folder::LEDGER)).ok()?;
            Some(ledger.chain())
        };
        let (one, other) = (chain(&attack.sides[0])?, chain(&attack.sides[1])?);
        let differs = |(height, record): (&u64, &measure::LedgerRecord)| {
            let block = other.get(height)?.block;
            (block != record.block).then_some(*height)
        };
        one.iter().find_map(differs)
    }

    /// A split ends when every correct replica has executed a block of the next epoch, lies when
    /// every one has of an epoch without the liars.
    fn has_ended(
        &self,
        since_ns: u64,
        attack: &Attack,
        folder: &RunFolder,
        provider: &mut dyn Provider,
    ) -> bool {
        let correct = self.plan.correct(self.replicas);
        let files: Vec<_> = correct
            .iter()
            .map(|&index| file_of(folder, index, folder::INCIDENTS))
            .collect();
        provider.refresh(&files);
        let mut correct = correct.into_iter();
        correct.all(|index| {
            let path = folder.replica(index).join(folder::INCIDENTS);
            let lines = read_incidents(&path).unwrap_or_default();
            let is_clean = |of: &str| {
                lines.iter().any(|line| match &line.what {
                    IncidentKind::Merged { epoch, members, .. } => {
                        epoch == of && !attack.attackers.iter().any(|liar| members.contains(liar))
                    }
                    _ => false,
                })
            };
            lines.iter().any(|line| match (&line.what, self.plan.kind) {
                (IncidentKind::FirstBlock { .. }, DrillKind::Split) => line.at_ns >= since_ns,
                (IncidentKind::FirstBlock { epoch, .. }, DrillKind::Evict) => is_clean(epoch),
                _ => false,
            })
        })
    }

    /// Blocks or unblocks every link between the halves, at both ends.
    fn links(
        &self,
        attack: &Attack,
        command: &str,
        provider: &mut dyn Provider,
    ) -> Result<(), TestbedError> {
        let [one, other] = &attack.sides;
        let of = |ends: &[u32], peers: &[u32]| -> Vec<Told> {
            let line = |peer: &u32| format!("{{\"cmd\":\"{command}\",\"peer\":{peer}}}");
            let lines: Vec<String> = peers.iter().map(line).collect();
            ends.iter()
                .map(|&end| self.sockets.told(end, lines.clone()))
                .collect()
        };
        provider.tell(&[of(one, other), of(other, one)].concat())
    }

    fn note(
        &self,
        attack: &Attack,
        step: DrillStep,
        events: &mut EventLog,
    ) -> Result<(), TestbedError> {
        let attack = attack.index;
        events.record(EventKind::Drill { attack, step })?;
        Ok(())
    }
}

/// A file of a replica's part, and whose it is.
fn file_of(folder: &RunFolder, index: u32, name: &str) -> (String, PathBuf) {
    (format!("replica-{index}"), folder.replica(index).join(name))
}
