//! A history that nobody committed: headers without bytes over a real block, certificates without
//! signatures, and a report that claims all of it.

use bytes::Bytes;
use types::fraud::SignedCore;
use types::recovery::Branch;
use types::{
    BlockId, Checkpoint, CommitProof, Digest, Epoch, ForkReport, Fraud, Header, Height, Message,
    Multisig, Qc, ReplicaId, SignerSet, View,
};

use crate::forge::Forge;

/// So many blocks: a report is the base of a merge only if its branch is the highest.
const BLOCKS: usize = 48;

/// A certificate with a quorum's names and no signature of theirs.
pub(crate) fn unsigned(epoch: &Epoch, view: View, block: BlockId) -> Qc {
    let signers = epoch.members.iter().take(epoch.quorum());
    let votes = Multisig {
        signers: signers.collect(),
        bytes: Bytes::from_static(&[7; 16]),
    };
    Qc {
        epoch: epoch.id,
        view,
        block,
        excluded: SignerSet::EMPTY,
        votes,
    }
}

/// Two headers of one view, both signed by `me`, as a proof against itself.
pub(crate) fn confession(forge: &dyn Forge, epoch: &Epoch, me: ReplicaId) -> Message {
    let core = |height: u64| {
        let header = Header {
            epoch: epoch.id,
            view: View(1),
            height: Height(height),
            justify: Qc::root(epoch),
            tc: None,
            cut: Vec::new(),
            payload: Digest::ZERO,
            proposer: me,
            checkpoint: Checkpoint::default(),
            excluded: None,
        };
        let signed = forge.proposal(epoch, header);
        SignedCore {
            core: signed.header.core(),
            signature: signed.signature,
        }
    };
    Message::Frauds(vec![Fraud::Equivocation {
        first: core(1),
        second: core(2),
    }])
}

/// In the place of the own report of `epoch`, which must not be one of its root: the lie, and the
/// headers that it needs.
pub(crate) fn invented(
    forge: &dyn Forge,
    epoch: &Epoch,
    report: &ForkReport,
) -> Option<[Message; 2]> {
    let proof = report.proof.as_ref()?;
    let (tip, len) = (proof.chain.first()?, proof.certs.len());
    if tip.epoch != epoch.id {
        return None;
    }
    let mut headers: Vec<Header> = Vec::new();
    let (mut block, mut view, mut height) = (tip.id(), tip.view, tip.height);
    while headers.len() < BLOCKS + len {
        let header = Header {
            epoch: epoch.id,
            view: view.next(),
            height: height.next(),
            justify: unsigned(epoch, view, block),
            tc: None,
            cut: Vec::new(),
            payload: Digest::ZERO,
            proposer: report.replica,
            checkpoint: tip.checkpoint,
            excluded: None,
        };
        (block, view, height) = (header.id(), header.view, header.height);
        headers.push(header);
    }
    let top = &headers[BLOCKS..];
    let proof = CommitProof {
        chain: top.iter().map(Header::core).collect(),
        certs: top
            .iter()
            .map(|header| unsigned(epoch, header.view, header.id()))
            .collect(),
    };
    let (height, tip) = (top[0].height, top[0].id());
    let report = forge.report(&epoch.recovery(), height, tip, Some(proof));
    let branch = Branch {
        epoch: epoch.id,
        headers,
    };
    Some([
        Message::ForkReport(Box::new(report)),
        Message::Branch(branch),
    ])
}
