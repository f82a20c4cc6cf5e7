//! Certificates as lists of single signatures, in the order of the signers: for votes as a scheme of
//! its own, and for everything that is signed with identity keys.

use bytes::Bytes;
use types::{Member, Multisig, ReplicaId, SchemeName, SignerSet};

use crate::ed25519::{Ed25519, Ed25519Key};
use crate::error::KeyError;
use crate::scheme::{Aggregate, Claim, IdentityScheme, Signed, VoteScheme};

const SIGNATURE_LEN: usize = 64;

/// Votes as lists of Ed25519 signatures: cheaper to verify than one BLS signature up to about 45
/// signers, and 64 bytes per signer instead of 48 in all.
#[derive(Debug, Clone, Copy)]
pub struct Ed25519Lists;

impl VoteScheme for Ed25519Lists {
    const NAME: SchemeName = SchemeName::Ed25519;
    type Identity = Ed25519;
    type Secret = <Ed25519 as IdentityScheme>::Secret;
    type Ring = Vec<Ed25519Key>;

    fn secret(seed: &[u8; 32]) -> Self::Secret {
        Ed25519::secret(seed)
    }

    fn public_key(secret: &Self::Secret) -> Vec<u8> {
        Ed25519::public_key(secret).to_vec()
    }

    /// Lists need none: no key enters the verification of another's signature.
    fn prove_possession(_: &Self::Secret, _: &[u8; 32]) -> Vec<u8> {
        Vec::new()
    }

    fn ring(members: &[Member]) -> Result<Self::Ring, KeyError> {
        let parse = |(member, seat): (&Member, u16)| {
            let replica = ReplicaId(seat);
            let bytes = <&[u8; 32]>::try_from(member.vote_key.as_slice()).ok();
            let key = bytes.and_then(Ed25519::parse).ok_or(KeyError::BadKey {
                replica,
                what: "vote_key",
            })?;
            match member.possession.is_empty() {
                true => Ok(key),
                false => Err(KeyError::Possession { replica }),
            }
        };
        members.iter().zip(0..).map(parse).collect()
    }

    fn sign(secret: &Self::Secret, statement: &[u8]) -> Bytes {
        Bytes::copy_from_slice(&Ed25519::sign(secret, statement))
    }

    fn verify_share(ring: &Self::Ring, signer: ReplicaId, statement: &[u8], share: &[u8]) -> bool {
        match (ring.get(signer.index()), share.try_into()) {
            (Some(key), Ok(signature)) => Ed25519::verify(key, statement, signature),
            _ => false,
        }
    }

    fn aggregate(ring: &Self::Ring, statement: &[u8], shares: &[(ReplicaId, Bytes)]) -> Aggregate {
        let mut bad = SignerSet::EMPTY;
        let mut fit = Vec::with_capacity(shares.len());
        for (signer, share) in shares {
            match <&[u8; SIGNATURE_LEN]>::try_from(&share[..]) {
                Ok(signature) => fit.push((*signer, *signature)),
                Err(_) => drop(bad.insert(*signer)),
            }
        }
        let mut list = aggregate_list::<Ed25519>(ring, statement, &fit);
        list.bad = list.bad.union(bad);
        list
    }

    fn verify(ring: &Self::Ring, statement: &[u8], multisig: &Multisig) -> bool {
        verify_list::<Ed25519>(ring, statement, multisig)
    }

    fn verify_batch(ring: &Self::Ring, claims: &[Claim<'_>]) -> Vec<usize> {
        verify_lists::<Ed25519>(ring, claims)
    }
}

/// The good ones of `shares` as a list. Signers are seats of `keys`, ascending, each once.
pub(crate) fn aggregate_list<I: IdentityScheme>(
    keys: &[I::Public],
    statement: &[u8],
    shares: &[(ReplicaId, [u8; SIGNATURE_LEN])],
) -> Aggregate {
    let items: Vec<_> = shares
        .iter()
        .map(|(signer, signature)| Signed {
            key: &keys[signer.index()],
            statement,
            signature,
        })
        .collect();
    let bad: SignerSet = I::verify_batch(&items)
        .into_iter()
        .map(|at| shares[at].0)
        .collect();
    let good = shares.iter().filter(|(signer, _)| !bad.contains(*signer));
    let mut signers = SignerSet::EMPTY;
    let mut bytes = Vec::with_capacity(SIGNATURE_LEN * shares.len());
    for (signer, signature) in good {
        signers.insert(*signer);
        bytes.extend_from_slice(signature);
    }
    Aggregate {
        multisig: Multisig {
            signers,
            bytes: bytes.into(),
        },
        bad,
    }
}

/// True if every signer's signature is in its place, and nothing else.
pub(crate) fn verify_list<I: IdentityScheme>(
    keys: &[I::Public],
    statement: &[u8],
    multisig: &Multisig,
) -> bool {
    items::<I>(keys, statement, multisig)
        .is_some_and(|items| !items.is_empty() && I::verify_batch(&items).is_empty())
}

/// Indices of the bad ones, ascending: all signatures of all lists in one batch.
pub(crate) fn verify_lists<I: IdentityScheme>(
    keys: &[I::Public],
    claims: &[Claim<'_>],
) -> Vec<usize> {
    let mut batch = Vec::new();
    let mut owners = Vec::new();
    let mut is_bad = vec![false; claims.len()];
    for (at, claim) in claims.iter().enumerate() {
        match items::<I>(keys, &claim.statement, claim.multisig) {
            Some(items) if !items.is_empty() => {
                owners.resize(owners.len() + items.len(), at);
                batch.extend(items);
            }
            _ => is_bad[at] = true,
        }
    }
    for at in I::verify_batch(&batch) {
        is_bad[owners[at]] = true;
    }
    (0..claims.len()).filter(|&at| is_bad[at]).collect()
}

/// The single signatures of a list; none if its length or a signer is impossible.
fn items<'a, I: IdentityScheme>(
    keys: &'a [I::Public],
    statement: &'a [u8],
    multisig: &'a Multisig,
) -> Option<Vec<Signed<'a, I::Public>>> {
    let (signatures, rest) = multisig.bytes.as_chunks::<SIGNATURE_LEN>();
    if !rest.is_empty() || signatures.len() != multisig.signers.len() {
        return None;
    }
    let signed = |(signer, signature): (ReplicaId, &'a [u8; SIGNATURE_LEN])| {
        Some(Signed {
            key: keys.get(signer.index())?,
            statement,
            signature,
        })
    };
    multisig
        .signers
        .iter()
        .zip(signatures)
        .map(signed)
        .collect()
}

#[cfg(test)]
mod tests;
