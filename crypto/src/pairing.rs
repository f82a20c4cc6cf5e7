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

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use blst::{
    BLS12_381_NEG_G2, blst_fp, blst_fp_add, blst_fp_cneg, blst_fp_mul, blst_fp6, blst_fp12,
    blst_fp12_conjugate, blst_fp12_finalverify, blst_fp12_mul_by_xy00z0, blst_fp12_one,
    blst_fp12_sqr, blst_hash_to_g1, blst_p1, blst_p1_affine, blst_p1_to_affine, blst_p2_affine,
    blst_precompute_lines,
};
use types::SignerSet;

/// Lines of one point: as many as the loop has doublings (63) and additions (5).
const LINES: usize = 68;
/// Doublings after each addition: the bits of the curve's parameter below its highest two, see
/// `miller_loop_lines` in blst's `pairing.c`. Before the first addition stands one doubling.
const RUNS: [usize; 5] = [2, 3, 9, 32, 16];

/// Sums of keys whose lines are kept, at 20 KB each: all quorums of seven replicas.
const SUMS_MAX: usize = 32;

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
        // SAFETY: plain field arithmetic; the callee allows its result to be its argument.
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

/// Lines of the sums of keys that certificates of late were signed with; oldest forgotten first.
#[derive(Default)]
pub(crate) struct Sums(Mutex<VecDeque<(SignerSet, Arc<Lines>)>>);

impl Sums {
    /// The kept lines, or those of the point that `make` adds up.
    pub(crate) fn lines(
        &self,
        signers: SignerSet,
        make: impl FnOnce() -> Option<blst_p2_affine>,
    ) -> Option<Arc<Lines>> {
        let find = |kept: &VecDeque<(SignerSet, Arc<Lines>)>| {
            let found = kept.iter().find(|(of, _)| *of == signers)?;
            Some(found.1.clone())
        };
        // A panic elsewhere cannot leave an entry half-written: go on with it.
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lines) = find(&lock()) {
            return Some(lines);
        }
        // Not under the lock: others go on meanwhile, at worst one sum is made twice.
        let lines = Arc::new(Lines::of(&make()?));
        let mut kept = lock();
        if kept.len() >= SUMS_MAX {
            kept.pop_front();
        }
        kept.push_back((signers, lines.clone()));
        Some(lines)
    }
}

#[cfg(test)]
mod tests;
