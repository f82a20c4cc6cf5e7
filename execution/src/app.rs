//! What a state machine looks like from the executor.

use bytes::Bytes;
use types::Digest;
use types::batch::{SessionId, TxRef};
use types::client::Outcome;

use crate::kv::Kv;
use crate::null::Null;
use crate::parts::{Input, Parts, RestoreError};

/// A deterministic state machine: outcome and next state are functions of the state and the
/// arguments alone. No input may panic. `clone` must be cheap (shared parts, copied on write).
pub trait Application: Parts + Clone + Send {
    /// A payload as it is understood, with what can be told of it without the state.
    type Op<'a>: Copy;

    fn name(&self) -> &'static str;
    /// Reads a payload: once, for [`Application::warm`] and [`Application::execute`].
    fn read<'a>(&self, payload: &'a [u8]) -> Self::Op<'a>;
    /// Hint that these operations come next: touches the memory that they will need, so that its
    /// cache misses overlap instead of following one another. Changes nothing.
    fn warm(&self, _txs: &[(TxRef<'_>, Self::Op<'_>)]) {}
    /// Applies one ordered transaction: [`Outcome::Applied`] or [`Outcome::Rejected`], nothing else.
    fn execute(&mut self, session: &SessionId, op: &Self::Op<'_>) -> Outcome;
    /// Answers from the present state.
    fn query(&self, query: &[u8]) -> Bytes;
}

/// Which application a cluster runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AppKind {
    /// Keys, values and accounts: [`crate::kv`].
    Kv,
    /// Pure ordering.
    Null,
}

impl AppKind {
    pub const ALL: [AppKind; 2] = [AppKind::Kv, AppKind::Null];

    pub fn name(self) -> &'static str {
        match self {
            AppKind::Kv => "kv",
            AppKind::Null => "null",
        }
    }

    pub fn from_name(name: &str) -> Option<AppKind> {
        AppKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(crate) fn tag(self) -> u8 {
        match self {
            AppKind::Kv => 1,
            AppKind::Null => 2,
        }
    }

    pub(crate) fn from_tag(tag: u8) -> Option<AppKind> {
        AppKind::ALL.into_iter().find(|kind| kind.tag() == tag)
    }
}

/// One of the applications. The executor looks once per batch which it is.
#[derive(Debug, Clone)]
pub enum App {
    Kv(Kv),
    Null(Null),
}

impl App {
    pub fn new(kind: AppKind) -> App {
        match kind {
            AppKind::Kv => App::Kv(Kv::new()),
            AppKind::Null => App::Null(Null),
        }
    }

    pub fn kind(&self) -> AppKind {
        match self {
            App::Kv(_) => AppKind::Kv,
            App::Null(_) => AppKind::Null,
        }
    }
}

macro_rules! each {
    ($self:ident, $app:ident => $call:expr) => {
        match $self {
            App::Kv($app) => $call,
            App::Null($app) => $call,
        }
    };
}

impl App {
    pub fn name(&self) -> &'static str {
        each!(self, app => app.name())
    }
    /// Answers from the present state.
    pub fn query(&self, query: &[u8]) -> Bytes {
        each!(self, app => app.query(query))
    }
}

impl Parts for App {
    fn parts(&self) -> usize {
        each!(self, app => app.parts())
    }
    fn part_len_bytes(&self, part: usize) -> usize {
        each!(self, app => app.part_len_bytes(part))
    }
    fn stripe_parts(&self) -> usize {
        each!(self, app => app.stripe_parts())
    }
    fn stripe_digest(&self, stripe: usize) -> Digest {
        each!(self, app => app.stripe_digest(stripe))
    }
    fn encode_part(&self, part: usize, out: &mut Vec<u8>) {
        each!(self, app => app.encode_part(part, out))
    }
    fn restore_part(&mut self, part: usize, input: &mut Input<'_>) -> Result<(), RestoreError> {
        each!(self, app => app.restore_part(part, input))
    }
}
