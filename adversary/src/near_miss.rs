//! A proof of what is just no offence: statements that were really signed, one step from the predicate.

use types::{Fraud, Header, Qc};

use crate::memory::Memory;

/// Looked at, newest first: an attacker has other things to do, too.
const HEADERS_MAX: usize = 16;

/// A timeout that claims exactly the certificate under an earlier vote (`E4` asks for less). Correct
/// replicas sign both. (A vote at exactly the locked view, which `E3` allows, needs a certificate that
/// only more than `f` liars bring about.)
pub(crate) fn claim_kept(memory: &Memory) -> Option<Fraud> {
    let skipping = memory.newest_first().take(HEADERS_MAX);
    let mut certificates = skipping.filter_map(|header| header.tc.as_ref());
    certificates.find_map(|timeouts| {
        let equal = |voted: &Header| {
            let claims = &mut timeouts.claims.iter();
            voted.view <= timeouts.view
                && claims.any(|claim| claim.high_qc_view == voted.justify.view)
        };
        let (voted, votes) = certified(memory).find(|(voted, _)| equal(voted))?;
        Some(Fraud::StaleTimeout {
            votes: votes.clone(),
            voted: voted.core(),
            timeouts: timeouts.clone(),
        })
    })
}

/// Headers whose certificate is known, newest first, each with that.
fn certified(memory: &Memory) -> impl Iterator<Item = (&Header, &Qc)> {
    let headers = memory.newest_first().take(HEADERS_MAX);
    headers.filter_map(|header| {
        let cert = memory.cert_at(header.view)?;
        (cert.block == header.id()).then_some((header, cert))
    })
}
