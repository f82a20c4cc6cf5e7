//! An operation as far as the payload alone tells: read once, hashed once.

use types::client::Outcome;

use super::format::Payload;
use super::{BUCKETS, code};
use crate::hash::{part_of, slot_hash, slot_hash_of};

/// Where a key belongs: its part, and its hash inside of the part's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Home {
    pub part: usize,
    pub hash: u64,
}

/// One account of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Side {
    pub id: u64,
    pub home: Home,
}

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Op<'a>(pub(super) Kind<'a>);

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind<'a> {
    Put {
        record: &'a [u8],
        key: &'a [u8],
        home: Home,
    },
    Transfer {
        from: Side,
        to: Side,
        amount: u64,
    },
    /// The state has no say.
    Settled(Outcome),
}

impl Home {
    pub fn of_key(key: &[u8]) -> Home {
        Home {
            part: part_of(key, BUCKETS),
            hash: slot_hash(key),
        }
    }

    pub fn of_account(id: u64) -> Home {
        Home {
            part: part_of(&id.to_le_bytes(), BUCKETS),
            hash: slot_hash_of(id),
        }
    }
}

impl Side {
    pub fn of(id: u64) -> Side {
        let home = Home::of_account(id);
        Side { id, home }
    }
}

impl<'a> Op<'a> {
    #[inline]
    pub(super) fn read(payload: &'a [u8]) -> Op<'a> {
        Op(match Payload::parse(payload) {
            Some(Payload::Put { record, key }) => Kind::Put {
                record,
                key,
                home: Home::of_key(key),
            },
            Some(Payload::Transfer { from, to, amount }) => Kind::Transfer {
                from: Side::of(from),
                to: Side::of(to),
                amount,
            },
            // An ordered read changes nothing; its answer comes from a query.
            Some(Payload::Get) => Kind::Settled(Outcome::Applied),
            None => Kind::Settled(Outcome::Rejected(code::MALFORMED)),
        })
    }
}
