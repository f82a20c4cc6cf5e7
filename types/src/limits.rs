//! A bound on every length that arrives from outside. Decoders refuse what exceeds them before they
//! allocate.

/// Largest committee: signer sets are one `u128`.
pub const REPLICAS_MAX: usize = 128;
/// Longest single signature or share (Ed25519 64 B, BLS `min_sig` 48 B).
pub const SIGNATURE_LEN_MAX: usize = 64;
/// Longest aggregate: a list of Ed25519 signatures of a whole committee.
pub const MULTISIG_LEN_MAX: usize = REPLICAS_MAX * SIGNATURE_LEN_MAX;
/// Largest batch of client groups, in bytes.
pub const BATCH_LEN_MAX: usize = 2 << 20;
/// Most batches that one car may name.
pub const CAR_BATCHES_MAX: usize = 64;
/// Most headers in one answer to a chain request.
pub const CHAIN_HEADERS_MAX: usize = 64;
/// Most bytes of headers in one answer to a chain request (soft: one header is always sent).
pub const CHAIN_BYTES_MAX: usize = 1 << 20;
/// Most cars in one answer to a car request.
pub const CARS_MAX: usize = 128;
/// Most digests in one batch request.
pub const BATCH_REQUEST_MAX: usize = 64;
/// Bytes of a snapshot in one chunk.
pub const SNAPSHOT_CHUNK_LEN_MAX: usize = 1 << 20;
/// Largest state that a snapshot transfer accepts, in bytes.
pub const SNAPSHOT_LEN_MAX: u64 = 4 << 30;
/// Most headers from an executed block to the directly committed one in a commit proof.
pub const PROOF_CHAIN_MAX: usize = 256;
/// Longest transaction payload, in bytes.
pub const TX_LEN_MAX: usize = 256 << 10;
/// Most transactions in one group.
pub const GROUP_TXS_MAX: usize = 65_536;
/// Most result entries in one receipt frame.
pub const RECEIPTS_MAX: usize = 1 << 20;
/// Longest frame between replicas, in bytes.
pub const PEER_FRAME_LEN_MAX: usize = 4 << 20;
/// Longest frame from a client, in bytes.
pub const CLIENT_FRAME_LEN_MAX: usize = 1 << 20;
/// Most proofs of fraud in one message or recovery value: one pair of certificates convicts many.
pub const FRAUDS_MAX: usize = 64;
