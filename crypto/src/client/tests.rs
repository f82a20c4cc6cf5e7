use types::batch::{GroupBuilder, digest, groups};

use super::*;
use crate::fixture::World;
use crate::job::{Done, Job};
use crate::list::Ed25519Lists;

fn batch(cluster: &ClusterId, clients: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let mut builder = GroupBuilder::new();
    for client in 0..clients {
        let key = ClientKey::from_seed(&[client; 32]);
        builder.push(1, b"pay");
        builder.push(2, &[client; 30]);
        builder.finish_signed(cluster, key.public(), |bytes| key.sign(bytes), &mut out);
    }
    out
}

#[test]
fn batches_of_signed_groups_pass_as_a_whole_or_not_at_all() {
    let world = World::<Ed25519Lists>::new(1);
    let epoch = &world.epoch;
    let valid = batch(&epoch.cluster, 5);
    assert_eq!(check_groups(epoch, &valid), Ok(10));
    assert_eq!(check_groups(epoch, &[]), Ok(0));
    let done = world.verifier.run(
        epoch,
        Job::Groups {
            digest: digest(&valid),
            batch: valid.clone().into(),
        },
    );
    assert_eq!(
        done,
        Done::Groups {
            digest: digest(&valid),
            ok: Ok(10)
        }
    );
    let group = valid.len() / 5;
    // Each byte of the second group: session, key, signature, body.
    for at in group..2 * group {
        let mut spoiled = valid.clone();
        spoiled[at] ^= 1;
        assert!(
            check_groups(epoch, &spoiled).is_err(),
            "byte {}",
            at - group
        );
    }
    assert!(check_groups(epoch, &valid[..valid.len() - 1]).is_err());
    let elsewhere = World::<Ed25519Lists>::salted(1, 8).epoch;
    assert_eq!(
        check_groups(&elsewhere, &valid),
        Err(Reject::Signature { what: "batch" })
    );
}

#[test]
fn an_unsigned_group_spoils_a_signed_batch() {
    let world = World::<Ed25519Lists>::new(1);
    let mut mixed = batch(&world.epoch.cluster, 1);
    let mut builder = GroupBuilder::new();
    builder.push(1, b"anonymous");
    builder.finish(&[1; 16], &mut mixed);
    let refused = check_groups(&world.epoch, &mixed).unwrap_err().to_string();
    assert!(refused.contains("not signed"), "{refused}");
    let verdicts: Vec<bool> = groups(&mixed)
        .map(|group| verify_group(&world.epoch.cluster, &group))
        .collect();
    assert_eq!(verdicts, [true, false]);
}

#[test]
fn nobody_uses_the_session_of_another_key() {
    let cluster = World::<Ed25519Lists>::new(1).epoch.cluster;
    let (victim, thief) = (
        ClientKey::from_seed(&[1; 32]),
        ClientKey::generate().unwrap(),
    );
    let mut out = Vec::new();
    let mut builder = GroupBuilder::new();
    builder.push(1, b"x");
    builder.finish_signed(
        &cluster,
        thief.public(),
        |bytes| thief.sign(bytes),
        &mut out,
    );
    let mut group = groups(&out).next().unwrap();
    assert!(verify_group(&cluster, &group));
    group.session = victim.session();
    assert!(!verify_group(&cluster, &group));
    // Not even with a signature that binds the victim's session.
    let signature = thief.sign(&signed_bytes(&cluster, &group.session, group.body));
    group.auth.as_mut().unwrap().signature = &signature;
    assert!(!verify_group(&cluster, &group));
}
