//! Batches are concatenated client groups, exactly as the clients sent them: the replica that packs
//! them copies bytes and touches no transaction.
//!
//! ```text
//! group := session[16] auth:u8 [key[32] signature[64]] body_len:u32 body
//! body  := count:u32 { seq:u64 len:u32 payload[len] }*count
//! ```
//! `auth` is 0 (unsigned) or 1 (Ed25519 of the session key over [`signed_bytes`]; the session is
//! then the first 16 bytes of the key's hash, so nobody else can use its sequence numbers).

use crate::codec::CodecError;
use crate::ids::{BatchDigest, ClusterId, Digest};
use crate::limits::{GROUP_TXS_MAX, TX_LEN_MAX};

/// Name of a client session.
pub type SessionId = [u8; 16];

/// Bytes of a transaction before its payload.
const TX_HEAD_LEN: usize = 12;

/// One transaction inside a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxRef<'a> {
    pub seq: u64,
    pub payload: &'a [u8],
}

/// One group inside a batch; its structure was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group<'a> {
    pub session: SessionId,
    pub auth: Option<GroupAuth<'a>>,
    /// `count` and the transactions.
    pub body: &'a [u8],
    pub count: u32,
}

/// Key and signature of a signed group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupAuth<'a> {
    pub key: &'a [u8; 32],
    pub signature: &'a [u8; 64],
}

/// The session that belongs to a client key.
pub fn session_of(key: &[u8; 32]) -> SessionId {
    let digest = Digest::of("reforge client session v1", key);
    let mut session = [0; 16];
    session.copy_from_slice(&digest.0[..16]);
    session
}

/// What a session key signs: the hash of the body under a domain with the cluster's id.
pub fn signed_bytes(cluster: &ClusterId, session: &SessionId, body: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("reforge client group v1");
    hasher.update(&cluster.0.0);
    hasher.update(session);
    hasher.update(body);
    *hasher.finalize().as_bytes()
}

/// The name of a batch.
pub fn digest(bytes: &[u8]) -> BatchDigest {
    BatchDigest(Digest(*blake3::hash(bytes).as_bytes()))
}

fn cut<'a>(what: &'static str, from: &mut &'a [u8], len: usize) -> Result<&'a [u8], CodecError> {
    match from.split_at_checked(len) {
        Some((head, tail)) => {
            *from = tail;
            Ok(head)
        }
        None => Err(CodecError::Short {
            what,
            needed: len,
            left: from.len(),
        }),
    }
}

fn cut_array<'a, const N: usize>(
    what: &'static str,
    from: &mut &'a [u8],
) -> Result<&'a [u8; N], CodecError> {
    let short = CodecError::Short {
        what,
        needed: N,
        left: from.len(),
    };
    cut(what, from, N)?.try_into().map_err(|_| short)
}

fn cut_u32(what: &'static str, from: &mut &[u8]) -> Result<u32, CodecError> {
    Ok(u32::from_le_bytes(*cut_array(what, from)?))
}

impl<'a> Group<'a> {
    /// Takes the next group off `bytes` and checks the bounds of everything in it.
    pub fn take(bytes: &mut &'a [u8]) -> Result<Group<'a>, CodecError> {
        let session = *cut_array("session", bytes)?;
        let auth = match cut_array::<1>("group auth", bytes)?[0] {
            0 => None,
            1 => Some(GroupAuth {
                key: cut_array("group key", bytes)?,
                signature: cut_array("group signature", bytes)?,
            }),
            found => {
                return Err(CodecError::BadTag {
                    what: "group auth",
                    found,
                });
            }
        };
        let body_len = cut_u32("group body", bytes)? as usize;
        let body = cut("group body", bytes, body_len)?;
        let mut rest = body;
        let count = cut_u32("group count", &mut rest)?;
        if count as usize > GROUP_TXS_MAX {
            return Err(CodecError::TooLong {
                what: "group",
                found: count as usize,
                limit: GROUP_TXS_MAX,
            });
        }
        for _ in 0..count {
            if next_tx(&mut rest).is_none() {
                take_bad_tx(&mut rest)?;
            }
        }
        match rest.len() {
            0 => Ok(Group {
                session,
                auth,
                body,
                count,
            }),
            left => Err(CodecError::Trailing { left }),
        }
    }

    /// The transactions, in order.
    pub fn txs(&self) -> impl Iterator<Item = TxRef<'a>> + use<'a> {
        let mut rest = self.body.get(4..).unwrap_or_default();
        (0..self.count).map_while(move |_| next_tx(&mut rest))
    }
}

/// Every transaction is looked at twice (checked, then executed): the good case in one comparison per
/// part, what is wrong with a bad one is found out apart from it.
#[inline]
fn next_tx<'a>(rest: &mut &'a [u8]) -> Option<TxRef<'a>> {
    let (head, tail) = rest.split_first_chunk::<TX_HEAD_LEN>()?;
    let [s0, s1, s2, s3, s4, s5, s6, s7, l0, l1, l2, l3] = *head;
    let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if len > TX_LEN_MAX {
        return None;
    }
    let (payload, tail) = tail.split_at_checked(len)?;
    *rest = tail;
    Some(TxRef {
        seq: u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
        payload,
    })
}

/// The error that [`next_tx`] keeps to itself.
#[cold]
fn take_bad_tx<'a>(rest: &mut &'a [u8]) -> Result<TxRef<'a>, CodecError> {
    let seq = u64::from_le_bytes(*cut_array("sequence number", rest)?);
    let len = cut_u32("transaction", rest)? as usize;
    if len > TX_LEN_MAX {
        return Err(CodecError::TooLong {
            what: "transaction",
            found: len,
            limit: TX_LEN_MAX,
        });
    }
    Ok(TxRef {
        seq,
        payload: cut("transaction", rest, len)?,
    })
}

/// Checks the structure of a whole batch; the number of its transactions.
pub fn validate(mut bytes: &[u8]) -> Result<u32, CodecError> {
    let mut txs = 0u32;
    while !bytes.is_empty() {
        txs = txs.saturating_add(Group::take(&mut bytes)?.count);
    }
    Ok(txs)
}

/// The groups of a batch. A batch that fails [`validate`] ends at its first bad group, at every
/// replica alike.
pub fn groups(mut bytes: &[u8]) -> impl Iterator<Item = Group<'_>> {
    std::iter::from_fn(move || match bytes.is_empty() {
        true => None,
        false => Group::take(&mut bytes).map_err(|_| bytes = &[]).ok(),
    })
}

/// Writes one group; `sign` is given [`signed_bytes`] and returns key and signature.
#[derive(Debug, Default)]
pub struct GroupBuilder {
    body: Vec<u8>,
    count: u32,
}

impl GroupBuilder {
    pub fn new() -> GroupBuilder {
        GroupBuilder {
            body: vec![0; 4],
            count: 0,
        }
    }

    pub fn push(&mut self, seq: u64, payload: &[u8]) {
        if self.body.is_empty() {
            self.body.resize(4, 0);
        }
        self.body.extend_from_slice(&seq.to_le_bytes());
        self.body
            .extend_from_slice(&(payload.len() as u32).to_le_bytes());
        self.body.extend_from_slice(payload);
        self.count += 1;
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    pub fn len_bytes(&self) -> usize {
        self.body.len()
    }

    /// Appends the unsigned group to `out` and starts anew.
    pub fn finish(&mut self, session: &SessionId, out: &mut Vec<u8>) {
        self.seal();
        out.extend_from_slice(session);
        out.push(0);
        self.write_body(out);
    }

    /// Appends the group signed with `key` to `out` and starts anew.
    pub fn finish_signed(
        &mut self,
        cluster: &ClusterId,
        key: &[u8; 32],
        sign: impl FnOnce(&[u8]) -> [u8; 64],
        out: &mut Vec<u8>,
    ) {
        self.seal();
        let session = session_of(key);
        let signature = sign(&signed_bytes(cluster, &session, &self.body));
        out.extend_from_slice(&session);
        out.push(1);
        out.extend_from_slice(key);
        out.extend_from_slice(&signature);
        self.write_body(out);
    }

    fn seal(&mut self) {
        if self.body.is_empty() {
            self.body.resize(4, 0);
        }
        self.body[..4].copy_from_slice(&self.count.to_le_bytes());
    }

    fn write_body(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.body.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.body);
        self.body.clear();
        self.body.resize(4, 0);
        self.count = 0;
    }
}
