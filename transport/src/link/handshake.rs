//! The first bytes of a connection: who we claim to be, and the Noise proof of it.
//!
//! `hello = preamble (48) | Noise message 1 (48)`, `reply = 'R' 0 | Noise message 2 (48)` or the
//! refusal `'R' reason`. Replicas use Noise KK (both static keys known and proven), clients NK (only
//! the server's is). The whole preamble is the prologue: a changed byte of it fails the proof.

use super::wire::Wire;
use crate::DownReason;
use snow::{Builder, HandshakeState};

const MAGIC: [u8; 7] = *b"rfrg-01";
const PREAMBLE_LEN: usize = 48;
/// An ephemeral key and a tag; the payloads are empty.
const NOISE_LEN: usize = 48;
pub(crate) const HELLO_LEN: usize = PREAMBLE_LEN + NOISE_LEN;
pub(crate) const REPLY_LEN: usize = 2 + NOISE_LEN;
/// Bytes of a refusal; sent in clear and unauthenticated: only a hint for operators.
pub(crate) const REFUSAL_LEN: usize = 2;
const REPLY_MARK: u8 = b'R';
const ACCEPTED: u8 = 0;

/// The two ports speak two handshakes; neither understands the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Port {
    Peers = b'P',
    Clients = b'C',
}

/// What the initiator says in clear, and its first Noise message.
#[derive(Clone, Debug)]
pub(crate) struct Hello {
    pub port: Port,
    pub encryption: bool,
    /// Claimed seat of the initiator; zero for clients.
    pub from: u16,
    /// Seat that it wants to talk to; zero for clients (the server's key says it all).
    pub to: u16,
    pub cluster_id: [u8; 32],
    noise: [u8; NOISE_LEN],
}

/// Secrets of one connection by direction, unique to it.
pub(crate) struct SessionKeys {
    pub send: [u8; 32],
    pub receive: [u8; 32],
}

/// Static keys of a dial.
#[derive(Clone, Copy)]
pub(crate) struct DialKeys<'a> {
    /// Ours; unused by clients.
    pub private: Option<&'a [u8; 32]>,
    pub remote: &'a [u8; 32],
}

impl Hello {
    pub(crate) fn new(
        port: Port,
        encryption: bool,
        from: u16,
        to: u16,
        cluster_id: [u8; 32],
    ) -> Self {
        Self {
            port,
            encryption,
            from,
            to,
            cluster_id,
            noise: [0; NOISE_LEN],
        }
    }

    fn preamble(&self) -> [u8; PREAMBLE_LEN] {
        let mut bytes = [0; PREAMBLE_LEN];
        bytes[..7].copy_from_slice(&MAGIC);
        bytes[7] = self.port as u8;
        bytes[8] = u8::from(self.encryption);
        bytes[10..12].copy_from_slice(&self.from.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.to.to_le_bytes());
        bytes[16..].copy_from_slice(&self.cluster_id);
        bytes
    }

    /// Parses a complete hello; what it claims is not proven yet.
    pub(crate) fn parse(bytes: &[u8], port: Port) -> Result<Self, DownReason> {
        let (Some(noise), Some(cluster_id)) = (
            bytes
                .get(PREAMBLE_LEN..HELLO_LEN)
                .and_then(|b| b.try_into().ok()),
            bytes.get(16..PREAMBLE_LEN).and_then(|b| b.try_into().ok()),
        ) else {
            return Err(DownReason::BadPreamble);
        };
        let from = u16::from_le_bytes([bytes[10], bytes[11]]);
        let to = u16::from_le_bytes([bytes[12], bytes[13]]);
        let hello = Self {
            port,
            encryption: bytes[8] == 1,
            from,
            to,
            cluster_id,
            noise,
        };
        // One encoding for one meaning: no byte of the preamble is ignored.
        if hello.preamble() != bytes[..PREAMBLE_LEN] {
            return Err(DownReason::BadPreamble);
        }
        Ok(hello)
    }
}

/// Refuses garbage at its first wrong byte.
pub(crate) fn check_prefix(have: &[u8], port: Port) -> Result<(), DownReason> {
    let expected = MAGIC.into_iter().chain([port as u8]);
    match have.iter().zip(expected).all(|(a, b)| *a == b) {
        true => Ok(()),
        false => Err(DownReason::BadPreamble),
    }
}

/// What the acceptor says instead of a reply.
pub(crate) fn refusal(reason: DownReason) -> [u8; REFUSAL_LEN] {
    [REPLY_MARK, reason as u8 + 1]
}

/// The dialling end, waiting for its reply.
pub(crate) struct Initiator(HandshakeState);

impl Initiator {
    pub(crate) fn start(
        hello: &Hello,
        keys: DialKeys<'_>,
        wire: &mut Wire,
    ) -> Result<Self, DownReason> {
        let preamble = hello.preamble();
        let mut builder = builder(hello.port, &preamble)?
            .remote_public_key(keys.remote)
            .map_err(|_| DownReason::WrongKey)?;
        if let (Port::Peers, Some(private)) = (hello.port, keys.private) {
            builder = builder
                .local_private_key(private)
                .map_err(|_| DownReason::WrongKey)?;
        }
        let mut noise = builder
            .build_initiator()
            .map_err(|_| DownReason::WrongKey)?;
        let mut message = [0; NOISE_LEN];
        noise
            .write_message(&[], &mut message)
            .map_err(|_| DownReason::WrongKey)?;
        wire.append_small(&preamble);
        wire.append_small(&message);
        Ok(Self(noise))
    }

    /// `None`: more bytes are needed.
    pub(crate) fn reply(&mut self, have: &[u8]) -> Result<Option<SessionKeys>, DownReason> {
        match have {
            [mark, ..] if *mark != REPLY_MARK => return Err(DownReason::BadPreamble),
            [_, ACCEPTED, message @ ..] if message.len() == NOISE_LEN => {
                self.0
                    .read_message(message, &mut [])
                    .map_err(|_| DownReason::WrongKey)?;
            }
            [_, ACCEPTED, ..] | [_] | [] => return Ok(None),
            [_, code, ..] => {
                let hint = DownReason::ALL.get(usize::from(*code) - 1).copied();
                return Err(hint.unwrap_or(DownReason::BadPreamble));
            }
        }
        let (to_acceptor, to_initiator) = self.0.dangerously_get_raw_split();
        Ok(Some(SessionKeys {
            send: to_acceptor,
            receive: to_initiator,
        }))
    }
}

/// The accepting end in one step: checks the proof of message 1 and writes message 2.
pub(crate) fn answer(
    hello: &Hello,
    private_key: &[u8; 32],
    expected: Option<&[u8; 32]>,
    wire: &mut Wire,
) -> Result<SessionKeys, DownReason> {
    let preamble = hello.preamble();
    let mut builder = builder(hello.port, &preamble)?
        .local_private_key(private_key)
        .map_err(|_| DownReason::WrongKey)?;
    match (hello.port, expected) {
        (Port::Peers, Some(expected)) => {
            builder = builder
                .remote_public_key(expected)
                .map_err(|_| DownReason::WrongKey)?;
        }
        (Port::Clients, None) => {}
        _ => return Err(DownReason::WrongKey),
    }
    let mut noise = builder
        .build_responder()
        .map_err(|_| DownReason::WrongKey)?;
    noise
        .read_message(&hello.noise, &mut [])
        .map_err(|_| DownReason::WrongKey)?;
    let mut message = [0; NOISE_LEN];
    noise
        .write_message(&[], &mut message)
        .map_err(|_| DownReason::WrongKey)?;
    wire.append_small(&[REPLY_MARK, ACCEPTED]);
    wire.append_small(&message);
    let (to_acceptor, to_initiator) = noise.dangerously_get_raw_split();
    Ok(SessionKeys {
        send: to_initiator,
        receive: to_acceptor,
    })
}

fn builder(port: Port, prologue: &[u8; PREAMBLE_LEN]) -> Result<Builder<'_>, DownReason> {
    let pattern = match port {
        Port::Peers => "Noise_KK_25519_ChaChaPoly_BLAKE2s",
        Port::Clients => "Noise_NK_25519_ChaChaPoly_BLAKE2s",
    };
    let params = pattern.parse().map_err(|_| DownReason::BadPreamble)?;
    Builder::new(params)
        .prologue(prologue)
        .map_err(|_| DownReason::BadPreamble)
}
