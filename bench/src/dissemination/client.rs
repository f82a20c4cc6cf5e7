//! The client: streams to every replica as fast as it gives credit back.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use transport::{ConnId, Event, Frame, ServerConfig, TransportConfig};

use super::{CLUSTER, Plan, Shared};
use crate::BenchError;

/// Longest frame, in bytes.
const FRAME_BYTES: usize = 60 << 10;
const WAIT: Duration = Duration::from_millis(20);

pub(super) fn run(
    plan: &Plan,
    servers: &[ServerConfig],
    shared: &Shared,
) -> Result<(), BenchError> {
    let config = TransportConfig::client(plan.backend, CLUSTER, plan.encryption);
    let (mut net, _) = transport::open(config)?;
    for server in servers {
        net.connect(server)?;
    }
    let txs = FRAME_BYTES / plan.tx_bytes;
    let chunk = Bytes::from(vec![7; txs * plan.tx_bytes]);
    // Enough that the next batch fills while the last ones travel.
    let window = 4 * plan.batch_bytes as i64;
    let mut credit: HashMap<ConnId, i64> = HashMap::new();
    let mut events = Vec::new();
    while !shared.stop.load(Ordering::Acquire) {
        net.poll(Some(WAIT), &mut events)?;
        for event in events.drain(..) {
            match event {
                Event::Up { conn, .. } => {
                    credit.insert(conn, window);
                }
                Event::Down { conn, .. } => {
                    credit.remove(&conn);
                }
                Event::Frame { conn, frame, .. } => {
                    let back: [u8; 4] = frame.bytes[..].try_into().unwrap_or_default();
                    if let Some(credit) = credit.get_mut(&conn) {
                        *credit += i64::from(u32::from_le_bytes(back));
                    }
                }
                _ => {}
            }
        }
        for (conn, credit) in &mut credit {
            while *credit > 0 && net.reply(*conn, Frame::new(chunk.clone())).is_ok() {
                *credit -= chunk.len() as i64;
            }
        }
    }
    Ok(())
}
