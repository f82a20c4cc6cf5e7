//! The fake scheme: keyed hashes in place of signatures. Anybody who holds a public key could forge;
//! the attackers of this world do not. Only the simulator can name these types.

use bytes::Bytes;
use crypto::{Aggregate, Ed25519, IdentityScheme, KeyError, VoteScheme};
use std::marker::PhantomData;
use types::{Member, Multisig, ReplicaId, SchemeName, SignerSet};
use xxhash_rust::xxh3::xxh3_128_with_seed;

const SHARE_LEN: usize = 16;

fn mac(key: &[u8; 32], statement: &[u8]) -> [u8; SHARE_LEN] {
    let mut seed = [0; 8];
    seed.copy_from_slice(&key[..8]);
    xxh3_128_with_seed(statement, u64::from_le_bytes(seed)).to_le_bytes()
}

/// Spreads a seed, so that two that differ anywhere give different keys.
fn key_of(seed: &[u8; 32]) -> [u8; 32] {
    let half = xxh3_128_with_seed(seed, 7).to_le_bytes();
    let mut key = [0; 32];
    key[..16].copy_from_slice(&half);
    key[16..].copy_from_slice(&half);
    key
}

/// Identity signatures of the fake scheme.
#[derive(Debug, Clone, Copy)]
pub struct FakeIdentity;

impl IdentityScheme for FakeIdentity {
    type Secret = [u8; 32];
    type Public = [u8; 32];

    fn secret(seed: &[u8; 32]) -> [u8; 32] {
        key_of(seed)
    }
    fn public_key(secret: &[u8; 32]) -> [u8; 32] {
        *secret
    }
    fn parse(key: &[u8; 32]) -> Option<[u8; 32]> {
        Some(*key)
    }
    fn sign(secret: &[u8; 32], statement: &[u8]) -> [u8; 64] {
        let mut out = [0; 64];
        out[..SHARE_LEN].copy_from_slice(&mac(secret, statement));
        out
    }
    fn verify(key: &[u8; 32], statement: &[u8], signature: &[u8; 64]) -> bool {
        *signature == Self::sign(key, statement)
    }
}

/// Votes of the fake scheme, with identity signatures of `I`.
#[derive(Debug, Clone, Copy)]
pub struct Fake<I>(PhantomData<I>);

/// Fast in everything.
pub type FakeScheme = Fake<FakeIdentity>;
/// Fake votes, real Ed25519 for everything else.
pub type HalfRealScheme = Fake<Ed25519>;

fn sum(ring: &[[u8; 32]], statement: &[u8], signers: SignerSet) -> Option<[u8; SHARE_LEN]> {
    let mut total = 0u128;
    for signer in signers.iter() {
        let key = ring.get(signer.index())?;
        total = total.wrapping_add(u128::from_le_bytes(mac(key, statement)));
    }
    Some(total.to_le_bytes())
}

impl<I: IdentityScheme> VoteScheme for Fake<I> {
    const NAME: SchemeName = SchemeName::Simulated;
    type Identity = I;
    type Secret = [u8; 32];
    type Ring = Vec<[u8; 32]>;

    fn secret(seed: &[u8; 32]) -> [u8; 32] {
        key_of(seed)
    }
    fn public_key(secret: &[u8; 32]) -> Vec<u8> {
        secret.to_vec()
    }
    fn prove_possession(_: &[u8; 32], _: &[u8; 32]) -> Vec<u8> {
        Vec::new()
    }
    fn ring(members: &[Member]) -> Result<Self::Ring, KeyError> {
        let parse = |(member, seat): (&Member, u16)| {
            let bad = KeyError::BadKey {
                replica: ReplicaId(seat),
                what: "vote_key",
            };
            member.vote_key.as_slice().try_into().map_err(|_| bad)
        };
        members.iter().zip(0..).map(parse).collect()
    }
    fn sign(secret: &[u8; 32], statement: &[u8]) -> Bytes {
        Bytes::copy_from_slice(&mac(secret, statement))
    }
    fn verify_share(ring: &Self::Ring, signer: ReplicaId, statement: &[u8], share: &[u8]) -> bool {
        ring.get(signer.index())
            .is_some_and(|key| mac(key, statement) == *share)
    }
    fn aggregate(ring: &Self::Ring, statement: &[u8], shares: &[(ReplicaId, Bytes)]) -> Aggregate {
        let mut out = Aggregate::default();
        for (signer, share) in shares {
            match Self::verify_share(ring, *signer, statement, share) {
                true => out.multisig.signers.insert(*signer),
                false => out.bad.insert(*signer),
            };
        }
        let bytes = sum(ring, statement, out.multisig.signers).unwrap_or_default();
        out.multisig.bytes = Bytes::copy_from_slice(&bytes);
        out
    }
    fn verify(ring: &Self::Ring, statement: &[u8], multisig: &Multisig) -> bool {
        !multisig.signers.is_empty()
            && sum(ring, statement, multisig.signers)
                .is_some_and(|sum| sum[..] == multisig.bytes[..])
    }
}

/// A mutant: believes every certificate of votes, whoever signed it.
#[derive(Debug, Clone, Copy)]
pub struct Gullible;

impl VoteScheme for Gullible {
    const NAME: SchemeName = SchemeName::Simulated;
    type Identity = FakeIdentity;
    type Secret = [u8; 32];
    type Ring = Vec<[u8; 32]>;

    fn secret(seed: &[u8; 32]) -> [u8; 32] {
        FakeScheme::secret(seed)
    }
    fn public_key(secret: &[u8; 32]) -> Vec<u8> {
        FakeScheme::public_key(secret)
    }
    fn prove_possession(_: &[u8; 32], _: &[u8; 32]) -> Vec<u8> {
        Vec::new()
    }
    fn ring(members: &[Member]) -> Result<Self::Ring, KeyError> {
        FakeScheme::ring(members)
    }
    fn sign(secret: &[u8; 32], statement: &[u8]) -> Bytes {
        FakeScheme::sign(secret, statement)
    }
    fn verify_share(ring: &Self::Ring, signer: ReplicaId, statement: &[u8], share: &[u8]) -> bool {
        FakeScheme::verify_share(ring, signer, statement, share)
    }
    fn aggregate(ring: &Self::Ring, statement: &[u8], shares: &[(ReplicaId, Bytes)]) -> Aggregate {
        FakeScheme::aggregate(ring, statement, shares)
    }
    fn verify(_: &Self::Ring, _: &[u8], _: &Multisig) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
