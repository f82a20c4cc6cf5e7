//! Who may vote, and how many are enough.

use crate::codec::{CodecError, Reader, Wire, put_bytes};
use crate::ids::{BlockId, ClusterId, Digest, EpochId, ReplicaId};
use crate::limits::REPLICAS_MAX;
use crate::signers::SignerSet;

/// Version of wire and signing formats, bound by every signature and by the cluster id.
pub const PROTOCOL_VERSION: u8 = 1;

/// How a block becomes final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommitRule {
    /// Certified blocks at views `v, v+1, v+2` (HotStuff, PODC 2019).
    ThreeChain,
    /// Certified blocks at views `v, v+1` (Jolteon, FC 2022; DiemBFT v4).
    TwoChain,
}

impl CommitRule {
    /// Number of certificates at consecutive views which commit the first of their blocks.
    pub fn chain_len(self) -> usize {
        match self {
            CommitRule::ThreeChain => 3,
            CommitRule::TwoChain => 2,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            CommitRule::ThreeChain => "three-chain",
            CommitRule::TwoChain => "two-chain",
        }
    }

    pub fn from_name(name: &str) -> Option<CommitRule> {
        [CommitRule::ThreeChain, CommitRule::TwoChain]
            .into_iter()
            .find(|r| r.name() == name)
    }
}

/// The signature scheme of votes. Everything else is signed with Ed25519 identity keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchemeName {
    Bls,
    Ed25519,
    /// Exists in the simulator alone; a node refuses it.
    Simulated,
}

impl SchemeName {
    pub fn name(self) -> &'static str {
        match self {
            SchemeName::Bls => "bls",
            SchemeName::Ed25519 => "ed25519",
            SchemeName::Simulated => "simulated",
        }
    }

    pub fn from_name(name: &str) -> Option<SchemeName> {
        [SchemeName::Bls, SchemeName::Ed25519]
            .into_iter()
            .find(|s| s.name() == name)
    }
}

/// Public part of one replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Key of the vote scheme, in the scheme's own encoding.
    pub vote_key: Vec<u8>,
    /// Proof that the member holds the secret of `vote_key` (empty where the scheme needs none).
    pub possession: Vec<u8>,
    /// Ed25519 key: proposals, timeouts, cars, acknowledgements, checkpoints.
    pub identity_key: [u8; 32],
    /// X25519 key of the transport's handshake.
    pub link_key: [u8; 32],
    /// `host:port` for replicas.
    pub peer_addr: String,
    /// `host:port` for clients.
    pub client_addr: String,
}

/// The members of a cluster, with the parameters which all of them must share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committee {
    pub members: Vec<Member>,
    pub scheme: SchemeName,
    pub rule: CommitRule,
}

/// `f = floor((n-1)/3)`: Byzantine replicas that a committee of `n` tolerates.
pub fn faults(n: usize) -> usize {
    n.saturating_sub(1) / 3
}

/// `q(n) = n - f`.
pub fn quorum(n: usize) -> usize {
    n - faults(n)
}

impl Committee {
    pub fn n(&self) -> usize {
        self.members.len()
    }

    /// Hash of the keys and the shared parameters. Addresses are left out: a replica may move.
    pub fn cluster(&self) -> ClusterId {
        let mut bytes = vec![PROTOCOL_VERSION];
        put_bytes(&mut bytes, self.scheme.name().as_bytes());
        put_bytes(&mut bytes, self.rule.name().as_bytes());
        for member in &self.members {
            put_bytes(&mut bytes, &member.vote_key);
            member.identity_key.put(&mut bytes);
            member.link_key.put(&mut bytes);
        }
        ClusterId(Digest::of("reforge cluster v1", &bytes))
    }

    /// The first epoch of this cluster.
    pub fn genesis(&self) -> Epoch {
        assert!(
            (1..=REPLICAS_MAX).contains(&self.n()),
            "committee of {}",
            self.n()
        );
        let cluster = self.cluster();
        let id = EpochId(Digest::of("reforge epoch genesis v1", &cluster.0.0));
        Epoch {
            cluster,
            id,
            n: self.n(),
            members: SignerSet::all(self.n()),
        }
    }
}

/// What a signature or a certificate is checked against: one epoch of one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    pub cluster: ClusterId,
    pub id: EpochId,
    /// Number of seats, `1..=128`; replica indices are seat numbers.
    pub n: usize,
    /// Seats which may sign.
    pub members: SignerSet,
}

impl Epoch {
    pub fn faults(&self) -> usize {
        faults(self.members.len())
    }

    pub fn quorum(&self) -> usize {
        quorum(self.members.len())
    }

    /// The root of the epoch's chain: certified by definition, at view 0.
    pub fn root(&self) -> BlockId {
        BlockId(Digest::of("reforge root v1", &self.id.0.0))
    }

    pub fn is_quorum(&self, signers: SignerSet) -> bool {
        signers.is_subset(self.members) && signers.len() >= self.quorum()
    }

    pub fn replicas(&self) -> impl Iterator<Item = ReplicaId> {
        self.members.iter()
    }
}

/// What a replica may promise at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    Nominal,
    DegradedSafe,
    RecoveryInProgress,
    SafeResumed,
}

impl Mode {
    pub const ALL: [Mode; 4] = [
        Mode::Nominal,
        Mode::DegradedSafe,
        Mode::RecoveryInProgress,
        Mode::SafeResumed,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Mode::Nominal => "NOMINAL",
            Mode::DegradedSafe => "DEGRADED_SAFE",
            Mode::RecoveryInProgress => "RECOVERY_IN_PROGRESS",
            Mode::SafeResumed => "SAFE_RESUMED",
        }
    }
}

impl Wire for Mode {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(Mode::ALL.iter().position(|m| m == self).unwrap_or(0) as u8);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        let found = u8::take(reader)?;
        Mode::ALL
            .get(usize::from(found))
            .copied()
            .ok_or(CodecError::BadTag {
                what: "mode",
                found,
            })
    }
}
