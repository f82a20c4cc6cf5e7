//! Links between seats: delay, jitter, loss, duplication, order, and cuts.

use crate::event::Seat;
use crate::rng::Rng;

/// One direction of a link.
#[derive(Debug, Clone, Copy, Default)]
pub struct Link {
    pub delay_ns: u64,
    pub jitter_ns: u64,
    pub loss_permille: u64,
    pub twice_permille: u64,
    /// Messages keep their order.
    pub fifo: bool,
    /// Number of cuts in force.
    pub cuts: u32,
    pub last_ns: u64,
}

/// All links of a world.
#[derive(Debug)]
pub struct Net {
    n: usize,
    links: Vec<Link>,
    pub lost: u64,
    pub twice: u64,
}

impl Net {
    pub fn new(n: usize, link: Link) -> Net {
        Net {
            n,
            links: vec![link; n * n],
            lost: 0,
            twice: 0,
        }
    }

    pub fn link(&mut self, from: Seat, to: Seat) -> &mut Link {
        &mut self.links[from * self.n + to]
    }

    /// When a frame sent now arrives: not at all, once, or twice.
    pub fn arrivals(
        &mut self,
        now_ns: u64,
        from: Seat,
        to: Seat,
        rng: &mut Rng,
    ) -> [Option<u64>; 2] {
        let link = &mut self.links[from * self.n + to];
        if link.cuts > 0 || (link.loss_permille > 0 && rng.chance(link.loss_permille)) {
            self.lost += 1;
            return [None, None];
        }
        let mut at = now_ns + link.delay_ns + rng.skewed(0, link.jitter_ns);
        if link.fifo {
            at = at.max(link.last_ns + 1);
            link.last_ns = at;
        }
        let again = link.twice_permille > 0 && rng.chance(link.twice_permille);
        self.twice += u64::from(again);
        let second = again.then(|| at + rng.skewed(1, 20 * link.delay_ns.max(1_000_000)));
        [Some(at), second]
    }

    /// All links good, whole and of this kind.
    pub fn heal(&mut self, good: Link) {
        for link in &mut self.links {
            let last_ns = link.last_ns;
            *link = Link { last_ns, ..good };
        }
    }
}
