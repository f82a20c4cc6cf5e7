//! Names of the Prometheus metrics, the same in code, dashboards and docs.

/// One exported metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Full name.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// What it counts, with its unit.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($ident:ident = $name:literal, $kind:literal, $help:literal;)*) => {
        $(#[doc = $help] pub const $ident: &str = concat!("reforge_", $name);)*

        /// Every metric, in the order of the docs.
        pub const ALL: &[Metric] = &[
            $(Metric { name: $ident, kind: $kind, help: $help },)*
        ];
    };
}

metrics! {
    VIEW = "view", "gauge", "Current view.";
    HEIGHT = "height", "gauge", "Height of the last committed block.";
    EPOCH = "epoch", "gauge", "Current epoch, counted from genesis.";
    COMMITS = "commits_total", "counter", "Blocks committed.";
    TIMEOUTS = "timeouts_total", "counter", "View timeouts.";
    TX_EXECUTED = "tx_executed_total", "counter", "Transactions executed.";
    TX_REJECTED = "tx_rejected_total", "counter", "Transactions rejected by the application.";
    TX_DUPLICATE = "tx_duplicate_total", "counter", "Transactions dropped as duplicates.";
    TX_REFUSED = "tx_refused_total", "counter", "Transactions refused at the client gateway, by reason.";
    COMMIT_LATENCY = "commit_latency_seconds", "histogram", "From proposal to commit at this replica, seconds.";
    BATCHES = "batches_total", "counter", "Own batches certified.";
    SIGNATURES_MADE = "signatures_made_total", "counter", "Signatures made.";
    SIGNATURES_CHECKED = "signatures_checked_total", "counter", "Signatures checked, aggregates counted once.";
    SIGNATURES_BAD = "signatures_bad_total", "counter", "Signatures or certificates that did not hold.";
    JOURNAL_SYNCS = "journal_syncs_total", "counter", "Journal syncs.";
    JOURNAL_BYTES = "journal_bytes_total", "counter", "Bytes written to the journal.";
    PEER_BYTES_IN = "peer_bytes_in_total", "counter", "Bytes read from other replicas.";
    PEER_BYTES_OUT = "peer_bytes_out_total", "counter", "Bytes written to other replicas.";
    CLIENT_BYTES_IN = "client_bytes_in_total", "counter", "Bytes read from clients.";
    CLIENT_BYTES_OUT = "client_bytes_out_total", "counter", "Bytes written to clients.";
    PEERS_CONNECTED = "peers_connected", "gauge", "Authenticated links to other replicas.";
    CLIENTS_CONNECTED = "clients_connected", "gauge", "Client connections.";
    QUEUE_DEPTH = "queue_depth", "gauge", "Entries waiting in a bounded queue, by queue.";
    REFUSED = "refused_total", "counter", "Frames, connections or messages refused, by reason.";
    FETCHES = "fetches_total", "counter", "Blocks or batches fetched because they were missing here.";
    SNAPSHOTS_INSTALLED = "snapshots_installed_total", "counter", "Snapshots installed from others.";
    RETAINED_BYTES = "retained_bytes", "gauge", "Batches and blocks held in memory, bytes.";
    CPU_SECONDS = "cpu_seconds_total", "counter", "User and system CPU time of the process, seconds.";
    RSS_BYTES = "resident_bytes", "gauge", "Largest resident set of the process, bytes.";
}

/// All metrics as a Markdown table, for the docs.
#[must_use]
pub fn markdown_table() -> String {
    let mut text = String::from("| metric | kind | meaning |\n|---|---|---|\n");
    for Metric { name, kind, help } in ALL {
        text.push_str(&format!("| `{name}` | {kind} | {help} |\n"));
    }
    text
}
