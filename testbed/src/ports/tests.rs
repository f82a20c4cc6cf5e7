use super::*;

#[test]
fn ports_are_different_free_and_outside_the_ephemeral_range() {
    let ports = free_ports(90).unwrap();
    let unique: std::collections::BTreeSet<_> = ports.iter().collect();
    assert_eq!(unique.len(), 90);
    let file = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let range = outside_ephemeral(&file);
    assert!(ports.iter().all(|port| range.contains(port)));
}

#[test]
fn the_larger_side_of_the_ephemeral_range_is_taken() {
    assert_eq!(outside_ephemeral("32768\t60999\n"), 10_000..32_768);
    assert_eq!(outside_ephemeral("11000 20000"), 20_001..u16::MAX);
    // Nothing worth having is left: any port will have to do.
    assert_eq!(outside_ephemeral("1024 65535"), 10_000..u16::MAX);
    assert_eq!(outside_ephemeral("garbage"), 10_000..u16::MAX);
}

#[test]
fn too_few_ports_are_an_error_that_counts_them() {
    let error = free_ports(70_000).unwrap_err().to_string();
    assert!(error.contains("70000 free loopback ports"), "{error}");
}
