//! Committee and key files, in TOML: `committee.toml` is public, `keys/replica-<i>.toml` is for its
//! owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use types::{CommitRule, Committee, Member, ReplicaId, SchemeName};
use zeroize::{Zeroize, Zeroizing};

use crate::error::{KeyError, KeyFileError};
use crate::hex;
use crate::keys::Secrets;

/// 128 members of a few hundred bytes each fit several times.
const FILE_LEN_MAX: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommitteeFile {
    scheme: String,
    rule: String,
    /// `F`; the largest that recovery can reckon with if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    envelope: Option<usize>,
    /// How many of the last members are standbys; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    standbys: Option<usize>,
    members: Vec<MemberEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberEntry {
    vote_key: String,
    possession: String,
    identity_key: String,
    link_key: String,
    peer_addr: String,
    client_addr: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretFile {
    replica: u16,
    vote: String,
    identity: String,
    link: String,
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        self.vote.zeroize();
        self.identity.zeroize();
        self.link.zeroize();
    }
}

/// `DIR/keys/replica-<i>.toml`
pub fn secret_path(dir: &Path, replica: ReplicaId) -> PathBuf {
    dir.join("keys").join(format!("replica-{replica}.toml"))
}

/// Writes `DIR/keys/replica-<i>.toml` (mode 0600) for every replica, then `DIR/committee.toml`: where
/// that file is, the folder is complete. Overwrites nothing.
pub fn write_keygen(
    dir: &Path,
    committee: &Committee,
    secrets: &[Secrets],
) -> Result<(), KeyFileError> {
    let committee_path = dir.join("committee.toml");
    if committee_path.exists() {
        return Err(KeyFileError::Exists {
            path: committee_path,
        });
    }
    let keys = dir.join("keys");
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&keys)
        .map_err(|source| KeyFileError::Io { path: keys, source })?;
    for (secrets, seat) in secrets.iter().zip(0..) {
        let file = SecretFile {
            replica: seat,
            vote: hex::encode(secrets.vote_seed()),
            identity: hex::encode(secrets.identity_seed()),
            link: hex::encode(secrets.link_secret()),
        };
        let path = secret_path(dir, ReplicaId(seat));
        let text = Zeroizing::new(to_toml(&path, &file)?);
        write_new(&path, 0o600, &text)?;
    }
    let text = to_toml(&committee_path, &CommitteeFile::from(committee))?;
    write_new(&committee_path, 0o644, &text)
}

/// Reads a committee. Its keys are checked by [`crate::Engine::new`].
pub fn load_committee(path: &Path) -> Result<Committee, KeyFileError> {
    let file: CommitteeFile = from_toml(path, &read(path, false)?)?;
    let scheme = SchemeName::from_name(&file.scheme).ok_or_else(|| KeyFileError::Value {
        path: path.into(),
        field: "scheme",
        found: file.scheme.clone(),
        expected: "`bls` or `ed25519`",
    })?;
    let rule = CommitRule::from_name(&file.rule).ok_or_else(|| KeyFileError::Value {
        path: path.into(),
        field: "rule",
        found: file.rule.clone(),
        expected: "`three-chain` or `two-chain`",
    })?;
    if !(1..=types::limits::REPLICAS_MAX).contains(&file.members.len()) {
        let source = KeyError::CommitteeSize {
            found: file.members.len(),
            limit: types::limits::REPLICAS_MAX,
        };
        return Err(KeyFileError::Key {
            path: path.into(),
            source,
        });
    }
    let members = file
        .members
        .into_iter()
        .enumerate()
        .map(|(seat, entry)| entry.into_member(path, seat))
        .collect::<Result<Vec<_>, _>>()?;
    let seats = members.len();
    let standbys = file.standbys.unwrap_or(0);
    let active = seats.saturating_sub(standbys);
    let envelope = file
        .envelope
        .unwrap_or_else(|| types::committee::envelope(active));
    let bad = |field, found: usize, expected| KeyFileError::Value {
        path: path.into(),
        field,
        found: found.to_string(),
        expected,
    };
    if active == 0 {
        return Err(bad("standbys", standbys, "fewer than there are members"));
    }
    if envelope >= types::committee::quorum(active) {
        return Err(bad("envelope", envelope, "less than the quorum"));
    }
    Ok(Committee {
        members,
        scheme,
        rule,
        envelope,
        standbys,
    })
}

/// Reads a replica's secrets, and checks that all three are those of its seat in `committee`. Refuses
/// a file that others may read.
pub fn load_secrets(
    path: &Path,
    committee: &Committee,
) -> Result<(ReplicaId, Secrets), KeyFileError> {
    let file: SecretFile = from_toml(path, &read(path, true)?)?;
    let secrets = Secrets::from_seeds(
        array(path, "vote", &file.vote)?,
        array(path, "identity", &file.identity)?,
        array(path, "link", &file.link)?,
    );
    let replica = ReplicaId(file.replica);
    crate::keys::check_seat(committee, replica, &secrets).map_err(|source| KeyFileError::Key {
        path: path.into(),
        source,
    })?;
    Ok((replica, secrets))
}

impl From<&Committee> for CommitteeFile {
    fn from(committee: &Committee) -> CommitteeFile {
        let entry = |member: &Member| MemberEntry {
            vote_key: hex::encode(&member.vote_key),
            possession: hex::encode(&member.possession),
            identity_key: hex::encode(&member.identity_key),
            link_key: hex::encode(&member.link_key),
            peer_addr: member.peer_addr.clone(),
            client_addr: member.client_addr.clone(),
        };
        CommitteeFile {
            scheme: committee.scheme.name().into(),
            rule: committee.rule.name().into(),
            envelope: Some(committee.envelope),
            standbys: (committee.standbys > 0).then_some(committee.standbys),
            members: committee.members.iter().map(entry).collect(),
        }
    }
}

impl MemberEntry {
    fn into_member(self, path: &Path, seat: usize) -> Result<Member, KeyFileError> {
        let field = |name| format!("members[{seat}].{name}");
        Ok(Member {
            vote_key: bytes(path, &field("vote_key"), &self.vote_key)?,
            possession: bytes(path, &field("possession"), &self.possession)?,
            identity_key: array(path, &field("identity_key"), &self.identity_key)?,
            link_key: array(path, &field("link_key"), &self.link_key)?,
            peer_addr: self.peer_addr,
            client_addr: self.client_addr,
        })
    }
}

fn bytes(path: &Path, field: &str, text: &str) -> Result<Vec<u8>, KeyFileError> {
    hex::decode(text).ok_or_else(|| KeyFileError::Hex {
        path: path.into(),
        field: field.into(),
    })
}

fn array(path: &Path, field: &str, text: &str) -> Result<[u8; 32], KeyFileError> {
    let bytes = Zeroizing::new(bytes(path, field, text)?);
    bytes[..].try_into().map_err(|_| KeyFileError::Length {
        path: path.into(),
        field: field.into(),
        found: bytes.len(),
        expected: 32,
    })
}

fn io_error(path: &Path, source: std::io::Error) -> KeyFileError {
    let path = path.into();
    match source.kind() {
        ErrorKind::NotFound => KeyFileError::Missing { path },
        ErrorKind::AlreadyExists => KeyFileError::Exists { path },
        _ => KeyFileError::Io { path, source },
    }
}

fn read(path: &Path, is_secret: bool) -> Result<Zeroizing<String>, KeyFileError> {
    let mut file = File::open(path).map_err(|source| io_error(path, source))?;
    // Of the open file: what is checked is what is read.
    let metadata = file.metadata().map_err(|source| io_error(path, source))?;
    let mode = metadata.mode() & 0o777;
    if is_secret && mode & 0o077 != 0 {
        return Err(KeyFileError::Permissions {
            path: path.into(),
            mode,
        });
    }
    if metadata.len() > FILE_LEN_MAX {
        return Err(KeyFileError::TooLong {
            path: path.into(),
            found: metadata.len(),
            limit: FILE_LEN_MAX,
        });
    }
    let mut text = Zeroizing::new(String::with_capacity(metadata.len() as usize + 1));
    (&mut file)
        .take(FILE_LEN_MAX)
        .read_to_string(&mut text)
        .map_err(|source| io_error(path, source))?;
    Ok(text)
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), KeyFileError> {
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|source| io_error(path, source))
}

fn to_toml<T: Serialize>(path: &Path, value: &T) -> Result<String, KeyFileError> {
    toml::to_string(value).map_err(|error| KeyFileError::Syntax {
        path: path.into(),
        why: error.to_string(),
    })
}

fn from_toml<T: for<'a> Deserialize<'a>>(path: &Path, text: &str) -> Result<T, KeyFileError> {
    toml::from_str(text).map_err(|error| KeyFileError::Syntax {
        path: path.into(),
        // The error's own text would quote the line, which may be a secret.
        why: match error.span() {
            Some(span) => {
                let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
                format!("line {line}: {}", error.message())
            }
            None => error.message().to_owned(),
        },
    })
}

#[cfg(test)]
mod tests;
