//! The split coalition: replicas that are two at once. Each attacker runs the real driver twice with
//! one set of keys; face A talks to the correct replicas of side A and to the other attackers' faces
//! A, face B likewise. Neither face ever lies by itself: with enough attackers and no talk between
//! the sides, both histories commit, and only both together convict.

mod face;
mod two_faced;

use types::{Message, SignerSet};

use crate::acts::Plan;

pub use face::FacePlatform;
pub use two_faced::{Face, Maker, TwoFaced};

/// Face A is the first everywhere, face B the second.
pub const A: usize = 0;
pub const B: usize = 1;

/// What an attacker does once the sides talk to each other again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Says nothing any more.
    Silent,
    /// Both faces go on as before.
    Run,
    /// Face A talks to everybody as if nothing had been, committing these acts.
    Join(Plan),
}

/// Who is told what, and when, in nanoseconds of the attacker's own clock.
#[derive(Debug, Clone, Copy)]
pub struct SplitPlan {
    /// The correct replicas that each face talks to.
    pub sides: [SignerSet; 2],
    /// The other attackers.
    pub allies: SignerSet,
    /// Which faces this attacker has: with one only, it lies to nobody but hides from one side.
    pub faces: [bool; 2],
    /// Until then one honest face talks to everybody. Another attacker's face B is a call to split.
    pub split_ns: u64,
    /// From the split on side B hears nothing for this long.
    pub late_ns: u64,
    /// The histories commit in different views: face A orders no more when face B starts, and face B helps no
    /// certificate before a view that face A never saw. What convicts is then no double vote but a
    /// broken lock or a stale timeout.
    pub apart: bool,
    /// The attack is over then, or when a correct replica shows a proof of it.
    pub heal_ns: u64,
    pub after: After,
    /// What the faces do besides, before the attack is over.
    pub during: Plan,
}

/// Frames among attackers begin with this, the number of the face added.
const FACE_TAG: u8 = 0xf0;

/// Tags of messages that only somebody who knows of the split sends.
fn is_proof(frame: &[u8]) -> bool {
    const CONFLICT: u8 = 20;
    const FRAUDS: u8 = 23;
    const RESUMPTION: u8 = 27;
    matches!(frame.first(), Some(&(CONFLICT | FRAUDS | RESUMPTION)))
}

/// The frame of `message` for the same face of another attacker.
fn tagged(face: usize, message: &Message) -> bytes::Bytes {
    use types::Wire;
    let mut out = vec![FACE_TAG + face as u8];
    message.put(&mut out);
    out.into()
}

/// The face that a frame of another attacker is for, and the message.
fn untagged(frame: &bytes::Bytes) -> Option<(usize, bytes::Bytes)> {
    let face = usize::from(frame.first()?.checked_sub(FACE_TAG)?);
    (face <= B).then(|| (face, frame.slice(1..)))
}

#[cfg(test)]
mod tests;
