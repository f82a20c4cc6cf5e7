//! Who may vote, and how many are enough.

use crate::codec::{CodecError, Reader, Wire, put_bytes};
use crate::ids::{BlockId, ClusterId, Digest, EpochId, Height, ReplicaId};
use crate::limits::REPLICAS_MAX;
use crate::signers::SignerSet;

/// Version of wire and signing formats, bound by every signature and by the cluster id.
pub const PROTOCOL_VERSION: u8 = 3;

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

/// The seats of a cluster, with the parameters which all of them must share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committee {
    /// Members of the first epoch, then the standbys.
    pub members: Vec<Member>,
    pub scheme: SchemeName,
    pub rule: CommitRule,
    /// `F`: most replicas, Byzantine or crashed, that recovery reckons with; below the quorum.
    pub envelope: usize,
    /// How many of the last seats belong to standbys: no members of the first epoch, but ready to
    /// take the seats of evicted ones.
    pub standbys: usize,
}

/// `f = floor((n-1)/3)`: Byzantine replicas that a committee of `n` tolerates.
pub fn faults(n: usize) -> usize {
    n.saturating_sub(1) / 3
}

/// `q(n) = n - f`.
pub fn quorum(n: usize) -> usize {
    n - faults(n)
}

/// Fewest replicas that must lie for two certificates of one view to conflict: `2q - n`.
pub fn split(n: usize) -> usize {
    2 * quorum(n) - n
}

/// The largest `F` for which the smallest possible `B` (`2q - n` culprits) satisfies Eq. 1.
pub fn envelope(n: usize) -> usize {
    let largest = split(n) + (2 * faults(n)).saturating_sub(1) / 3;
    largest.min(quorum(n).saturating_sub(1))
}

/// Eq. 1: of `n` replicas, with `convicted` of them out, the rest can agree although up to
/// `envelope - convicted` of them are faulty too. `convicted > envelope` refutes the envelope.
pub fn recoverable(n: usize, convicted: usize, envelope: usize) -> bool {
    convicted <= envelope && n - convicted > 3 * (envelope - convicted)
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
        (self.envelope as u64).put(&mut bytes);
        (self.standbys as u64).put(&mut bytes);
        for member in &self.members {
            put_bytes(&mut bytes, &member.vote_key);
            member.identity_key.put(&mut bytes);
            member.link_key.put(&mut bytes);
        }
        ClusterId(Digest::of("reforge cluster v1", &bytes))
    }

    /// The first epoch of this cluster.
    pub fn genesis(&self) -> Epoch {
        let active = self.n().saturating_sub(self.standbys);
        assert!(
            self.n() <= REPLICAS_MAX && active >= 1,
            "{} seats, {} of them standbys",
            self.n(),
            self.standbys
        );
        let cluster = self.cluster();
        let id = EpochId(Digest::of("reforge epoch genesis v1", &cluster.0.0));
        Epoch {
            cluster,
            id,
            n: self.n(),
            members: SignerSet::all(active),
            standbys: SignerSet::all(self.n()).difference(SignerSet::all(active)),
            kind: EpochKind::Ordinary,
            envelope: self.envelope,
            root_height: Height(0),
        }
    }
}

/// What an epoch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EpochKind {
    /// Orders transactions.
    Ordinary,
    /// Agrees on how an epoch that was split goes on: every certificate declares whom it excludes.
    Recovery,
}

/// What a signature or a certificate is checked against: one epoch of one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    pub cluster: ClusterId,
    pub id: EpochId,
    /// Number of seats, `1..=128`; replica indices are seat numbers.
    pub n: usize,
    /// Seats which may sign (in a recovery epoch: all of the epoch that it recovers).
    pub members: SignerSet,
    /// Seats that get everything and say nothing, ready to become members.
    pub standbys: SignerSet,
    pub kind: EpochKind,
    /// `F` of this epoch; see [`Committee::envelope`].
    pub envelope: usize,
    /// Height of the epoch's root in the ledger.
    pub root_height: Height,
}

impl Epoch {
    pub fn faults(&self) -> usize {
        faults(self.members.len())
    }

    pub fn quorum(&self) -> usize {
        quorum(self.members.len())
    }

    /// Fewest culprits that two conflicting commits convict.
    pub fn split(&self) -> usize {
        split(self.members.len())
    }

    pub fn is_recovery(&self) -> bool {
        self.kind == EpochKind::Recovery
    }

    /// The root of the epoch's chain: certified by definition, at view 0.
    pub fn root(&self) -> BlockId {
        BlockId(Digest::of("reforge root v1", &self.id.0.0))
    }

    /// Enough signers of an ordinary certificate.
    pub fn is_quorum(&self, signers: SignerSet) -> bool {
        self.is_quorum_without(signers, SignerSet::EMPTY)
    }

    /// `q(n - |B|)` where the certificate may declare `B = excluded`: nobody in an ordinary epoch;
    /// in a recovery epoch members that satisfy Eq. 1 and `|B| <= F`. (Without Eq. 1 here a timeout
    /// certificate that declares nobody would fork two-chain at n = 7.)
    pub fn quorum_without(&self, excluded: SignerSet) -> Option<usize> {
        let n = self.members.len();
        let fits = match self.kind {
            EpochKind::Ordinary => excluded.is_empty(),
            EpochKind::Recovery => {
                excluded.is_subset(self.members) && recoverable(n, excluded.len(), self.envelope)
            }
        };
        fits.then(|| quorum(n - excluded.len()))
    }

    /// Whether `signers` are enough of `N \ B` for a certificate that declares `B = excluded`.
    pub fn is_quorum_without(&self, signers: SignerSet, excluded: SignerSet) -> bool {
        let seats = self.members.difference(excluded);
        self.quorum_without(excluded)
            .is_some_and(|quorum| signers.is_subset(seats) && signers.len() >= quorum)
    }

    pub fn replicas(&self) -> impl Iterator<Item = ReplicaId> {
        self.members.iter()
    }

    /// Who takes the seats of `excluded`: the first standbys, as many as there are.
    pub fn substitutes(&self, excluded: SignerSet) -> SignerSet {
        self.standbys.iter().take(excluded.len()).collect()
    }

    /// Everybody who gets what is said to all.
    pub fn audience(&self) -> SignerSet {
        self.members.union(self.standbys)
    }

    /// The one recovery epoch of this epoch.
    pub fn recovery(&self) -> Epoch {
        Epoch {
            id: EpochId(Digest::of("reforge epoch recovery v1", &self.id.0.0)),
            kind: EpochKind::Recovery,
            ..*self
        }
    }

    /// The working epoch that a committed recovery value opens: without `excluded`, whose seats
    /// `standbys` take. `self` is the recovery epoch.
    pub fn resumed(
        &self,
        value: Digest,
        excluded: SignerSet,
        standbys: SignerSet,
        root_height: Height,
    ) -> Epoch {
        self.child(
            "reforge epoch resumed v1",
            value,
            excluded,
            standbys,
            root_height,
        )
    }

    /// The epoch after a block of this one that evicts `excluded`.
    pub fn evicted(
        &self,
        block: BlockId,
        excluded: SignerSet,
        standbys: SignerSet,
        root_height: Height,
    ) -> Epoch {
        self.child(
            "reforge epoch evicted v1",
            block.0,
            excluded,
            standbys,
            root_height,
        )
    }

    fn child(
        &self,
        domain: &str,
        start: Digest,
        excluded: SignerSet,
        standbys: SignerSet,
        root_height: Height,
    ) -> Epoch {
        let members = self.members.difference(excluded).union(standbys);
        let mut bytes = Vec::with_capacity(96);
        self.id.put(&mut bytes);
        start.put(&mut bytes);
        members.put(&mut bytes);
        Epoch {
            id: EpochId(Digest::of(domain, &bytes)),
            members,
            standbys: self.standbys.difference(standbys),
            kind: EpochKind::Ordinary,
            envelope: envelope(members.len()),
            root_height,
            ..*self
        }
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

impl Wire for EpochKind {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(match self {
            EpochKind::Ordinary => 0,
            EpochKind::Recovery => 1,
        });
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        match u8::take(reader)? {
            0 => Ok(EpochKind::Ordinary),
            1 => Ok(EpochKind::Recovery),
            found => Err(CodecError::BadTag {
                what: "kind of epoch",
                found,
            }),
        }
    }
}

/// For a replica's own journal; on the wire an epoch travels by its id.
impl Wire for Epoch {
    fn put(&self, out: &mut Vec<u8>) {
        self.cluster.put(out);
        self.id.put(out);
        (self.n as u64).put(out);
        self.members.put(out);
        self.standbys.put(out);
        self.kind.put(out);
        (self.envelope as u64).put(out);
        self.root_height.put(out);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        let seats = |reader: &mut Reader| {
            let (found, limit) = (u64::take(reader)? as usize, REPLICAS_MAX);
            match found <= limit {
                true => Ok(found),
                false => Err(CodecError::TooLong {
                    what: "seats of an epoch",
                    found,
                    limit,
                }),
            }
        };
        Ok(Epoch {
            cluster: Wire::take(reader)?,
            id: Wire::take(reader)?,
            n: seats(reader)?,
            members: Wire::take(reader)?,
            standbys: Wire::take(reader)?,
            kind: Wire::take(reader)?,
            envelope: seats(reader)?,
            root_height: Wire::take(reader)?,
        })
    }
}
