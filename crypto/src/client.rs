//! Clients that sign their groups: one Ed25519 signature per group, checked by every replica alike.

use std::fmt;

use ed25519_dalek::SigningKey;
use types::batch::{Group, SessionId, session_of, signed_bytes};
use types::{ClusterId, Epoch};

use crate::ed25519::{Ed25519, Ed25519Key};
use crate::error::{KeyError, Reject};
use crate::keys::random_seed;
use crate::scheme::{IdentityScheme, Signed};

const WHAT: &str = "batch";

/// Session key of a client. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct ClientKey {
    secret: SigningKey,
    public: [u8; 32],
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKey(redacted)")
    }
}

impl ClientKey {
    /// A new one from the operating system's randomness.
    pub fn generate() -> Result<ClientKey, KeyError> {
        Ok(ClientKey::from_seed(&*random_seed()?))
    }

    pub fn from_seed(seed: &[u8; 32]) -> ClientKey {
        let secret = Ed25519::secret(seed);
        let public = Ed25519::public_key(&secret);
        ClientKey { secret, public }
    }

    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The session that belongs to this key.
    pub fn session(&self) -> SessionId {
        session_of(&self.public)
    }

    /// Signs what [`types::batch::GroupBuilder::finish_signed`] asks for.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        Ed25519::sign(&self.secret, bytes)
    }
}

/// Checks one group at the door: that it is signed, by the key which its session belongs to.
pub fn verify_group(cluster: &ClusterId, group: &Group<'_>) -> bool {
    let Some(auth) = group.auth else { return false };
    let statement = signed_bytes(cluster, &group.session, group.body);
    session_of(auth.key) == group.session
        && Ed25519Key::decode(auth.key)
            .is_some_and(|key| Ed25519::verify(&key, &statement, auth.signature))
}

/// Checks every group of a batch of `signed` clients as [`verify_group`] does, signatures all at once.
/// Returns the number of transactions.
pub(crate) fn check_groups(epoch: &Epoch, batch: &[u8]) -> Result<u32, Reject> {
    let malformed = |why| Reject::Malformed { what: WHAT, why };
    let mut rest = batch;
    let mut txs = 0u32;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let group = Group::take(&mut rest).map_err(|_| malformed("bad structure of a group"))?;
        let auth = group.auth.ok_or(malformed("a group is not signed"))?;
        if session_of(auth.key) != group.session {
            return Err(malformed("a session belongs to another key"));
        }
        let key = Ed25519Key::decode(auth.key).ok_or(malformed("bad key of a group"))?;
        let statement = signed_bytes(&epoch.cluster, &group.session, group.body);
        parts.push((key, statement, auth.signature));
        txs = txs.saturating_add(group.count);
    }
    let items: Vec<_> = parts
        .iter()
        .map(|(key, statement, signature)| Signed {
            key,
            statement,
            signature,
        })
        .collect();
    match Ed25519::all_hold(&items) {
        true => Ok(txs),
        false => Err(Reject::Signature { what: WHAT }),
    }
}

#[cfg(test)]
mod tests;
