//! Moments for tests.

use std::collections::BTreeMap;

use measure::{ModeName, SecondCounts, SeriesRow, metrics};

use crate::live::{INCIDENTS, Load, Moment, Replica};

pub const SECOND_NS: u64 = 1_000_000_000;

/// A replica that answered `at_s` seconds after something, with counters that suit the time.
pub fn replica(replica: u32, at_s: u64) -> Replica {
    let at = at_s as f64;
    let figures = [
        (metrics::VIEW, 20.0 * at + 4.0),
        (metrics::HEIGHT, 20.0 * at),
        (metrics::TX_EXECUTED, 500.0 * at),
        (metrics::CPU_SECONDS, 0.25 * at),
        (metrics::RSS_BYTES, 34.7e6),
        (metrics::JOURNAL_BYTES, 4.8e6),
        (metrics::PEERS_CONNECTED, 3.0),
        (metrics::TIMEOUTS, 7.0),
    ];
    Replica {
        replica,
        address: "127.0.0.1:1".into(),
        at_ns: at_s * SECOND_NS,
        mode: Some("NOMINAL".into()),
        is_ready: true,
        figures: figures
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect(),
        incidents: INCIDENTS.iter().map(|kind| (*kind, 0)).collect(),
    }
}

/// One that does not answer.
pub fn silent(index: u32) -> Replica {
    Replica {
        mode: None,
        is_ready: false,
        figures: BTreeMap::new(),
        ..replica(index, 0)
    }
}

pub fn second(t_s: u64, finished: u64) -> SeriesRow {
    SeriesRow {
        t_s: t_s as f64,
        monotonic_ns: t_s * SECOND_NS,
        interval_s: 1.0,
        counts: SecondCounts {
            offered: 523,
            finished,
            refused: 11,
            in_flight: 51,
            ..SecondCounts::default()
        },
        p50_ns: 15_200_000,
        p99_ns: 2_340_000,
        max_ns: 30_000_000,
        lag_p99_ns: 0,
        mode: ModeName::Nominal,
    }
}

pub fn load(generator: u32, finished: &[u64]) -> Load {
    let seconds = finished.iter().enumerate();
    let recent: Vec<SeriesRow> = seconds.map(|(at, f)| second(at as u64 + 1, *f)).collect();
    Load {
        generator,
        row: recent[recent.len() - 1],
        recent,
    }
}

/// `n` replicas and one generator.
pub fn moment(n: u32, at_s: u64) -> Moment {
    Moment {
        run: "003-crash-n4".into(),
        at_unix_ns: at_s * SECOND_NS,
        replicas: (0..n).map(|index| replica(index, at_s)).collect(),
        loads: vec![load(0, &[100, 480, 490])],
        ..Moment::default()
    }
}
