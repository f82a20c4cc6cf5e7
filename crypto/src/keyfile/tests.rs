use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::bls::Bls;
use crate::engine::Engine;
use crate::fixture::addresses;
use crate::keys::keygen;
use crate::list::Ed25519Lists;

struct Keys {
    dir: tempfile::TempDir,
    committee: Committee,
    secrets: Vec<Secrets>,
}

impl Keys {
    fn new(scheme: SchemeName) -> Keys {
        let dir = tempfile::tempdir().unwrap();
        let (committee, secrets) = keygen(scheme, CommitRule::ThreeChain, &addresses(4)).unwrap();
        write_keygen(dir.path(), &committee, &secrets).unwrap();
        Keys {
            dir,
            committee,
            secrets,
        }
    }

    fn committee_path(&self) -> PathBuf {
        self.dir.path().join("committee.toml")
    }

    fn secret_path(&self, seat: u16) -> PathBuf {
        secret_path(self.dir.path(), ReplicaId(seat))
    }

    /// What loading says after `from` was replaced by `to` in replica 1's file.
    fn after(&self, from: &str, to: &str) -> String {
        let path = self.secret_path(1);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let said = load_secrets(&path, &self.committee)
            .unwrap_err()
            .to_string();
        fs::write(&path, &text).unwrap();
        assert!(said.contains("replica-1.toml"), "{said}");
        for key in [self.secrets[1].vote_seed(), self.secrets[1].link_secret()] {
            assert!(!said.contains(&hex::encode(&key[8..16])), "quotes a secret");
        }
        said
    }
}

#[test]
fn what_is_written_is_read_again() {
    for scheme in [SchemeName::Bls, SchemeName::Ed25519] {
        let keys = Keys::new(scheme);
        let committee = load_committee(&keys.committee_path()).unwrap();
        assert_eq!(committee, keys.committee);
        for seat in 0..4 {
            let me = load_secrets(&keys.secret_path(seat), &committee).unwrap();
            assert_eq!(
                me,
                (ReplicaId(seat), keys.secrets[usize::from(seat)].clone())
            );
            match scheme {
                SchemeName::Bls => assert!(Engine::<Bls>::new(&committee, Some(me)).is_ok()),
                _ => assert!(Engine::<Ed25519Lists>::new(&committee, Some(me)).is_ok()),
            }
        }
    }
}

#[test]
fn secrets_are_for_their_owner_alone() {
    let keys = Keys::new(SchemeName::Ed25519);
    let path = keys.secret_path(2);
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&keys.dir.path().join("keys")), 0o700);
    for open in [0o640, 0o604, 0o660, 0o601] {
        fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
        let said = load_secrets(&path, &keys.committee)
            .unwrap_err()
            .to_string();
        assert!(said.contains(&format!("mode {open:o}")) && said.contains("chmod 600"));
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(load_secrets(&path, &keys.committee).is_ok());
}

#[test]
fn keys_are_never_overwritten() {
    let keys = Keys::new(SchemeName::Ed25519);
    let write = || write_keygen(keys.dir.path(), &keys.committee, &keys.secrets);
    assert!(matches!(write(), Err(KeyFileError::Exists { .. })));
    fs::remove_file(keys.committee_path()).unwrap();
    let refused = write().unwrap_err().to_string();
    assert!(
        refused.contains("replica-0.toml: already exists"),
        "{refused}"
    );
    assert!(!keys.committee_path().exists());
}

#[test]
fn each_defect_of_a_key_file_is_named() {
    let keys = Keys::new(SchemeName::Ed25519);
    let said = |from: &str, to: &str, expected: &str| {
        let said = keys.after(from, to);
        assert!(
            said.contains(expected),
            "expected `{expected}`, found `{said}`"
        );
    };
    let vote = hex::encode(keys.secrets[1].vote_seed());
    let link = hex::encode(keys.secrets[1].link_secret());
    said(&vote, &vote[2..], "`vote` has 31 bytes, expected 32");
    said(&vote, &vote[1..], "`vote` is not hexadecimal");
    said(
        &vote,
        &vote.replace(&vote[..2], "zz"),
        "`vote` is not hexadecimal",
    );
    said(&link, "é", "`link` is not hexadecimal");
    let other = hex::encode(keys.secrets[2].vote_seed());
    said(&vote, &other, "vote key is not that of replica 1");
    let other = hex::encode(keys.secrets[2].link_secret());
    said(&link, &other, "link key is not that of replica 1");
    said(
        "replica = 1",
        "replica = 2",
        "vote key is not that of replica 2",
    );
    said(
        "replica = 1",
        "replica = 4",
        "replica 4 is not one of the committee's 4",
    );
    said("replica = 1", "replica = -1", "line 1");
    said("identity = ", "identitty = ", "line 3");
    said("link = \"", "link = ", "line 4");
    said("vote = ", "# ", "missing field");

    let missing = load_secrets(&keys.secret_path(9), &keys.committee).unwrap_err();
    assert!(missing.to_string().contains("not found; make it with"));
    let stranger = Keys::new(SchemeName::Ed25519).committee;
    let refused = load_secrets(&keys.secret_path(1), &stranger).unwrap_err();
    assert!(refused.to_string().contains("different clusters"));
}

#[test]
fn each_defect_of_a_committee_file_is_named() {
    let keys = Keys::new(SchemeName::Bls);
    let path = keys.committee_path();
    let text = fs::read_to_string(&path).unwrap();
    let said = |changed: String, expected: &str| {
        fs::write(&path, changed).unwrap();
        let said = load_committee(&path).unwrap_err().to_string();
        assert!(said.contains("committee.toml"), "{said}");
        assert!(
            said.contains(expected),
            "expected `{expected}`, found `{said}`"
        );
    };
    said(
        text.replace("\"bls\"", "\"rsa\""),
        "`scheme` is `rsa`, expected `bls` or `ed25519`",
    );
    said(
        text.replace("\"bls\"", "\"simulated\""),
        "`scheme` is `simulated`",
    );
    said(
        text.replace("three-chain", "one-chain"),
        "`rule` is `one-chain`",
    );
    let key = hex::encode(&keys.committee.members[2].identity_key);
    said(
        text.replace(&key, &key[2..]),
        "`members[2].identity_key` has 31 bytes",
    );
    said(
        text.replace(&key, "xy"),
        "`members[2].identity_key` is not hexadecimal",
    );
    said(text.replace("peer_addr", "address"), "unknown field");
    said(text[..text.len() / 2].to_owned(), "line");
    let header = &text[..text.find("[[members]]").unwrap()];
    said(format!("members = []\n{header}"), "committee of 0 members");
    said(" ".repeat(FILE_LEN_MAX as usize + 1), "at most");
    fs::remove_file(&path).unwrap();
    let missing = load_committee(&path).unwrap_err();
    assert!(matches!(missing, KeyFileError::Missing { .. }));
}

#[test]
fn hexadecimal_is_pairs_of_digits() {
    assert_eq!(hex::decode("00ffAb"), Some(vec![0, 255, 0xab]));
    assert_eq!(hex::decode(""), Some(vec![]));
    for bad in ["0", "0g", "+1", "é", " 00", "000"] {
        assert_eq!(hex::decode(bad), None, "{bad}");
    }
}
