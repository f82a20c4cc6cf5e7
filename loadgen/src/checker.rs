//! The thread that checks commit proofs, so that milliseconds of pairing never delay a send.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crypto::{Bls, Ed25519Lists, Engine, VoteScheme};
use transport::Waker;
use types::{BlockId, CommitProof, CommitRule, Committee, Epoch, EpochChange, SchemeName};

use crate::claims::{Claim, Judge, ProofEngine, Verdict};
use crate::error::LoadError;

/// Batches on their way; the load thread keeps gathering while they are.
const BATCHES_MAX: usize = 2;

/// Something to be checked.
#[derive(Debug)]
pub enum Question {
    /// Blocks of receipts.
    Claims(Vec<Claim>),
    /// The end of an epoch.
    Change(Box<EpochChange>),
}

/// What comes back of one question.
#[derive(Debug)]
pub enum Judged {
    /// A verdict per claim.
    Claims(Vec<(Claim, Verdict)>),
    /// The working epoch that the change opens, or why it does not.
    Change(Box<EpochChange>, Result<Epoch, String>),
}

struct SchemeEngine<S: VoteScheme> {
    engine: Engine<S>,
    rule: CommitRule,
}

impl<S: VoteScheme> ProofEngine for SchemeEngine<S> {
    fn check(&self, epoch: &Epoch, proofs: &[(BlockId, &CommitProof)]) -> Vec<Result<(), String>> {
        let proofs: Vec<_> = proofs
            .iter()
            .map(|&(block, proof)| (proof, block))
            .collect();
        let verdicts = self.engine.check_commit_proofs(epoch, self.rule, &proofs);
        let reason = |verdict: Result<(), crypto::ProofReject>| verdict.map_err(|e| e.to_string());
        verdicts.into_iter().map(reason).collect()
    }

    fn check_epoch_change(&self, of: &Epoch, change: &EpochChange) -> Result<Epoch, String> {
        let epoch = self.engine.check_epoch_change(of, change);
        epoch.map_err(|reject| reject.to_string())
    }
}

/// The engine of a committee's scheme, for verification alone. Checks every key of the committee.
///
/// # Errors
/// The reason why the committee's keys are unusable.
pub fn engine_of(committee: &Committee) -> Result<Box<dyn ProofEngine>, String> {
    fn engine<S: VoteScheme>(committee: &Committee) -> Result<Box<dyn ProofEngine>, String> {
        let engine = Engine::<S>::new(committee, None).map_err(|e| e.to_string())?;
        let rule = committee.rule;
        Ok(Box::new(SchemeEngine { engine, rule }))
    }
    match committee.scheme {
        SchemeName::Bls => engine::<Bls>(committee),
        SchemeName::Ed25519 => engine::<Ed25519Lists>(committee),
        SchemeName::Simulated => Err("scheme `simulated` exists in the simulator alone".into()),
    }
}

/// Handle of the thread; dropping it ends the thread after the batch it is at.
#[derive(Debug)]
pub struct Checker {
    to: Option<SyncSender<Question>>,
    from: Receiver<Judged>,
    under_way: usize,
    thread: Option<JoinHandle<()>>,
}

impl Checker {
    /// Starts the thread; `waker` is used after every batch.
    ///
    /// # Errors
    /// [`LoadError::CheckerGone`] if no thread can be made.
    pub fn start(
        engine: Box<dyn ProofEngine>,
        rule: CommitRule,
        epoch: Epoch,
        waker: Waker,
    ) -> Result<Checker, LoadError> {
        let (to, batches) = sync_channel::<Question>(BATCHES_MAX);
        let (results, from) = sync_channel(2 * BATCHES_MAX);
        let body = move || {
            let mut judge = Judge::new(rule, epoch);
            for question in batches {
                let judged = match question {
                    Question::Claims(claims) => {
                        let verdicts = judge.judge(engine.as_ref(), &claims);
                        Judged::Claims(claims.into_iter().zip(verdicts).collect())
                    }
                    Question::Change(change) => {
                        let epoch = judge.learn_epoch(engine.as_ref(), &change);
                        Judged::Change(change, epoch)
                    }
                };
                if results.send(judged).is_err() {
                    return;
                }
                waker.wake();
            }
        };
        let thread = std::thread::Builder::new()
            .name("load-proofs".into())
            .spawn(body)
            .map_err(|_| LoadError::CheckerGone)?;
        Ok(Checker {
            to: Some(to),
            from,
            under_way: 0,
            thread: Some(thread),
        })
    }

    /// Whether another batch can be given without waiting.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.under_way < BATCHES_MAX
    }

    /// Gives a batch; call only with room.
    ///
    /// # Errors
    /// [`LoadError::CheckerGone`].
    pub fn give(&mut self, question: Question) -> Result<(), LoadError> {
        let to = self.to.as_ref().ok_or(LoadError::CheckerGone)?;
        to.send(question).map_err(|_| LoadError::CheckerGone)?;
        self.under_way += 1;
        Ok(())
    }

    /// A finished batch, if there is one.
    ///
    /// # Errors
    /// [`LoadError::CheckerGone`].
    pub fn poll(&mut self) -> Result<Option<Judged>, LoadError> {
        match self.from.try_recv() {
            Ok(judged) => {
                self.under_way -= 1;
                Ok(Some(judged))
            }
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(LoadError::CheckerGone),
        }
    }

    /// Waits for a finished batch; nothing if none is under way or the time is over.
    ///
    /// # Errors
    /// [`LoadError::CheckerGone`].
    pub fn wait(&mut self, timeout: Duration) -> Result<Option<Judged>, LoadError> {
        if self.under_way == 0 {
            return Ok(None);
        }
        match self.from.recv_timeout(timeout) {
            Ok(judged) => {
                self.under_way -= 1;
                Ok(Some(judged))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(LoadError::CheckerGone),
        }
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        self.to = None;
        // A batch of pairings under way is bounded; its result has room in the channel.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
