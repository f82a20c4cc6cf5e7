use super::*;

#[test]
fn this_host_has_a_fingerprint_that_survives_json() {
    let here = Fingerprint::collect();
    assert!(here.cpus >= 1);
    assert!(here.kernel.as_deref().is_some_and(|k| !k.is_empty()));
    assert!(here.memory_bytes.is_some_and(|bytes| bytes > 1 << 20));
    assert_eq!(here.binary_hash.as_deref().map(str::len), Some(64));
    let text = serde_json::to_string(&here).unwrap();
    assert_eq!(serde_json::from_str::<Fingerprint>(&text).unwrap(), here);
}

#[test]
fn fields_are_found_by_their_whole_name() {
    let cpuinfo = "cpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\nflags\t\t: aes avx2\n";
    assert_eq!(
        cpu_field(cpuinfo, "model name").as_deref(),
        Some("AMD EPYC")
    );
    assert_eq!(cpu_field(cpuinfo, "flags").as_deref(), Some("aes avx2"));
    assert_eq!(cpu_field(cpuinfo, "nothing"), None);
    assert_eq!(memory_bytes("MemTotal:       1024 kB\n"), Some(1 << 20));
    assert_eq!(memory_bytes("MemTotal: many kB\n"), None);
}

#[test]
fn unlike_machines_and_programs_are_told_apart() {
    let here = Fingerprint::collect();
    assert!(here.unlike_machine(&here).is_empty());
    assert!(here.unlike_program(&here).is_empty());
    // How busy it was is no difference between machines.
    let mut busy = here.clone();
    busy.load_average_hundredths = Some(12_345);
    assert!(here.unlike_machine(&busy).is_empty());
    let mut other = here.clone();
    other.cpus += 1;
    other.governor = Some("another".into());
    other.binary_hash = None;
    let machine = here.unlike_machine(&other);
    assert_eq!(machine.len(), 2, "{machine:?}");
    assert!(machine[0].starts_with("CPUs: "), "{machine:?}");
    let program = here.unlike_program(&other);
    assert!(program[0].starts_with("binary hash: Some("), "{program:?}");
}
