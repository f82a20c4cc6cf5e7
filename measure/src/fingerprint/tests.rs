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
