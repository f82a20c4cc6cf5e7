//! BLS12-381 multi-signatures: signatures in G1 (48 bytes), keys in G2 (96 bytes), as draft-irtf-
//! cfrg-bls-signature has them with proofs of possession (Ristenpart and Yilek, EUROCRYPT 2007).
//!
//! blst must be built with `no-threads`: its pool costs a quarter more CPU for no less wall time.

use std::fmt;
use std::sync::Arc;

use blst::min_sig::{AggregatePublicKey, AggregateSignature, PublicKey, SecretKey, Signature};
use blst::{BLST_ERROR, Pairing, blst_p1_affine, blst_p2_affine};
use bytes::Bytes;
use types::{Member, Multisig, ReplicaId, SchemeName, SignerSet};

use crate::ed25519::Ed25519;
use crate::error::KeyError;
use crate::pairing::{self, Kept, Lines};
use crate::scheme::{Aggregate, Claim, VoteScheme};

const DST_VOTE: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
const DST_POSSESSION: &[u8] = b"BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
const KEY_LEN: usize = 96;
const SIGNATURE_LEN: usize = 48;
/// Bits of the coefficients of a batch. They are a hash of the batch, so that verification stays a
/// pure function: an attacker may try coefficients offline, and 64 bits would not be enough.
const COEFFICIENT_BITS: usize = 128;

/// Sums of keys whose lines are kept, at 20 KB each: all quorums of seven replicas.
const SUMS_MAX: usize = 32;
/// Statements whose points are kept: a few views' worth.
const HASHES_MAX: usize = 8;

/// The default scheme of votes.
#[derive(Debug, Clone, Copy)]
pub struct Bls;

/// Affine keys, each checked once, the sum of all, and what pairings with sums of some have in common.
pub struct BlsRing {
    keys: Vec<PublicKey>,
    all: AggregatePublicKey,
    generator: Lines,
    /// Lines of the sums of keys of late.
    sums: Kept<SignerSet, Arc<Lines>>,
    /// Points that stand for statements: whoever votes for a block soon checks its certificate.
    hashes: Kept<Vec<u8>, blst_p1_affine>,
}

impl fmt::Debug for BlsRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlsRing")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

impl VoteScheme for Bls {
    const NAME: SchemeName = SchemeName::Bls;
    type Identity = Ed25519;
    type Secret = SecretKey;
    type Ring = BlsRing;

    fn secret(seed: &[u8; 32]) -> SecretKey {
        SecretKey::key_gen(seed, b"reforge vote key v1").expect("32 bytes of key material suffice")
    }

    fn public_key(secret: &SecretKey) -> Vec<u8> {
        secret.sk_to_pk().compress().to_vec()
    }

    fn prove_possession(secret: &SecretKey, identity_key: &[u8; 32]) -> Vec<u8> {
        let message = possession_message(&Self::public_key(secret), identity_key);
        secret
            .sign(&message, DST_POSSESSION, &[])
            .compress()
            .to_vec()
    }

    fn ring(members: &[Member]) -> Result<BlsRing, KeyError> {
        let keys = members
            .iter()
            .zip(0..)
            .map(|(member, seat)| check_member(member, ReplicaId(seat)))
            .collect::<Result<Vec<_>, _>>()?;
        BlsRing::new(keys).ok_or(KeyError::CommitteeSize {
            found: 0,
            limit: types::limits::REPLICAS_MAX,
        })
    }

    fn sign(secret: &SecretKey, statement: &[u8]) -> Bytes {
        Bytes::copy_from_slice(&secret.sign(statement, DST_VOTE, &[]).compress())
    }

    fn sign_in(ring: &BlsRing, secret: &SecretKey, statement: &[u8]) -> Bytes {
        let signature = pairing::sign(&ring.hash(statement), secret);
        Bytes::copy_from_slice(&signature.compress())
    }

    fn verify_share(ring: &BlsRing, signer: ReplicaId, statement: &[u8], share: &[u8]) -> bool {
        let signers = SignerSet::from_iter([signer]);
        decode_signature(share).is_some_and(|share| ring.holds(signers, statement, &share))
    }

    /// Adds everything up and verifies once; only if that fails, looks for the bad shares by halves.
    ///
    /// Shares are verified in sum only, so two culprits may present shares that are wrong by opposite
    /// amounts (or outside of the subgroup by opposite parts). That helps nobody: the sum is the same
    /// as if both had signed properly. And since sums of valid halves are valid, a failing set always
    /// has a failing half: the search ends at single bad shares.
    fn aggregate(ring: &BlsRing, statement: &[u8], shares: &[(ReplicaId, Bytes)]) -> Aggregate {
        let mut bad = SignerSet::EMPTY;
        let mut parsed = Vec::with_capacity(shares.len());
        for (signer, share) in shares {
            match decode_signature(share) {
                Some(signature) => parsed.push((*signer, signature)),
                None => drop(bad.insert(*signer)),
            }
        }
        let mut search = Search {
            ring,
            statement,
            bad,
        };
        let sum = search.sum_of_good(&parsed, false);
        let mut multisig = Multisig::default();
        if let Some(sum) = sum {
            let parsed: SignerSet = parsed.iter().map(|(signer, _)| *signer).collect();
            multisig.signers = parsed.difference(search.bad);
            multisig.bytes = Bytes::copy_from_slice(&sum.to_signature().compress());
        }
        Aggregate {
            multisig,
            bad: search.bad,
        }
    }

    fn verify(ring: &BlsRing, statement: &[u8], multisig: &Multisig) -> bool {
        let signature = decode_signature(&multisig.bytes);
        signature.is_some_and(|sum| ring.holds(multisig.signers, statement, &sum))
    }

    /// A random linear combination: `k + 1` Miller loops and one final exponentiation instead of `2k`
    /// and `k`. Bisects if that fails.
    fn verify_batch(ring: &BlsRing, claims: &[Claim<'_>]) -> Vec<usize> {
        let mut bad = Vec::new();
        let mut good = Vec::with_capacity(claims.len());
        for (at, (claim, scalar)) in claims.iter().zip(coefficients(claims)).enumerate() {
            let key = ring.key_of(claim.multisig.signers);
            let signature = decode_signature(&claim.multisig.bytes)
                .filter(|signature| signature.validate(false).is_ok());
            match (key, signature) {
                (Some(key), Some(signature)) => good.push(Term {
                    at,
                    signers: claim.multisig.signers,
                    key,
                    signature,
                    scalar,
                    statement: &claim.statement,
                }),
                _ => bad.push(at),
            }
        }
        find_bad_terms(ring, &good, false, &mut bad);
        bad.sort_unstable();
        bad
    }
}

impl BlsRing {
    /// None without keys.
    fn new(keys: Vec<PublicKey>) -> Option<BlsRing> {
        let borrowed: Vec<&PublicKey> = keys.iter().collect();
        let all = AggregatePublicKey::aggregate(&borrowed, false).ok()?;
        Some(BlsRing {
            keys,
            all,
            generator: Lines::of_negative_generator(),
            sums: Kept::new(SUMS_MAX),
            hashes: Kept::new(HASHES_MAX),
        })
    }

    /// Sum of the signers' keys, made from whichever is shorter: those who signed or those who did not.
    fn key_of(&self, signers: SignerSet) -> Option<PublicKey> {
        let everybody = SignerSet::all(self.keys.len());
        if signers.is_empty() || !signers.is_subset(everybody) {
            return None;
        }
        let missing = everybody.difference(signers);
        let mut keys = signers.iter().map(|id| &self.keys[id.index()]);
        let sum = if missing.len() < signers.len() {
            let mut sum = self.all;
            for id in missing.iter() {
                sum.sub_aggregate(&AggregatePublicKey::from_public_key(&self.keys[id.index()]));
            }
            sum
        } else {
            let mut sum = AggregatePublicKey::from_public_key(keys.next()?);
            for key in keys {
                sum.add_public_key(key, false).ok()?;
            }
            sum
        };
        Some(sum.to_public_key())
    }

    /// True if `signature` is the sum of what all of `signers` said: `e(signature, -G) e(hash, keys) = 1`.
    fn holds(&self, signers: SignerSet, statement: &[u8], signature: &Signature) -> bool {
        // Neither at infinity nor outside of the subgroup.
        if signature.validate(true).is_err() {
            return false;
        }
        let Some(keys) = self.lines_of(signers) else {
            return false;
        };
        let hash = self.hash(statement);
        pairing::product_is_one([(signature.into(), &self.generator), (&hash, &keys)])
    }

    fn lines_of(&self, signers: SignerSet) -> Option<Arc<Lines>> {
        if let Some(lines) = self.sums.find(&signers) {
            return Some(lines);
        }
        let sum = self.key_of(signers)?;
        // The sum of keys of the subgroup lies in it, but may be at infinity.
        sum.validate().ok()?;
        let lines = Arc::new(Lines::of((&sum).into()));
        self.sums.keep(signers, lines.clone());
        Some(lines)
    }

    fn hash(&self, statement: &[u8]) -> blst_p1_affine {
        if let Some(hash) = self.hashes.find(statement) {
            return hash;
        }
        let hash = pairing::hash(statement, DST_VOTE);
        self.hashes.keep(statement.to_vec(), hash);
        hash
    }
}

struct Search<'a> {
    ring: &'a BlsRing,
    statement: &'a [u8],
    bad: SignerSet,
}

impl Search<'_> {
    /// Sum of the good among `shares`; names the others. `known_bad`: the whole is known not to hold.
    fn sum_of_good(
        &mut self,
        shares: &[(ReplicaId, Signature)],
        known_bad: bool,
    ) -> Option<AggregateSignature> {
        let (first, rest) = shares.split_first()?;
        if !known_bad {
            let mut sum = AggregateSignature::from_signature(&first.1);
            for (_, signature) in rest {
                sum.add_signature(signature, false).ok()?;
            }
            let signers = shares.iter().map(|(signer, _)| *signer).collect();
            if self
                .ring
                .holds(signers, self.statement, &sum.to_signature())
            {
                return Some(sum);
            }
        }
        if rest.is_empty() {
            self.bad.insert(first.0);
            return None;
        }
        let (left, right) = shares.split_at(shares.len() / 2);
        let bad_before = self.bad;
        let left_sum = self.sum_of_good(left, false);
        let left_is_clean = self.bad == bad_before;
        let right_sum = self.sum_of_good(right, left_is_clean);
        match (left_sum, right_sum) {
            (Some(mut sum), Some(right)) => {
                sum.add_aggregate(&right);
                Some(sum)
            }
            (left, right) => left.or(right),
        }
    }
}

/// The vote key and the identity key: nobody can present another's vote key with its proof.
fn possession_message(vote_key: &[u8], identity_key: &[u8; 32]) -> Vec<u8> {
    [b"reforge possession v1", vote_key, identity_key].concat()
}

fn check_member(member: &Member, replica: ReplicaId) -> Result<PublicKey, KeyError> {
    let key = match member.vote_key.len() {
        KEY_LEN => PublicKey::key_validate(&member.vote_key).ok(),
        _ => None,
    };
    let key = key.ok_or(KeyError::BadKey {
        replica,
        what: "vote_key",
    })?;
    let message = possession_message(&member.vote_key, &member.identity_key);
    let proof = decode_signature(&member.possession);
    let proved = proof.is_some_and(|proof| {
        proof.verify(true, &message, DST_POSSESSION, &[], &key, false) == BLST_ERROR::BLST_SUCCESS
    });
    match proved {
        true => Ok(key),
        false => Err(KeyError::Possession { replica }),
    }
}

/// Decodes without the subgroup check, which [`BlsRing::holds`] and the batch do.
fn decode_signature(bytes: &[u8]) -> Option<Signature> {
    match bytes.len() {
        SIGNATURE_LEN => Signature::uncompress(bytes).ok(),
        _ => None,
    }
}

/// One claim of a batch, ready for the pairing; its signature is in the subgroup.
struct Term<'a> {
    at: usize,
    signers: SignerSet,
    key: PublicKey,
    signature: Signature,
    scalar: [u8; COEFFICIENT_BITS / 8],
    statement: &'a [u8],
}

fn find_bad_terms(ring: &BlsRing, terms: &[Term<'_>], known_bad: bool, bad: &mut Vec<usize>) {
    if terms.is_empty() || (!known_bad && terms_hold(ring, terms)) {
        return;
    }
    if let [term] = terms {
        bad.push(term.at);
        return;
    }
    let (left, right) = terms.split_at(terms.len() / 2);
    let bad_before = bad.len();
    find_bad_terms(ring, left, false, bad);
    find_bad_terms(ring, right, bad.len() == bad_before, bad);
}

fn terms_hold(ring: &BlsRing, terms: &[Term<'_>]) -> bool {
    if let [term] = terms {
        return ring.holds(term.signers, term.statement, &term.signature);
    }
    let mut pairing = Pairing::new(true, DST_VOTE);
    let added = terms.iter().all(|term| {
        let key: &blst_p2_affine = (&term.key).into();
        let signature: &blst_p1_affine = (&term.signature).into();
        let error = pairing.mul_n_aggregate(
            key,
            false,
            signature,
            false,
            &term.scalar,
            COEFFICIENT_BITS,
            term.statement,
            &[],
        );
        error == BLST_ERROR::BLST_SUCCESS
    });
    pairing.commit();
    added && pairing.finalverify(None)
}

/// One non-zero coefficient per claim: a hash of all claims, expanded.
fn coefficients(claims: &[Claim<'_>]) -> Vec<[u8; COEFFICIENT_BITS / 8]> {
    let mut hasher = blake3::Hasher::new_derive_key("reforge bls batch v1");
    for claim in claims {
        for part in [&claim.statement[..], &claim.multisig.bytes] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.update(&claim.multisig.signers.0.to_le_bytes());
    }
    let mut stream = hasher.finalize_xof();
    let one = |_: &Claim<'_>| {
        let mut scalar = [0; COEFFICIENT_BITS / 8];
        stream.fill(&mut scalar);
        scalar[0] |= 1;
        scalar
    };
    claims.iter().map(one).collect()
}

#[cfg(test)]
mod tests;
