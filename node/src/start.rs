//! From a configuration to a replica over its real platform. Everything that can be wrong with a
//! machine or a config is found here, before the first message.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;

use consensus::{LanesConfig, Timing};
use crypto::{Bls, Ed25519Lists, Engine, Secrets, VoteScheme};
use execution::AppKind;
use storage::{Journal, MemoryJournal, Record};
use transport::{Backend, Limits, Listen, PeerConfig, TransportConfig};
use types::{CommitRule, Committee, Digest, Epoch, ReplicaId, SchemeName};

use crate::config::{self, ClientAuth, Durability, NodeConfig};
use crate::control::Shapes;
use crate::crypto_pool::{CostModel, CryptoPool, Work};
use crate::real::{Real, RealPlatform};
use crate::replica::{RecoveryConfig, Replica, ReplicaConfig, RulesFactory, Signer};
use crate::{NodeError, REPLY_FRAME_LEN_MAX};

/// A replica that is about to run, and what reports say about its set-up.
#[derive(Debug)]
pub struct Started<W> {
    pub process: W,
    pub shapes: Shapes,
    pub waker: transport::Waker,
    pub setup: Setup,
}

/// Facts which do not change while the process runs.
#[derive(Debug, Clone)]
pub struct Setup {
    pub me: ReplicaId,
    pub epoch: Epoch,
    pub scheme: SchemeName,
    pub rule: CommitRule,
    pub durability: Durability,
    pub backend: Backend,
    pub backend_wanted: Backend,
    pub encryption: bool,
    pub auth: ClientAuth,
    pub app: AppKind,
    pub started: measure::WallAnchor,
}

/// What a replica is put together from.
pub struct Parts {
    pub config: ReplicaConfig,
    pub rule: CommitRule,
    pub signer: Arc<dyn Signer>,
    /// Any vote, signed at once: for replicas that lie.
    pub sign_vote: VoteSigner,
    /// The records of its journal, in order.
    pub recovered: Vec<Record>,
    pub platform: RealPlatform,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Parts {
    /// One replica over what `wrap` makes of the platform.
    ///
    /// # Errors
    /// [`NodeError::Recovery`] if the records do not make a replica.
    pub fn replica<W: Real>(
        self,
        wrap: impl FnOnce(RealPlatform) -> W,
    ) -> Result<Replica<W>, NodeError> {
        Replica::new(
            self.config,
            rules(self.rule),
            self.signer,
            self.recovered,
            wrap(self.platform),
            measure::monotonic_ns(),
        )
    }
}

/// Reads keys, binds listeners, recovers the journal, and runs what `make` makes of all this.
///
/// # Errors
/// [`NodeError`], one for each thing that can be wrong.
pub fn start<W>(
    config: &NodeConfig,
    make: impl FnOnce(Parts, &Setup) -> Result<W, NodeError>,
) -> Result<Started<W>, NodeError> {
    let started = measure::WallAnchor::now();
    let keys = |error: crypto::KeyFileError| NodeError::Keys(error.to_string());
    let committee = crypto::load_committee(&config.committee).map_err(keys)?;
    check_rule(config, &committee)?;
    let (me, secrets) = crypto::load_secrets(&config.keys, &committee).map_err(keys)?;
    let epoch = committee.genesis();
    tracing::info!(replica = %me, n = epoch.n, cluster = %epoch.cluster, rule = committee.rule.name(),
        scheme = committee.scheme.name(), durability = config.durability.name(), "starting");

    let (transport, fallback) = transport::open(links(config, &committee, me, &secrets)?)?;
    let waker = transport.waker();
    let setup = Setup {
        me,
        epoch,
        scheme: committee.scheme,
        rule: committee.rule,
        durability: config.durability,
        backend: transport.backend(),
        backend_wanted: fallback.map_or(transport.backend(), |notice| notice.wanted),
        encryption: config.transport.encryption,
        auth: config.clients.auth,
        app: app(config.app.kind),
        started,
    };
    let (journal, recovered) = journal(config, &setup, waker.clone())?;
    let (signer, work, sign_vote) = engine(&committee, me, secrets)?;
    let cost = CostModel::new(committee.scheme);
    let pool = CryptoPool::new(config.crypto.threads as usize, cost, work, waker.clone())?;
    let mut platform = RealPlatform::new(transport, journal, pool, epoch.n);
    let shapes = shaped(config, &mut platform, me, epoch.n)?;
    spend_keys(config)?;
    let parts = Parts {
        config: replica_config(config, &setup),
        rule: committee.rule,
        signer,
        sign_vote,
        recovered,
        platform,
    };
    Ok(Started {
        process: make(parts, &setup)?,
        shapes,
        waker,
        setup,
    })
}

/// A replica of `memory` durability forgets what it signed. A second life under the same keys would
/// contradict the first and convict it, so a mark beside the key file allows only one.
fn spend_keys(config: &NodeConfig) -> Result<(), NodeError> {
    let mark = config.keys.with_extension("spent");
    let spent = match config.durability {
        // Of two that start at the same time, one makes the mark.
        Durability::Memory => match std::fs::File::create_new(&mark) {
            Ok(_) => false,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => true,
            Err(error) => return Err(NodeError::io("write", &mark)(error)),
        },
        Durability::Strict => mark.exists(),
    };
    match spent {
        false => Ok(()),
        true => Err(NodeError::Keys(format!(
            "{}: these keys served a replica of `memory` durability, which forgot what it signed; a second \
             life could contradict the first: make a new cluster with `reforge keygen`",
            mark.display()
        ))),
    }
}

fn check_rule(config: &NodeConfig, committee: &Committee) -> Result<(), NodeError> {
    match config.rule {
        Some(rule) if rule != committee.rule => Err(NodeError::Keys(format!(
            "rule: the config says {:?}, the committee file {} says {:?}; the rule is part of the cluster's \
             id, so take the right committee file, or leave `rule` out",
            rule.name(),
            config.committee.display(),
            committee.rule.name()
        ))),
        _ => Ok(()),
    }
}

/// The links of our seat.
fn links(
    config: &NodeConfig,
    committee: &Committee,
    me: ReplicaId,
    secrets: &Secrets,
) -> Result<TransportConfig, NodeError> {
    let section = &config.transport;
    let seats = committee
        .members
        .iter()
        .map(|member| {
            Ok(Some(PeerConfig {
                addr: resolve(&member.peer_addr)?,
                public_key: member.link_key,
            }))
        })
        .collect::<Result<Vec<_>, NodeError>>()?;
    let own = &committee.members[me.index()];
    let peer_listen = section
        .peer_listen
        .map_or_else(|| resolve(&own.peer_addr), Ok)?;
    let client_listen = section
        .client_listen
        .map_or_else(|| resolve(&own.client_addr), Ok)?;
    let replica = transport::ReplicaConfig {
        index: me.0,
        private_key: *secrets.link_secret(),
        committee: seats,
        peer_listen: Listen::Addr(peer_listen),
        client_listen: Some(Listen::Addr(client_listen)),
    };
    let cluster = committee.cluster().0.0;
    Ok(TransportConfig {
        limits: Limits {
            peer_frame_bytes: types::limits::PEER_FRAME_LEN_MAX,
            client_frame_bytes: types::limits::CLIENT_FRAME_LEN_MAX,
            reply_frame_bytes: REPLY_FRAME_LEN_MAX,
            clients: config.clients.max as usize,
            ..Limits::default()
        },
        // An empty name is what generated configs write for the default.
        congestion: section.congestion.clone().filter(|name| !name.is_empty()),
        seed: measure::monotonic_ns() ^ u64::from(me.0),
        zero_copy: section.zero_copy,
        ..TransportConfig::replica(section.backend, cluster, section.encryption, replica)
    })
}

fn resolve(addr: &str) -> Result<SocketAddr, NodeError> {
    let failed = |why: String| {
        NodeError::Keys(format!(
            "address {addr:?} in the committee file: expected host:port, {why}"
        ))
    };
    addr.to_socket_addrs()
        .map_err(|error| failed(error.to_string()))?
        .next()
        .ok_or_else(|| failed("found a name without an address".into()))
}

/// The journal, and what it holds.
fn journal(
    config: &NodeConfig,
    setup: &Setup,
    waker: transport::Waker,
) -> Result<(Box<dyn Journal>, Vec<Record>), NodeError> {
    let wake: storage::Waker = Box::new(move || waker.wake());
    let dir: &PathBuf = match (config.durability, &config.data_dir) {
        (Durability::Strict, Some(dir)) => dir,
        _ => return Ok((Box::new(MemoryJournal::new(wake)), Vec::new())),
    };
    let mut owner = setup.epoch.cluster.0.0.to_vec();
    owner.extend_from_slice(&setup.me.0.to_le_bytes());
    let owner = Digest::of("reforge journal owner v1", &owner).0;
    let (journal, recovery) = storage::open(dir, storage::Options::new(owner), wake)?;
    if let Some(dropped) = &recovery.dropped {
        tracing::warn!(
            ?dropped,
            "journal: a tail that was never synced was dropped"
        );
    }
    tracing::info!(
        dir = %dir.display(),
        records = recovery.records.len(),
        segments = recovery.segments,
        "journal recovered"
    );
    Ok((Box::new(journal), recovery.records))
}

pub fn rules(rule: types::CommitRule) -> RulesFactory {
    Arc::new(move || consensus::rules_for(rule))
}

/// Signs a vote of an ordinary epoch.
pub type VoteSigner =
    Arc<dyn Fn(&types::Epoch, types::View, types::BlockId) -> types::Vote + Send + Sync>;

type Keys = (Arc<dyn Signer>, Work, VoteSigner);

/// The engine for each of its uses: for what is signed on the loop's thread, and for the helpers.
fn engine(committee: &Committee, me: ReplicaId, secrets: Secrets) -> Result<Keys, NodeError> {
    match committee.scheme {
        SchemeName::Bls => engine_of::<Bls>(committee, me, secrets),
        SchemeName::Ed25519 => engine_of::<Ed25519Lists>(committee, me, secrets),
        SchemeName::Simulated => Err(NodeError::Keys(
            "scheme: expected bls or ed25519; the simulated one exists in the simulator alone"
                .into(),
        )),
    }
}

fn engine_of<S: VoteScheme + 'static>(
    committee: &Committee,
    me: ReplicaId,
    secrets: Secrets,
) -> Result<Keys, NodeError> {
    let engine = Engine::<S>::new(committee, Some((me, secrets)))
        .map_err(|error| NodeError::Keys(error.to_string()))?;
    let engine = Arc::new(engine);
    let helper = engine.clone();
    let work: Work = Arc::new(move |epoch, job| helper.run(epoch, job));
    let voter = engine.clone();
    let none = types::SignerSet::EMPTY;
    let sign_vote: VoteSigner =
        Arc::new(move |epoch, view, block| voter.sign_vote(epoch, view, block, none));
    Ok((engine, work, sign_vote))
}

fn shaped(
    config: &NodeConfig,
    platform: &mut RealPlatform,
    me: ReplicaId,
    seats: usize,
) -> Result<Shapes, NodeError> {
    let mut shapes = Shapes::new(me, seats);
    for section in &config.transport.shape {
        let changed = shapes
            .shape(section)
            .map_err(|message| NodeError::Keys(format!("[[transport.shape]]: to: {message}")))?;
        for (peer, shape) in changed {
            platform.set_shape(peer, shape);
        }
    }
    Ok(shapes)
}

fn replica_config(config: &NodeConfig, setup: &Setup) -> ReplicaConfig {
    let ms = |ms: f64| (ms * 1e6) as u64;
    let view_timeout_ns = ms(config.timing.view_timeout_ms as f64);
    let timing = Timing::default();
    ReplicaConfig {
        me: setup.me,
        epoch: setup.epoch,
        app: setup.app,
        timing: Timing {
            view_timeout_ns,
            view_timeout_max_ns: timing.view_timeout_max_ns.max(view_timeout_ns),
            idle_view_ns: ms(config.timing.idle_view_ms as f64),
            pace_ns: ms(config.timing.pace_ms),
            ..timing
        },
        lanes: LanesConfig {
            cars_in_flight: config.lanes.cars_in_flight as usize,
            car_interval_ns: ms(config.lanes.car_interval_ms),
            ..LanesConfig::default()
        },
        checkpoint_interval: config.lanes.checkpoint_interval,
        checkpoint_bytes: config.lanes.checkpoint_bytes,
        durable: setup.durability == Durability::Strict,
        batch_bytes: config.lanes.batch_bytes as usize,
        window_bytes: config.lanes.window_bytes,
        retention_bytes: config.lanes.retention_bytes,
        journal_bytes: config.journal.rewrite_bytes,
        signed_clients: setup.auth == ClientAuth::Signed,
        admission_tx_per_s: config.admission.tx_per_s,
        recovery: config.recovery.enabled.then(|| RecoveryConfig {
            notice_ns: ms(config.recovery.notice_ms),
            theta_detect: config.recovery.theta_detect,
            theta_precision: config.recovery.theta_precision,
            tau_ops: config.recovery.tau_ops,
            admission_confidence: config.recovery.admission_confidence,
            admission_backlog: config.recovery.admission_backlog,
            ..RecoveryConfig::default()
        }),
    }
}

fn app(kind: config::AppKind) -> AppKind {
    match kind {
        config::AppKind::Kv => AppKind::Kv,
        config::AppKind::Null => AppKind::Null,
    }
}
