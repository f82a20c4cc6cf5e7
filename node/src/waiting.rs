//! What arrived and was not handled yet. A link that held still for seconds delivers thousands of frames
//! at once: they are handled in bursts, and what tells of a split does not wait behind them.

use std::collections::VecDeque;

use types::Message;

use crate::platform::NodeEvent;

/// Events of one burst, besides urgent ones.
const BURST_EVENTS: usize = 256;
/// Beyond either, everything is handled before the sockets are read again: what waits is bounded.
const EVENTS_MAX: usize = 4096;
const BYTES_MAX: usize = 32 << 20;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    urgent: VecDeque<NodeEvent>,
    rest: VecDeque<NodeEvent>,
    /// Of the frames in `rest`.
    bytes: usize,
}

impl Waiting {
    pub fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.rest.is_empty()
    }

    /// Puts the next burst in the place of `events`, which arrived now; a few events stay as they are.
    /// Answers of disk and helpers come first as well: somebody waits for them.
    pub fn burst(&mut self, events: &mut Vec<NodeEvent>) {
        if self.is_empty() && events.len() <= BURST_EVENTS {
            return;
        }
        for event in events.drain(..) {
            if is_urgent(&event) {
                self.urgent.push_back(event);
            } else {
                self.bytes += len_bytes(&event);
                self.rest.push_back(event);
            }
        }
        let is_full = self.rest.len() > EVENTS_MAX || self.bytes > BYTES_MAX;
        // Nobody starves others with a flood of what comes first.
        let share = self.urgent.len().max(BURST_EVENTS);
        let taken = match is_full {
            true => self.rest.len(),
            false => self.rest.len().min(share),
        };
        events.extend(self.urgent.drain(..));
        for event in self.rest.drain(..taken) {
            self.bytes -= len_bytes(&event);
            events.push(event);
        }
    }
}

fn is_urgent(event: &NodeEvent) -> bool {
    match event {
        NodeEvent::Done { .. } | NodeEvent::Synced(_) => true,
        NodeEvent::Peer { frame, .. } => frame
            .first()
            .is_some_and(|tag| Message::tells_of_split(*tag)),
        _ => false,
    }
}

fn len_bytes(event: &NodeEvent) -> usize {
    match event {
        NodeEvent::Peer { frame, .. } | NodeEvent::Client { frame, .. } => frame.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use types::ReplicaId;

    const CAR: u8 = 5;
    const NOTICE: u8 = 17;

    fn frame(tag: u8, len: usize) -> NodeEvent {
        let mut bytes = vec![0; len];
        bytes[0] = tag;
        NodeEvent::Peer {
            from: ReplicaId(1),
            frame: Bytes::from(bytes),
            body_hash: None,
        }
    }

    fn tags(events: &[NodeEvent]) -> Vec<u8> {
        let tag = |event: &NodeEvent| match event {
            NodeEvent::Peer { frame, .. } => frame[0],
            _ => unreachable!("only frames here"),
        };
        events.iter().map(tag).collect()
    }

    #[test]
    fn a_few_events_stay_as_they_are() {
        let mut waiting = Waiting::default();
        let mut events = vec![frame(CAR, 8), frame(NOTICE, 8)];
        waiting.burst(&mut events);
        assert_eq!(tags(&events), [CAR, NOTICE]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn a_notice_overtakes_what_waits() {
        let mut waiting = Waiting::default();
        let mut events: Vec<_> = (0..1000).map(|_| frame(CAR, 8)).collect();
        events.push(frame(NOTICE, 8));
        waiting.burst(&mut events);
        assert_eq!(events.len(), 1 + BURST_EVENTS);
        assert_eq!(tags(&events)[0], NOTICE);

        events.clear();
        events.push(frame(NOTICE, 8));
        waiting.burst(&mut events);
        assert_eq!(tags(&events)[0], NOTICE, "also what arrives later");
        let mut handled = 2 * BURST_EVENTS;
        while !waiting.is_empty() {
            events.clear();
            waiting.burst(&mut events);
            handled += events.len();
        }
        assert_eq!(handled, 1000, "nothing is lost");
        assert_eq!(waiting.bytes, 0);
    }

    #[test]
    fn a_flood_of_evidence_starves_nobody() {
        let mut waiting = Waiting::default();
        let mut events: Vec<_> = (0..3000).map(|_| frame(NOTICE, 2)).collect();
        events.extend((0..3000).map(|_| frame(CAR, 8)));
        waiting.burst(&mut events);
        assert_eq!(events.len(), 6000);
    }

    #[test]
    fn what_waits_is_bounded() {
        for (count, len) in [(EVENTS_MAX + 1, 8), (300, BYTES_MAX / 299)] {
            let mut waiting = Waiting::default();
            let mut events: Vec<_> = (0..count).map(|_| frame(CAR, len)).collect();
            waiting.burst(&mut events);
            assert_eq!(events.len(), count);
            assert!(waiting.is_empty());
        }
    }
}
