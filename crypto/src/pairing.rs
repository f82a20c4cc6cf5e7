//! Products of pairings against points of G2 that come again and again.
//!
//! Half of a Miller loop is walking its point of G2: the lines depend on that point alone. A vote
//! certificate pairs with the generator and with the sum of its signers' keys, and of a small
//! committee the same few sums come in every view, so the lines are kept. What is left shares its
//! squarings and its final exponentiation among both pairings.
//!
//! blst has the first half (`blst_precompute_lines`) and all field operations, but its loop over kept
//! lines takes one pair only. The loop here is that one, with the steps of all pairs in each round.
#![allow(unsafe_code)]

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use blst::min_sig::{SecretKey, Signature};
use blst::{
    BLS12_381_NEG_G2, blst_fp, blst_fp_add, blst_fp_cneg, blst_fp_mul, blst_fp6, blst_fp12,
    blst_fp12_conjugate, blst_fp12_finalverify, blst_fp12_mul_by_xy00z0, blst_fp12_one,
    blst_fp12_sqr, blst_hash_to_g1, blst_p1, blst_p1_affine, blst_p1_from_affine,
    blst_p1_to_affine, blst_p2_affine, blst_precompute_lines, blst_scalar, blst_sign_pk_in_g2,
};

/// Lines of one point: as many as the loop has doublings (63) and additions (5).
const LINES: usize = 68;
/// Doublings after each addition: the bits of the curve's parameter below its highest two, see
/// `miller_loop_lines` in blst's `pairing.c`. Before the first addition stands one doubling.
const RUNS: [usize; 5] = [2, 3, 9, 32, 16];

/// The lines of one point of G2.
#[derive(Clone)]
pub(crate) struct Lines(Box<[blst_fp6; LINES]>);

impl Lines {
    pub(crate) fn of(point: &blst_p2_affine) -> Lines {
        let mut lines = Box::new([blst_fp6::default(); LINES]);
        // SAFETY: the callee writes exactly 68 lines, the length of the array, and reads one point.
        unsafe { blst_precompute_lines(lines.as_mut_ptr(), point) };
        Lines(lines)
    }

    /// Of the generator's negative.
    pub(crate) fn of_negative_generator() -> Lines {
        // SAFETY: a constant of the library, initialised at link time and never written.
        Lines::of(unsafe { &BLS12_381_NEG_G2 })
    }
}

/// A point of G1 in the form in which lines are evaluated: `(-2x, 2y)`.
struct Place {
    x: blst_fp,
    y: blst_fp,
}

impl Place {
    fn of(point: &blst_p1_affine) -> Place {
        let (mut x, mut y) = (blst_fp::default(), blst_fp::default());
        // SAFETY: plain field arithmetic between values of their types.
        unsafe {
            blst_fp_add(&mut x, &point.x, &point.x);
            let doubled = x;
            blst_fp_cneg(&mut x, &doubled, true);
            blst_fp_add(&mut y, &point.y, &point.y);
        }
        Place { x, y }
    }

    /// Multiplies the line's value here into `product`.
    fn step(&self, line: &blst_fp6, product: &mut blst_fp12) {
        let mut at = *line;
        let before = *product;
        // SAFETY: plain field arithmetic between values of their types.
        unsafe {
            for part in 0..2 {
                blst_fp_mul(&mut at.fp2[1].fp[part], &line.fp2[1].fp[part], &self.x);
                blst_fp_mul(&mut at.fp2[2].fp[part], &line.fp2[2].fp[part], &self.y);
            }
            blst_fp12_mul_by_xy00z0(product, &before, &at);
        }
    }
}

/// True if the product of `e(point, lines' point)` over all pairs is 1. Points must be in G1 and none
/// of them at infinity; the caller sees to both.
pub(crate) fn product_is_one(pairs: [(&blst_p1_affine, &Lines); 2]) -> bool {
    let places = pairs.map(|(point, lines)| (Place::of(point), &lines.0));
    // SAFETY: a constant of the library.
    let mut product = unsafe { *blst_fp12_one() };
    let mut at = 0;
    let mut round = |product: &mut blst_fp12| {
        for (place, lines) in &places {
            place.step(&lines[at], product);
        }
        at += 1;
    };
    round(&mut product);
    for doublings in RUNS {
        round(&mut product);
        for _ in 0..doublings {
            let before = product;
            // SAFETY: plain field arithmetic.
            unsafe { blst_fp12_sqr(&mut product, &before) };
            round(&mut product);
        }
    }
    // SAFETY: plain field arithmetic. The parameter is negative, hence the conjugate.
    unsafe {
        blst_fp12_conjugate(&mut product);
        blst_fp12_finalverify(blst_fp12_one(), &product)
    }
}

/// `secret` times the point that stands for a statement.
pub(crate) fn sign(hash: &blst_p1_affine, secret: &SecretKey) -> Signature {
    let (mut point, mut signature) = (blst_p1::default(), blst_p1::default());
    let mut affine = blst_p1_affine::default();
    let secret: &blst_scalar = secret.into();
    // SAFETY: conversions and one multiplication between values of their types.
    unsafe {
        blst_p1_from_affine(&mut point, hash);
        blst_sign_pk_in_g2(&mut signature, &point, secret);
        blst_p1_to_affine(&mut affine, &signature);
    }
    Signature::from(affine)
}

/// The point of G1 that stands for a statement.
pub(crate) fn hash(statement: &[u8], domain: &[u8]) -> blst_p1_affine {
    let (mut point, mut affine) = (blst_p1::default(), blst_p1_affine::default());
    // SAFETY: each pointer goes with the length of its slice; an augmentation of length 0 is not read.
    unsafe {
        blst_hash_to_g1(
            &mut point,
            statement.as_ptr(),
            statement.len(),
            domain.as_ptr(),
            domain.len(),
            std::ptr::null(),
            0,
        );
        blst_p1_to_affine(&mut affine, &point);
    }
    affine
}

/// The newest few values by key, so that they need not be made again; oldest forgotten first.
pub(crate) struct Kept<K, V> {
    entries: Mutex<VecDeque<(K, V)>>,
    capacity: usize,
}

impl<K, V: Clone> Kept<K, V> {
    pub(crate) fn new(capacity: usize) -> Kept<K, V> {
        let entries = Mutex::new(VecDeque::with_capacity(capacity));
        Kept { entries, capacity }
    }

    pub(crate) fn find<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: PartialEq + ?Sized,
    {
        let entries = self.lock();
        let found = entries.iter().find(|(known, _)| known.borrow() == key)?;
        Some(found.1.clone())
    }

    /// Two who make the same value at the same time keep it twice: no harm.
    pub(crate) fn keep(&self, key: K, value: V) {
        let mut entries = self.lock();
        if entries.len() >= self.capacity {
            entries.pop_front();
        }
        entries.push_back((key, value));
    }

    // A panic elsewhere cannot leave an entry half-written: go on with it.
    fn lock(&self) -> MutexGuard<'_, VecDeque<(K, V)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
