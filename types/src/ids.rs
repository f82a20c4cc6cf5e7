//! Names of things. Every id is a 32-byte blake3 hash; every counter is its own type.

use std::fmt;

/// A 32-byte blake3 hash of anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    pub const ZERO: Digest = Digest([0; 32]);

    /// Hash of `bytes` under a domain label, so that hashes of different things never meet.
    pub fn of(domain: &str, bytes: &[u8]) -> Digest {
        Digest::of_all(domain, [bytes])
    }

    /// The same of pieces, as if they were one.
    pub fn of_all<'a>(domain: &str, pieces: impl IntoIterator<Item = &'a [u8]>) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key(domain);
        for piece in pieces {
            hasher.update(piece);
        }
        Digest(*hasher.finalize().as_bytes())
    }
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0[..4], f)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

macro_rules! digest_id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub Digest);

        impl $name {
            pub const ZERO: $name = $name(Digest::ZERO);
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}

digest_id! {
    /// Names a cluster: hash of its members' keys, scheme, rule and parameters.
    ClusterId,
    /// Names an epoch by its whole history: `H(parent id, kind, start, committee)`.
    EpochId,
    /// Names a block: hash of its header's core.
    BlockId,
    /// Names a car of a lane: hash of its body.
    CarId,
    /// Names a batch: hash of its bytes, undomained blake3, so that it can be computed while reading.
    BatchDigest,
}

macro_rules! counter {
    ($($(#[$doc:meta])* $name:ident($int:ty)),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $int);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )*};
}

counter! {
    /// A view of an epoch; 0 is the epoch's root, proposals start at 1.
    View(u64),
    /// Height of a block in the ledger; never restarts, not even at an epoch change.
    Height(u64),
    /// Index of a replica in its committee, `0..n`.
    ReplicaId(u16),
}

impl View {
    /// The view after this one (saturating: a view counter that runs out is a dead epoch, not a wrap).
    pub fn next(self) -> View {
        View(self.0.saturating_add(1))
    }
}

impl Height {
    pub fn next(self) -> Height {
        Height(self.0.saturating_add(1))
    }
}

impl ReplicaId {
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}
