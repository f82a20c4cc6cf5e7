//! Keys, signatures and their domains; certificates put together and taken apart. This room alone
//! states that a value is [`types::Verified`].
//!
//! [`Engine`] holds the keys of one committee and answers [`Job`]s with [`Done`]s: a pure,
//! thread-safe function, so that the node may run it inline, on a helper thread or in a simulated
//! world. What is signed stands in [`types::statement`]; how, in [`VoteScheme`].

// The one room that may attest: everywhere else `clippy.toml` forbids it.
#![allow(clippy::disallowed_methods)]

mod aggregate;
mod batch;
mod bls;
mod cache;
mod certificates;
mod client;
mod ed25519;
mod engine;
mod error;
mod evidence;
mod hex;
mod job;
mod keyfile;
mod keys;
mod list;
mod pairing;
mod proof;
mod recovery;
mod scheme;
mod verify;

pub use bls::Bls;
pub use client::{ClientKey, verify_group};
pub use ed25519::{Ed25519, Ed25519Key};
pub use engine::Engine;
pub use error::{KeyError, KeyFileError, ProofReject, Reject};
pub use job::{Done, Job};
pub use keyfile::{load_committee, load_secrets, secret_path, write_keygen};
pub use keys::{Addresses, Secrets, committee_of, keygen};
pub use list::Ed25519Lists;
pub use scheme::{Aggregate, Claim, IdentityScheme, Signed, VoteScheme};

#[cfg(test)]
mod fixture;
