//! What a signature scheme has to offer. Both traits are implementable from outside, so that the
//! simulator can bring a cheap scheme of its own, of a type that a node cannot name.

use bytes::Bytes;
use types::{Member, Multisig, ReplicaId, SchemeName, SignerSet};

use crate::error::KeyError;

/// Signatures of one replica, or of a client: proposals, timeouts, cars, acknowledgements,
/// checkpoints. Whatever accepts a signature alone must accept it in a batch and the other way
/// round, or correct replicas disagree about what is valid.
pub trait IdentityScheme: Send + Sync + 'static {
    type Secret: Send + Sync;
    type Public: Send + Sync;

    fn secret(seed: &[u8; 32]) -> Self::Secret;
    fn public_key(secret: &Self::Secret) -> [u8; 32];
    /// None if `key` is not a key that a member may have.
    fn parse(key: &[u8; 32]) -> Option<Self::Public>;
    fn sign(secret: &Self::Secret, statement: &[u8]) -> [u8; 64];
    fn verify(key: &Self::Public, statement: &[u8], signature: &[u8; 64]) -> bool;

    /// Indices of the bad ones, ascending.
    fn verify_batch(items: &[Signed<'_, Self::Public>]) -> Vec<usize> {
        let is_bad = |item: &Signed<'_, Self::Public>| {
            !Self::verify(item.key, item.statement, item.signature)
        };
        (0..items.len()).filter(|&at| is_bad(&items[at])).collect()
    }
}

/// One signature of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a, Public> {
    pub key: &'a Public,
    pub statement: &'a [u8],
    pub signature: &'a [u8; 64],
}

/// Signatures of votes, which many replicas give on one statement.
pub trait VoteScheme: Send + Sync + 'static {
    const NAME: SchemeName;
    /// Scheme of everything that is not a vote.
    type Identity: IdentityScheme;
    type Secret: Send + Sync;
    /// The vote keys of a committee by seat: parsed, checked, and in the form that verifies fastest.
    type Ring: Send + Sync;

    /// Every 32 bytes are a secret.
    fn secret(seed: &[u8; 32]) -> Self::Secret;
    /// Encoding of the public key, as [`Member::vote_key`] has it.
    fn public_key(secret: &Self::Secret) -> Vec<u8>;
    /// Proof that the holder of `identity_key` holds `secret`; empty where none is needed.
    fn prove_possession(secret: &Self::Secret, identity_key: &[u8; 32]) -> Vec<u8>;
    /// Checks every key and its proof of possession.
    fn ring(members: &[Member]) -> Result<Self::Ring, KeyError>;

    /// A share, at most [`types::limits::SIGNATURE_LEN_MAX`] bytes: the multi-signature of its signer
    /// alone, so that single votes are evidence in the same form as certificates.
    fn sign(secret: &Self::Secret, statement: &[u8]) -> Bytes;
    /// The same share, by one who will soon verify what others said of the same statement.
    fn sign_in(_ring: &Self::Ring, secret: &Self::Secret, statement: &[u8]) -> Bytes {
        Self::sign(secret, statement)
    }
    /// True if `share` is what `signer` alone said.
    fn verify_share(ring: &Self::Ring, signer: ReplicaId, statement: &[u8], share: &[u8]) -> bool;
    /// Adds up `shares`, leaving out the bad ones. Signers are seats of the ring, ascending, each once.
    fn aggregate(ring: &Self::Ring, statement: &[u8], shares: &[(ReplicaId, Bytes)]) -> Aggregate;
    /// True if every one of `multisig.signers` signed. Refuses an empty set, and seats that the ring
    /// does not have.
    fn verify(ring: &Self::Ring, statement: &[u8], multisig: &Multisig) -> bool;

    /// Indices of the bad ones, ascending.
    fn verify_batch(ring: &Self::Ring, claims: &[Claim<'_>]) -> Vec<usize> {
        let is_bad = |claim: &Claim<'_>| !Self::verify(ring, &claim.statement, claim.multisig);
        (0..claims.len())
            .filter(|&at| is_bad(&claims[at]))
            .collect()
    }
}

/// One multi-signature of a batch.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    pub statement: Vec<u8>,
    pub multisig: &'a Multisig,
}

/// What became of some shares. `multisig` verifies for exactly its signers, unless there are none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Aggregate {
    pub multisig: Multisig,
    pub bad: SignerSet,
}
