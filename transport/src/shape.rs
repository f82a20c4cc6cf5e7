//! Link shaping on the sending side, for kernels without `netem`.

use std::time::Duration;

/// How the link *to* one replica behaves. The default changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Added to every frame.
    pub delay: Duration,
    /// Uniform in `0..=jitter` on top of `delay`; frames stay in order.
    pub jitter: Duration,
    /// Token bucket; `None`: unlimited. At least 1.
    pub bandwidth_bytes_per_s: Option<u64>,
    /// Loss as TCP applications see it: with this probability (in millionths) per frame, the
    /// connection breaks and what was queued is gone; it is dialled again.
    pub break_per_million: u32,
    /// A partition: nothing is sent to the peer, nothing read from it, no connection made. What is
    /// queued stays (and the queue fills). Blocks both directions.
    pub blocked: bool,
}

impl Shape {
    /// Whether frames may go straight to the socket.
    pub fn is_transparent(&self) -> bool {
        *self == Self::default()
    }
}
