//! Payloads, queries and answers of `kv`.
//!
//! ```text
//! put      := 0x01 key_len:u8 key value          (the value is the rest, perhaps empty)
//! get      := 0x02 key_len:u8 key
//! transfer := 0x03 from:u64 to:u64 amount:u64    (little-endian, exactly 25 bytes)
//!
//! query    := get | 0x04 account:u64
//! answer   := 0x00 (absent) | 0x01 value | 0xff (malformed query)
//! ```
//! `key_len` is 1–64. Anything else is malformed.

use bytes::Bytes;

/// Longest key, in bytes.
pub const KEY_LEN_MAX: usize = 64;

const PUT: u8 = 1;
const GET: u8 = 2;
const TRANSFER: u8 = 3;
const BALANCE: u8 = 4;

/// Appends `put(key, value)`; the key must be of 1–64 bytes or replicas will reject it.
pub fn put(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[PUT, key.len() as u8]);
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}

/// Appends `get(key)`, as an operation or as a query.
pub fn get(key: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[GET, key.len() as u8]);
    out.extend_from_slice(key);
}

/// Appends `transfer(from, to, amount)`.
pub fn transfer(from: u64, to: u64, amount: u64, out: &mut Vec<u8>) {
    out.push(TRANSFER);
    for word in [from, to, amount] {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

/// Appends the query for an account's balance.
pub fn balance(account: u64, out: &mut Vec<u8>) {
    out.push(BALANCE);
    out.extend_from_slice(&account.to_le_bytes());
}

/// A parsed operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload<'a> {
    /// `record` is the payload without its tag: the form in which it is stored.
    Put {
        record: &'a [u8],
        key: &'a [u8],
    },
    Get,
    Transfer {
        from: u64,
        to: u64,
        amount: u64,
    },
}

impl<'a> Payload<'a> {
    #[inline]
    pub(crate) fn parse(payload: &'a [u8]) -> Option<Payload<'a>> {
        let (tag, rest) = payload.split_first()?;
        match *tag {
            PUT => Some(Payload::Put {
                record: rest,
                key: key_of(rest)?,
            }),
            GET => whole_key(rest).map(|_| Payload::Get),
            TRANSFER => {
                let (words, rest) = rest.as_chunks::<8>();
                match (words, rest) {
                    ([from, to, amount], []) => Some(Payload::Transfer {
                        from: u64::from_le_bytes(*from),
                        to: u64::from_le_bytes(*to),
                        amount: u64::from_le_bytes(*amount),
                    }),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// A parsed query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Query<'a> {
    Value { key: &'a [u8] },
    Balance { account: u64 },
}

impl<'a> Query<'a> {
    pub(crate) fn parse(query: &'a [u8]) -> Option<Query<'a>> {
        let (tag, rest) = query.split_first()?;
        match *tag {
            GET => whole_key(rest).map(|key| Query::Value { key }),
            BALANCE => Some(Query::Balance {
                account: u64::from_le_bytes(rest.try_into().ok()?),
            }),
            _ => None,
        }
    }
}

/// The key of `key_len key …`.
pub(crate) fn key_of(record: &[u8]) -> Option<&[u8]> {
    let (len, rest) = record.split_first()?;
    match usize::from(*len) {
        len @ 1..=KEY_LEN_MAX => rest.get(..len),
        _ => None,
    }
}

fn whole_key(record: &[u8]) -> Option<&[u8]> {
    key_of(record).filter(|key| key.len() + 1 == record.len())
}

pub(crate) fn answer(value: Option<&[u8]>) -> Bytes {
    match value {
        None => Bytes::from_static(&[0]),
        Some(value) => {
            let mut out = Vec::with_capacity(1 + value.len());
            out.push(1);
            out.extend_from_slice(value);
            Bytes::from(out)
        }
    }
}

pub(crate) fn answer_malformed() -> Bytes {
    Bytes::from_static(&[0xff])
}
