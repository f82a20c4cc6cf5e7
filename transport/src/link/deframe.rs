//! From a stream of bytes to verified frames, each in one allocation.
//!
//! Lengths are checked before anything is allocated. A large frame is read straight into its own
//! buffer; it is hashed or decrypted while it arrives.

use super::seal::{CHUNK_LEN, HEADER_LEN, Header, Opener, TAG_LEN};
use crate::{DownReason, Received};
use bytes::Bytes;
use smallvec::SmallVec;
use std::mem::MaybeUninit;

/// Shorter rests are cheaper to copy from the shared read buffer.
pub(crate) const DIRECT_MIN: usize = 16 << 10;
/// First buffer of an unknown sender's frame.
const GROW_MIN: usize = 64 << 10;
/// Hash in steps that use all lanes of the CPU and are still in cache.
const HASH_STEP: usize = 64 << 10;

type Sink<'a> = &'a mut dyn FnMut(Received);

pub(crate) struct Deframer {
    opener: Opener,
    len_max: usize,
    grow: bool,
    header: SmallVec<[u8; HEADER_LEN + TAG_LEN]>,
    partial: Option<Partial>,
}

/// A frame that has not arrived completely.
struct Partial {
    header: Header,
    /// Bytes of the sealed payload with its tags.
    sealed_len: usize,
    buffer: Vec<u8>,
    /// MAC: bytes of `buffer` hashed. AEAD: chunks opened.
    done: usize,
    hasher: Option<Box<blake3::Hasher>>,
}

impl Deframer {
    pub(crate) fn new(opener: Opener, len_max: usize, grow: bool) -> Self {
        Self {
            opener,
            len_max,
            grow,
            header: SmallVec::new(),
            partial: None,
        }
    }

    /// Whether an end of the stream here would cut a frame.
    pub(crate) fn in_frame(&self) -> bool {
        self.partial.is_some() || !self.header.is_empty()
    }

    /// Consumes the initiator's empty first frame, and nothing else; true once it is proven.
    pub(crate) fn confirm(&mut self, data: &mut &[u8]) -> Result<bool, DownReason> {
        super::take(&mut self.header, data, HEADER_LEN + TAG_LEN);
        if let Some(bytes) = self.header.first_chunk::<HEADER_LEN>()
            && *bytes != [0; HEADER_LEN]
        {
            return Err(DownReason::BadFrame);
        }
        if self.header.len() < HEADER_LEN + TAG_LEN {
            return Ok(false);
        }
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&self.header[HEADER_LEN..]);
        self.header.clear();
        let header = Header {
            len: 0,
            head_len: 0,
        };
        self.opener.open_whole(header, &tag).map(|_| true)
    }

    pub(crate) fn feed(&mut self, mut data: &[u8], out: Sink<'_>) -> Result<(), DownReason> {
        while !data.is_empty() {
            if self.partial.is_none() {
                let Some(header) = self.read_header(&mut data)? else {
                    return Ok(());
                };
                let sealed_len = self.opener.sealed_len(header.len as usize);
                if let Some(sealed) = data.get(..sealed_len) {
                    out(self.opener.open_whole(header, sealed)?);
                    data = &data[sealed_len..];
                    continue;
                }
                self.partial = Some(Partial::new(header, sealed_len));
            }
            let Some(partial) = &mut self.partial else {
                return Ok(());
            };
            let take_len = (partial.sealed_len - partial.buffer.len()).min(data.len());
            partial.reserve(take_len, self.grow);
            partial.buffer.extend_from_slice(&data[..take_len]);
            data = &data[take_len..];
            self.progress(out)?;
        }
        Ok(())
    }

    fn read_header(&mut self, data: &mut &[u8]) -> Result<Option<Header>, DownReason> {
        super::take(&mut self.header, data, HEADER_LEN);
        let Some(bytes) = self.header.first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let header = Header::decode(bytes, self.len_max)?;
        // Only the confirmation is empty; more of them would be work without a meaning.
        if header.len == 0 {
            return Err(DownReason::BadFrame);
        }
        self.header.clear();
        Ok(Some(header))
    }

    /// Hashes or decrypts what arrived, and hands out the frame once it is whole.
    fn progress(&mut self, out: Sink<'_>) -> Result<(), DownReason> {
        let Some(partial) = &mut self.partial else {
            return Ok(());
        };
        let whole = partial.buffer.len() == partial.sealed_len;
        match &mut self.opener {
            Opener::Mac { .. } => partial.hash(whole),
            Opener::Aead { key, sequence } => {
                let (len, header) = (partial.buffer.len(), partial.header);
                while !whole || partial.done * (CHUNK_LEN + TAG_LEN) < len {
                    let end = (partial.done + 1) * (CHUNK_LEN + TAG_LEN);
                    if end > len && !whole {
                        break;
                    }
                    let start = partial.done * CHUNK_LEN;
                    let buffer = &mut partial.buffer[start..end.min(len)];
                    Opener::open_chunk(key, sequence, header, buffer, partial.done * TAG_LEN)?;
                    partial.done += 1;
                }
            }
        }
        if whole && let Some(partial) = self.partial.take() {
            out(self.finish(partial)?);
        }
        Ok(())
    }

    fn finish(&mut self, partial: Partial) -> Result<Received, DownReason> {
        let Partial {
            header,
            mut buffer,
            hasher,
            ..
        } = partial;
        let (len, head_len) = (header.len as usize, usize::from(header.head_len));
        let mut body_hash = None;
        if let Opener::Mac { key, sequence } = &mut self.opener {
            body_hash = hasher.map(|hasher| *hasher.finalize().as_bytes());
            let tag = Opener::mac(
                key,
                *sequence,
                header,
                &buffer[..head_len],
                body_hash.as_ref(),
            );
            check_tag(&tag, &buffer[len..])?;
            *sequence += 1;
        }
        buffer.truncate(len);
        Ok(Received {
            bytes: buffer.into(),
            head_len,
            body_hash,
        })
    }

    /// Room for the rest of a large frame.
    pub(crate) fn direct(&mut self) -> Option<&mut [MaybeUninit<u8>]> {
        let grow = self.grow;
        let partial = self.large()?;
        partial.reserve(DIRECT_MIN, grow);
        let rest = partial.sealed_len - partial.buffer.len();
        let spare = partial.buffer.spare_capacity_mut();
        let len = rest.min(spare.len());
        Some(&mut spare[..len])
    }

    /// # Safety
    /// `len` bytes were written to the front of what [`Deframer::direct`] just returned.
    pub(crate) unsafe fn direct_filled(
        &mut self,
        len: usize,
        out: Sink<'_>,
    ) -> Result<(), DownReason> {
        if let Some(partial) = &mut self.partial {
            let filled = partial.buffer.len() + len;
            assert!(filled <= partial.sealed_len && filled <= partial.buffer.capacity());
            // SAFETY: within the capacity, and initialised as the caller promised.
            unsafe { partial.buffer.set_len(filled) };
        }
        self.progress(out)
    }

    /// The buffer of a large frame; its spare capacity up to `sealed_len` may be filled.
    pub(crate) fn take_buffer(&mut self) -> Option<Vec<u8>> {
        let grow = self.grow;
        let partial = self.large()?;
        partial.reserve(DIRECT_MIN, grow);
        Some(std::mem::take(&mut partial.buffer))
    }

    pub(crate) fn put_buffer(&mut self, buffer: Vec<u8>, out: Sink<'_>) -> Result<(), DownReason> {
        let Some(partial) = &mut self.partial else {
            return Err(DownReason::BadFrame);
        };
        // An owned read may have gone beyond the frame: what is too much belongs to the next one.
        let excess = buffer
            .get(partial.sealed_len..)
            .unwrap_or_default()
            .to_vec();
        partial.buffer = buffer;
        partial.buffer.truncate(partial.sealed_len);
        self.progress(out)?;
        self.feed(&excess, out)
    }

    fn large(&mut self) -> Option<&mut Partial> {
        self.partial
            .as_mut()
            .filter(|p| p.sealed_len - p.buffer.len() >= DIRECT_MIN)
    }
}

impl Partial {
    fn new(header: Header, sealed_len: usize) -> Self {
        Self {
            header,
            sealed_len,
            buffer: Vec::new(),
            done: 0,
            hasher: None,
        }
    }

    /// Known peers get the frame's exact size at once; unknown ones what they have paid for.
    fn reserve(&mut self, more: usize, grow: bool) {
        let len = self.buffer.len();
        if self.buffer.capacity() - len >= more.min(self.sealed_len - len) {
            return;
        }
        let target = if grow {
            (len * 2).max(len + more).max(GROW_MIN)
        } else {
            usize::MAX
        };
        self.buffer.reserve_exact(target.min(self.sealed_len) - len);
    }

    fn hash(&mut self, whole: bool) {
        if !self.header.has_body() {
            return;
        }
        let head_len = usize::from(self.header.head_len);
        let arrived = self.buffer.len().min(self.header.len as usize);
        let start = self.done.max(head_len);
        // BLAKE3 hashes many chunks at once only while it stands at a multiple of their number.
        let end = match whole {
            true => arrived,
            false => arrived - arrived.saturating_sub(head_len) % HASH_STEP,
        };
        if whole || end >= start + HASH_STEP {
            let hasher = self.hasher.get_or_insert_with(Box::default);
            hasher.update(&self.buffer[start..end]);
            self.done = end;
        }
    }
}

impl Opener {
    /// A frame that lies complete in the read buffer: one copy, one allocation.
    fn open_whole(&mut self, header: Header, sealed: &[u8]) -> Result<Received, DownReason> {
        let (len, head_len) = (header.len as usize, usize::from(header.head_len));
        match self {
            Opener::Mac { key, sequence } => {
                let (payload, sent_tag) = sealed.split_at(len);
                let (head, body) = payload.split_at(head_len);
                let body_hash = header.has_body().then(|| *blake3::hash(body).as_bytes());
                check_tag(
                    &Self::mac(key, *sequence, header, head, body_hash.as_ref()),
                    sent_tag,
                )?;
                *sequence += 1;
                Ok(Received {
                    bytes: Bytes::copy_from_slice(payload),
                    head_len,
                    body_hash,
                })
            }
            Opener::Aead { key, sequence } => {
                let mut buffer = sealed.to_vec();
                let mut done = 0;
                while done == 0 || done * (CHUNK_LEN + TAG_LEN) < sealed.len() {
                    let end = ((done + 1) * (CHUNK_LEN + TAG_LEN)).min(sealed.len());
                    let chunk = &mut buffer[done * CHUNK_LEN..end];
                    Self::open_chunk(key, sequence, header, chunk, done * TAG_LEN)?;
                    done += 1;
                }
                buffer.truncate(len);
                Ok(Received {
                    bytes: buffer.into(),
                    head_len,
                    body_hash: None,
                })
            }
        }
    }
}

/// In constant time: how far a forged tag was right must not be measurable.
fn check_tag(expected: &[u8; TAG_LEN], found: &[u8]) -> Result<(), DownReason> {
    let difference = match found.len() == TAG_LEN {
        true => expected
            .iter()
            .zip(found)
            .fold(0, |sum, (a, b)| sum | (a ^ b)),
        false => 1,
    };
    match std::hint::black_box(difference) {
        0 => Ok(()),
        _ => Err(DownReason::BadMac),
    }
}
