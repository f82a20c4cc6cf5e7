//! Why connections end: every closing has exactly one reason, counted and logged.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// Why a connection ended, before or after authentication.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum DownReason { $($(#[$doc])* $variant,)* }

        impl DownReason {
            pub const ALL: &'static [DownReason] = &[$(DownReason::$variant,)*];

            /// The name in metrics and logs.
            pub fn name(self) -> &'static str {
                match self { $(DownReason::$variant => $name,)* }
            }
        }
    };
}

reasons! {
    /// The other side closed between frames.
    PeerClosed => "peer_closed",
    /// The other side closed in the middle of a frame.
    Truncated => "truncated",
    /// A socket error (reset, timed out, unreachable).
    Io => "io",
    /// We closed it.
    Local => "local",
    /// A dial found nobody.
    ConnectFailed => "connect_failed",
    /// Not authenticated in time: half-open or too slow.
    HandshakeTimeout => "handshake_timeout",
    /// Made room for newer connections before it authenticated.
    HandshakeEvicted => "handshake_evicted",
    /// The first bytes are no handshake of this port and version.
    BadPreamble => "bad_preamble",
    /// Another cluster id.
    WrongCluster => "wrong_cluster",
    /// One side encrypts, the other does not.
    WrongSetting => "wrong_setting",
    /// Claims a seat that is empty, out of range, our own, or which does not dial us.
    WrongIndex => "wrong_index",
    /// Could not prove the static key that the committee lists (or the server's expected key).
    WrongKey => "wrong_key",
    /// A frame longer than the limit.
    Oversized => "oversized",
    /// A malformed frame header.
    BadFrame => "bad_frame",
    /// A frame was forged, changed, replayed, dropped or reordered on the way.
    BadMac => "bad_mac",
    /// A client that does not read.
    SlowReader => "slow_reader",
    /// More clients than the limit.
    TooManyClients => "too_many_clients",
    /// The same replica connected anew.
    Replaced => "replaced",
    /// The committee changed.
    SeatChanged => "seat_changed",
    /// Refused because the link is blocked by shaping.
    Blocked => "blocked",
    /// Shaping emulated a loss.
    ShapedLoss => "shaped_loss",
}

impl DownReason {
    /// Whether waiting is unlikely to cure it: somebody has to look at keys or configuration.
    pub fn is_refusal(self) -> bool {
        use DownReason::*;
        matches!(
            self,
            BadPreamble | WrongCluster | WrongSetting | WrongIndex | WrongKey
        )
    }
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
