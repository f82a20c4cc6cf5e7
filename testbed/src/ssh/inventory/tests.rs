use super::{Inventory, Role};

fn parse(more: &str) -> Result<Inventory, String> {
    let dir = tempfile::tempdir().unwrap();
    for name in ["known_hosts", "key"] {
        std::fs::write(dir.path().join(name), "").unwrap();
    }
    let text = format!(
        "known_hosts = \"known_hosts\"\n[[host]]\nname = \"a\"\naddress = \"10.0.0.1\"\n\
         user = \"lab\"\nidentity = \"key\"\n{more}"
    );
    Inventory::from_toml(&text, dir.path())
}

#[test]
fn a_short_inventory_has_defaults() {
    let inventory = parse("").unwrap();
    let host = &inventory.host[0];
    assert_eq!((host.port, host.first_port), (22, 7000));
    assert_eq!(host.internal(), "10.0.0.1");
    assert!(host.identity.is_absolute() && inventory.known_hosts.is_absolute());
    assert_eq!(inventory.of(Role::Load).collect::<Vec<_>>(), [0]);
}

#[test]
fn what_a_shell_could_misread_is_refused() {
    for (more, found) in [
        ("work = \"a; rm b\"", "work"),
        ("work = \"-x\"", "work"),
        ("internal = \"host.example\"", "internal"),
        ("role = \"replica\"", "generators"),
        ("colour = 1", "colour"),
        ("port = 70000", "port"),
    ] {
        let error = parse(more).unwrap_err();
        assert!(error.contains(found), "{more}: {error}");
    }
}

#[test]
fn command_lines_trust_the_known_hosts_alone() {
    let inventory = parse("port = 2022").unwrap();
    let command = inventory.host[0].ssh(&inventory.known_hosts, "true");
    let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
    let line = arguments.join(" ");
    for part in [
        "-F none",
        "StrictHostKeyChecking=yes",
        "GlobalKnownHostsFile=/dev/null",
        "-p 2022 -l lab -- 10.0.0.1 true",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
}
