//! Tests of the vocabulary: bytes are pinned, decoding is total and canonical, predicates hold.

mod batch;
mod canonical;
mod fixtures;
mod golden;
mod limits;
mod offence;
mod proof;
mod signers;
mod strategies;
