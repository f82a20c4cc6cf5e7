//! X25519 keys of links.

use snow::params::DHChoice;
use snow::resolvers::{CryptoResolver, DefaultResolver};

/// The public key of an X25519 private key (any 32 bytes are one).
pub fn public_key(private_key: &[u8; 32]) -> [u8; 32] {
    let dh = DefaultResolver.resolve_dh(&DHChoice::Curve25519);
    let mut dh = dh.expect("snow is built with X25519");
    dh.set(private_key);
    let mut public_key = [0; 32];
    public_key.copy_from_slice(&dh.pubkey()[..32]);
    public_key
}
