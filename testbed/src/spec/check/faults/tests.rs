use measure::{Direction, FaultAction};

use crate::spec::Spec;

fn read(provider: &str, faults: &str) -> Result<Spec, String> {
    let text = format!("name = \"x\"\nprovider = \"{provider}\"\nfaults = [{faults}]\n");
    Spec::from_toml(&text, "x.toml", &[]).map_err(|error| error.to_string())
}

fn refused(provider: &str, faults: &str, part: &str) {
    let error = read(provider, faults).expect_err(faults);
    assert!(error.contains(part), "{part:?} is missing in: {error}");
}

const CUT: &str = "{ at_s = 1, action = \"partition\", replica = 3 },";
const ONE_WAY: &str =
    "{ at_s = 1, action = \"partition\", replica = 3, peers = [0], direction = \"out\" },";
const NARROW: &str =
    "{ at_s = 1, action = \"host-bandwidth\", replica = 1, bandwidth_bytes_per_s = 1000000 },";

#[test]
fn what_needs_a_network_is_refused_elsewhere() {
    for provider in ["local", "netns", "ssh"] {
        read(provider, CUT).unwrap();
    }
    for provider in ["local", "ssh"] {
        refused(provider, ONE_WAY, "needs provider = \"netns\"");
        refused(provider, NARROW, "needs provider = \"netns\"");
    }
    let spec = read("netns", &format!("{ONE_WAY}{NARROW}")).unwrap();
    let fault = &spec.points()[0].faults[0];
    assert_eq!(
        (fault.action, fault.direction),
        (FaultAction::Partition, Direction::Out)
    );
    let again = Spec::from_toml(&spec.resolved_toml(), "again.toml", &[]).unwrap();
    assert_eq!(again.hash(), spec.hash());
}

#[test]
fn what_a_fault_has_no_use_for_is_refused() {
    let one = |rest: &str| format!("{{ at_s = 1, replica = 0, {rest} }}");
    for (rest, part) in [
        ("action = \"crash\", peers = [1]", "peers are of"),
        ("action = \"partition\", peers = [0]", "peers are of"),
        ("action = \"heal\", peers = [1, 1]", "peers are of"),
        ("action = \"heal\", peers = [4]", "replica 4 does not exist"),
        ("action = \"heal\", direction = \"in\"", "direction is of"),
        ("action = \"partition\", delay_ms = 5", "delay_ms is of"),
        ("action = \"shape\", delay_ms = -1", "delay_ms is of"),
        (
            "action = \"pause\", bandwidth_bytes_per_s = 5000",
            "bandwidth_bytes_per_s is of",
        ),
        (
            "action = \"shape\", bandwidth_bytes_per_s = 5",
            "bandwidth_bytes_per_s is of",
        ),
        ("action = \"disk-full\"", "`reforge sim` has them"),
    ] {
        refused("netns", &one(rest), part);
    }
}

#[test]
fn who_is_told_must_listen() {
    let pause = "{ at_s = 0, action = \"pause\", replica = 2 },";
    let crash = "{ at_s = 0, action = \"crash\", replica = 2 },";
    let restart = "{ at_s = 2, action = \"restart\", replica = 2 },";
    let shape = "{ at_s = 1, action = \"shape\", replica = 2, delay_ms = 5 },";
    refused(
        "local",
        &format!("{pause}{CUT}"),
        "replica 2, which is Paused",
    );
    read("netns", &format!("{pause}{CUT}")).unwrap();
    // Who is down has no links.
    read("local", &format!("{crash}{CUT}")).unwrap();
    refused("netns", &format!("{crash}{shape}"), "which is Down");
    refused(
        "local",
        &format!("{crash}{CUT}{restart}"),
        "within a partition",
    );
    read("netns", &format!("{crash}{CUT}{restart}")).unwrap();
}

#[test]
fn only_namespaces_limit_hosts_and_only_loopback_is_measured() {
    let read = |text: &str| {
        Spec::from_toml(&format!("name = \"x\"\n{text}"), "x.toml", &[])
            .map_err(|error| error.to_string())
    };
    let limit = "[network]\nhost_bandwidth_bytes_per_s = 1000000\n";
    assert!(read(limit).unwrap_err().contains("needs provider"));
    read(&format!("provider = \"netns\"\n{limit}")).unwrap();
    let error = read("provider = \"ssh\"\ndissemination_s = 3\n").unwrap_err();
    assert!(error.contains("no bound of provider ssh"), "{error}");
}
