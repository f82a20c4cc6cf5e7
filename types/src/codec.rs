//! The canonical codec: fixed-width little-endian integers, length-prefixed lists with a bound on
//! each, one encoding per value, no trailing bytes. Decoding shares the input's buffer.

use bytes::{BufMut, Bytes};
use thiserror::Error;

use crate::ids::*;
use crate::signers::SignerSet;

/// Why bytes are not a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CodecError {
    #[error("{what}: needs {needed} bytes, {left} are left")]
    Short {
        what: &'static str,
        needed: usize,
        left: usize,
    },
    #[error("{what}: length {found} exceeds the limit of {limit}")]
    TooLong {
        what: &'static str,
        found: usize,
        limit: usize,
    },
    #[error("{what}: unknown tag {found}")]
    BadTag { what: &'static str, found: u8 },
    #[error("{what}: not canonical ({why})")]
    NotCanonical {
        what: &'static str,
        why: &'static str,
    },
    #[error("{left} bytes follow the value")]
    Trailing { left: usize },
}

/// A value with one canonical encoding.
pub trait Wire: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn take(reader: &mut Reader) -> Result<Self, CodecError>;

    /// The whole encoding as one buffer.
    fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(256);
        self.put(&mut out);
        Bytes::from(out)
    }

    /// Decodes exactly one value: bytes that follow it are an error.
    fn decode(bytes: Bytes) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        let value = Self::take(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// A cursor over shared bytes; slices taken from it share the buffer.
#[derive(Debug, Clone)]
pub struct Reader {
    bytes: Bytes,
}

impl Reader {
    pub fn new(bytes: Bytes) -> Reader {
        Reader { bytes }
    }

    pub fn left(&self) -> usize {
        self.bytes.len()
    }

    pub fn slice(&mut self, what: &'static str, len: usize) -> Result<Bytes, CodecError> {
        if len > self.bytes.len() {
            return Err(CodecError::Short {
                what,
                needed: len,
                left: self.bytes.len(),
            });
        }
        Ok(self.bytes.split_to(len))
    }

    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], CodecError> {
        let mut out = [0; N];
        if N > self.bytes.len() {
            return Err(CodecError::Short {
                what,
                needed: N,
                left: self.bytes.len(),
            });
        }
        out.copy_from_slice(&self.bytes[..N]);
        bytes::Buf::advance(&mut self.bytes, N);
        Ok(out)
    }

    /// A `u32` length prefix of at most `limit`.
    pub fn length(&mut self, what: &'static str, limit: usize) -> Result<usize, CodecError> {
        let found = u32::from_le_bytes(self.array(what)?) as usize;
        if found > limit {
            return Err(CodecError::TooLong { what, found, limit });
        }
        Ok(found)
    }

    /// A length-prefixed byte string of at most `limit`.
    pub fn byte_string(&mut self, what: &'static str, limit: usize) -> Result<Bytes, CodecError> {
        let len = self.length(what, limit)?;
        self.slice(what, len)
    }

    /// A length-prefixed list of at most `limit` values.
    pub fn list<T: Wire>(
        &mut self,
        what: &'static str,
        limit: usize,
    ) -> Result<Vec<T>, CodecError> {
        let len = self.length(what, limit)?;
        // Every value takes at least one byte: a short buffer cannot make us reserve much.
        let mut out = Vec::with_capacity(len.min(self.left()));
        for _ in 0..len {
            out.push(T::take(self)?);
        }
        Ok(out)
    }

    /// The rest of the buffer.
    pub fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes)
    }

    pub fn finish(&self) -> Result<(), CodecError> {
        match self.bytes.len() {
            0 => Ok(()),
            left => Err(CodecError::Trailing { left }),
        }
    }
}

pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32_le(bytes.len() as u32);
    out.extend_from_slice(bytes);
}

pub fn put_list<T: Wire>(out: &mut Vec<u8>, list: &[T]) {
    out.put_u32_le(list.len() as u32);
    list.iter().for_each(|value| value.put(out));
}

macro_rules! wire_int {
    ($($int:ty),*) => {$(
        impl Wire for $int {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn take(reader: &mut Reader) -> Result<Self, CodecError> {
                Ok(<$int>::from_le_bytes(reader.array(stringify!($int))?))
            }
        }
    )*};
}
wire_int!(u8, u16, u32, u64, u128);

macro_rules! wire_newtype {
    ($($name:ident),*) => {$(
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }
            fn take(reader: &mut Reader) -> Result<Self, CodecError> {
                Ok($name(Wire::take(reader)?))
            }
        }
    )*};
}
wire_newtype!(
    ClusterId,
    EpochId,
    BlockId,
    CarId,
    BatchDigest,
    View,
    Height,
    ReplicaId,
    SignerSet
);

impl<const N: usize> Wire for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        reader.array("byte array")
    }
}

impl Wire for Digest {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        Ok(Digest(reader.array("digest")?))
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.put(out);
            }
        }
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        match u8::take(reader)? {
            0 => Ok(None),
            1 => Ok(Some(T::take(reader)?)),
            found => Err(CodecError::BadTag {
                what: "option",
                found,
            }),
        }
    }
}

/// Implements [`Wire`] for a struct field by field, in the order given.
#[macro_export]
macro_rules! wire_struct {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::codec::Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::codec::Wire::put(&self.$field, out);)*
            }
            fn take(reader: &mut $crate::codec::Reader) -> Result<Self, $crate::codec::CodecError> {
                Ok($name { $($field: $crate::codec::Wire::take(reader)?),* })
            }
        }
    };
}
