//! Secrets of a replica, and committees made of them.

use std::fmt;

use curve25519_dalek::MontgomeryPoint;
use types::{CommitRule, Committee, Member, ReplicaId, SchemeName, limits};
use zeroize::Zeroizing;

use crate::bls::Bls;
use crate::error::KeyError;
use crate::list::Ed25519Lists;
use crate::scheme::{IdentityScheme, VoteScheme};

/// The three secrets of a replica, 32 bytes each. Wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    vote: Zeroizing<[u8; 32]>,
    identity: Zeroizing<[u8; 32]>,
    link: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(redacted)")
    }
}

impl Secrets {
    /// From three seeds: vote key, Ed25519 identity key, X25519 link key.
    pub fn from_seeds(vote: [u8; 32], identity: [u8; 32], link: [u8; 32]) -> Secrets {
        Secrets {
            vote: Zeroizing::new(vote),
            identity: Zeroizing::new(identity),
            link: Zeroizing::new(link),
        }
    }

    /// New ones from the operating system's randomness.
    pub fn generate() -> Result<Secrets, KeyError> {
        Ok(Secrets {
            vote: random_seed()?,
            identity: random_seed()?,
            link: random_seed()?,
        })
    }

    /// Seed of the vote key.
    pub fn vote_seed(&self) -> &[u8; 32] {
        &self.vote
    }

    /// Ed25519 seed of the identity key.
    pub fn identity_seed(&self) -> &[u8; 32] {
        &self.identity
    }

    /// X25519 secret of the transport's handshake, as snow takes it.
    pub fn link_secret(&self) -> &[u8; 32] {
        &self.link
    }

    /// X25519 public key of [`Secrets::link_secret`].
    pub fn link_public(&self) -> [u8; 32] {
        MontgomeryPoint::mul_base_clamped(*self.link).to_bytes()
    }
}

pub(crate) fn random_seed() -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|error| KeyError::Randomness {
        why: error.to_string(),
    })?;
    Ok(seed)
}

/// Where a replica listens, as `host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    pub peer: String,
    pub client: String,
}

/// New secrets for `n` replicas (one per entry of `addresses`), and their committee.
pub fn keygen(
    scheme: SchemeName,
    rule: CommitRule,
    addresses: &[Addresses],
) -> Result<(Committee, Vec<Secrets>), KeyError> {
    if !(1..=limits::REPLICAS_MAX).contains(&addresses.len()) {
        return Err(KeyError::CommitteeSize {
            found: addresses.len(),
            limit: limits::REPLICAS_MAX,
        });
    }
    let secrets = addresses
        .iter()
        .map(|_| Secrets::generate())
        .collect::<Result<Vec<_>, _>>()?;
    let committee = match scheme {
        SchemeName::Bls => committee_of::<Bls>(&secrets, rule, addresses)?,
        SchemeName::Ed25519 => committee_of::<Ed25519Lists>(&secrets, rule, addresses)?,
        SchemeName::Simulated => {
            return Err(KeyError::Scheme {
                found: scheme,
                expected: SchemeName::Bls,
            });
        }
    };
    Ok((committee, secrets))
}

/// The committee of these secrets, in order. Deterministic.
pub fn committee_of<S: VoteScheme>(
    secrets: &[Secrets],
    rule: CommitRule,
    addresses: &[Addresses],
) -> Result<Committee, KeyError> {
    if secrets.len() != addresses.len() {
        return Err(KeyError::Addresses {
            expected: secrets.len(),
            found: addresses.len(),
        });
    }
    let member = |(secrets, addresses): (&Secrets, &Addresses)| {
        let vote = S::secret(&secrets.vote);
        let identity_key = S::Identity::public_key(&S::Identity::secret(&secrets.identity));
        Member {
            vote_key: S::public_key(&vote),
            possession: S::prove_possession(&vote, &identity_key),
            identity_key,
            link_key: secrets.link_public(),
            peer_addr: addresses.peer.clone(),
            client_addr: addresses.client.clone(),
        }
    };
    Ok(Committee {
        members: secrets.iter().zip(addresses).map(member).collect(),
        scheme: S::NAME,
        rule,
        envelope: types::committee::envelope(secrets.len()),
        standbys: 0,
    })
}

/// Checks that `secrets` are those of seat `replica`, all three.
pub(crate) fn check_seat(
    committee: &Committee,
    replica: ReplicaId,
    secrets: &Secrets,
) -> Result<(), KeyError> {
    match committee.scheme {
        SchemeName::Bls => check_seat_of::<Bls>(committee, replica, secrets),
        SchemeName::Ed25519 => check_seat_of::<Ed25519Lists>(committee, replica, secrets),
        SchemeName::Simulated => Err(KeyError::Scheme {
            found: SchemeName::Simulated,
            expected: SchemeName::Bls,
        }),
    }
}

pub(crate) fn check_seat_of<S: VoteScheme>(
    committee: &Committee,
    replica: ReplicaId,
    secrets: &Secrets,
) -> Result<(), KeyError> {
    let n = committee.n();
    let member = committee
        .members
        .get(replica.index())
        .ok_or(KeyError::NoSuchReplica { replica, n })?;
    let mismatch = |what| Err(KeyError::Mismatch { replica, what });
    if S::public_key(&S::secret(&secrets.vote)) != member.vote_key {
        return mismatch("vote key");
    }
    if S::Identity::public_key(&S::Identity::secret(&secrets.identity)) != member.identity_key {
        return mismatch("identity key");
    }
    if secrets.link_public() != member.link_key {
        return mismatch("link key");
    }
    Ok(())
}
