//! Offline judgement of evidence from files and public keys alone. Nothing is here yet: it begins with
//! the proofs of fraud of the recovery work.
