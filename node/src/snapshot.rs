//! What a replica shows of itself: taken on its thread a few times a second, read by everybody else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use measure::Usage;
use serde::Serialize;

use crate::real::PlatformStats;
use crate::replica::Counters;

/// All figures of one moment. Counters count since the process started.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Snapshot {
    pub replica: u16,
    pub committee: usize,
    pub mode: &'static str,
    pub view: u64,
    /// Of the last committed block.
    pub height: u64,
    /// Figures that have a name in [`measure::metrics`] and no label, by that name.
    pub figures: BTreeMap<&'static str, f64>,
    /// Figures with one label: name, label value, figure.
    pub labelled: BTreeMap<&'static str, BTreeMap<String, u64>>,
    /// Anything without a metric of its own; goes into `status.json` as it is.
    pub extra: BTreeMap<String, u64>,
    /// By replica index; our own seat counts as up.
    pub peers_up: Vec<bool>,
    /// Why links are refused, by replica index.
    pub peers_refused: BTreeMap<u16, &'static str>,
    /// Replicas that must be up, this one included.
    pub peers_needed: usize,
    pub backend: &'static str,
    pub catching_up: bool,
    pub stopping: bool,
}

impl Snapshot {
    pub fn up_count(&self) -> usize {
        self.peers_up.iter().filter(|up| **up).count()
    }

    /// Whether clients may expect progress: links to a quorum, and no stop under way.
    pub fn is_ready(&self) -> bool {
        !self.stopping && self.up_count() >= self.peers_needed
    }

    pub fn figure(&self, name: &'static str) -> u64 {
        self.figures.get(name).copied().unwrap_or(0.0) as u64
    }

    /// What the driver counts.
    pub(crate) fn add_counters(&mut self, c: &Counters) {
        use measure::metrics as m;
        let made = c.core.votes_sent
            + c.core.proposals_sent
            + c.core.timeouts_sent
            + c.core.cars_cut
            + c.core.acks_sent
            + c.core.checkpoints;
        let fetches = c.core.chain_requests + c.core.car_requests + c.core.batch_requests;
        for (name, value) in [
            (m::VIEW, c.view),
            (m::HEIGHT, c.height_committed),
            (m::EPOCH, 0),
            (m::COMMITS, c.core.blocks_committed),
            (m::TIMEOUTS, c.core.timeouts_sent),
            (m::TX_EXECUTED, c.txs_executed),
            (m::TX_REJECTED, c.txs_rejected),
            (m::TX_DUPLICATE, c.txs_duplicate),
            (m::BATCHES, c.own_batches),
            (m::SIGNATURES_MADE, made),
            (m::SIGNATURES_BAD, c.core.bad_shares + c.messages_rejected),
            (m::FETCHES, fetches),
            (m::SNAPSHOTS_INSTALLED, c.core.snapshots_installed),
            (m::RETAINED_BYTES, c.store_bytes),
        ] {
            self.figures.insert(name, value as f64);
        }
        self.view = c.view;
        self.height = c.height_committed;
        self.catching_up = c.catching_up;
        let label = |value: u64, name: &str| (value > 0).then(|| (name.to_owned(), value));
        self.labelled
            .entry(m::TX_REFUSED)
            .or_default()
            .extend(label(c.txs_refused, "gateway"));
        self.labelled.entry(m::REFUSED).or_default().extend(
            [
                label(c.frames_malformed, "malformed"),
                label(c.messages_rejected, "bad_signature"),
                label(c.batches_unwanted, "unwanted_batch"),
                label(c.jobs_dropped, "job_dropped"),
                label(c.core.proposals_refused, "proposal"),
            ]
            .into_iter()
            .flatten(),
        );
        for (name, value) in [
            ("height_executed", c.height_executed),
            ("height_horizon", c.height_horizon),
            ("leader", u64::from(c.leader)),
            ("tcs_formed", c.core.tcs_formed),
            ("qcs_formed", c.core.qcs_formed),
            ("views_entered", c.core.views_entered),
            ("votes_sent", c.core.votes_sent),
            ("proposals_sent", c.core.proposals_sent),
            ("checkpoints", c.core.checkpoints),
            ("txs_applied", c.txs_applied),
            ("txs_admitted", c.txs_admitted),
            ("txs_refused", c.txs_refused),
            ("txs_sequence_reused", c.txs_sequence_reused),
            ("txs_below_window", c.txs_below_window),
            ("payload_bytes", c.payload_bytes),
            ("own_batch_bytes", c.own_batch_bytes),
            ("own_backlog_bytes", c.own_backlog_bytes),
            ("receipts_sent", c.receipts_sent),
        ] {
            self.extra.insert(name.to_owned(), value);
        }
    }

    /// Everything that is counted below the driver.
    pub(crate) fn add_platform(&mut self, stats: &PlatformStats) {
        use measure::metrics as m;
        let transport = &stats.transport;
        let sum =
            |of: fn(&transport::LinkStats) -> u64| transport.replicas.iter().map(of).sum::<u64>();
        let figures = [
            (m::PEER_BYTES_IN, sum(|link| link.bytes_in)),
            (m::PEER_BYTES_OUT, sum(|link| link.bytes_out)),
            (m::CLIENT_BYTES_IN, transport.clients.bytes_in),
            (m::CLIENT_BYTES_OUT, transport.clients.bytes_out),
            (m::CLIENTS_CONNECTED, transport.clients_up as u64),
            (m::JOURNAL_SYNCS, stats.journal.syncs),
            (m::JOURNAL_BYTES, stats.journal.bytes),
            (m::SIGNATURES_CHECKED, stats.pool.checks),
        ];
        self.figures
            .extend(figures.map(|(name, value)| (name, value as f64)));
        self.figures.insert(
            m::PEERS_CONNECTED,
            stats.peers_up.iter().filter(|up| **up).count() as f64,
        );

        let refused = self.labelled.entry(m::REFUSED).or_default();
        for reason in transport::DownReason::ALL {
            match transport.closed_for(*reason) {
                0 => {}
                count => *refused.entry(reason.name().to_owned()).or_default() += count,
            }
        }
        let unsent = stats.unsent;
        for (name, count) in [
            ("unsent_peer_down", unsent.peer_down),
            ("unsent_peer_full", unsent.peer_full),
            ("unsent_client_gone", unsent.client_gone),
            ("unsent_client_full", unsent.client_full),
            ("unsent_too_large", unsent.too_large),
        ] {
            if count > 0 {
                refused.insert(name.to_owned(), count);
            }
        }
        let queues = self.labelled.entry(m::QUEUE_DEPTH).or_default();
        queues.insert("crypto_urgent".into(), stats.pool.urgent_depth as u64);
        queues.insert("crypto_bulk".into(), stats.pool.bulk_depth as u64);
        queues.insert("handshaking".into(), transport.handshaking as u64);

        for (name, value) in [
            ("crypto_inline", stats.pool.inline),
            ("crypto_handed_off", stats.pool.handed_off),
            ("crypto_overflowed", stats.pool.overflowed),
            ("crypto_busy_ns", stats.pool.busy_ns),
            ("journal_sync_ns_total", stats.journal.sync_ns_total),
            ("journal_sync_ns_max", stats.journal.sync_ns_max),
            ("journal_rotations", stats.journal.rotations),
            ("journal_staged_bytes", stats.journal_staged_bytes),
            ("peer_frames_in", sum(|link| link.frames_in)),
            ("peer_frames_out", sum(|link| link.frames_out)),
            ("peer_link_ups", sum(|link| link.ups)),
            ("connections_accepted", transport.accepted),
            ("zero_copy_sends", transport.zero_copy_sends),
            ("zero_copy_copied", transport.zero_copy_copied),
        ] {
            self.extra.insert(name.to_owned(), value);
        }

        self.peers_up = stats.peers_up.clone();
        if let Some(me) = self.peers_up.get_mut(usize::from(self.replica)) {
            *me = true;
        }
        self.peers_refused = (0..)
            .zip(&stats.peers_refused)
            .filter_map(|(peer, reason)| Some((peer, (*reason)?.name())))
            .collect();
    }

    /// What the kernel says about this process.
    pub(crate) fn add_usage(&mut self, usage: &Usage) {
        use measure::metrics as m;
        self.figures.insert(m::CPU_SECONDS, usage.cpu_s());
        self.figures
            .insert(m::RSS_BYTES, usage.rss_bytes_max as f64);
    }
}

/// The newest snapshot, shared between threads.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<Arc<Snapshot>>>);

impl Board {
    pub fn publish(&self, snapshot: Snapshot) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }

    pub fn read(&self) -> Arc<Snapshot> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests;
