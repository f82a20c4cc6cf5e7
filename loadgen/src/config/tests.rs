use super::*;

const LEAST: &str = "committee = \"c.toml\"\nout_dir = \"out\"\nrate = 1000\nduration_s = 2\n";

#[test]
fn defaults_are_the_documented_ones() {
    let config = LoadConfig::from_toml(LEAST).unwrap();
    assert_eq!(config.size_bytes, 512);
    assert_eq!(config.sessions, 64);
    assert_eq!(config.cooldown_s, 2.0);
    assert_eq!(config.connections, None);
    assert_eq!(config.auth, Auth::None);
    assert!(!config.trust_unchecked);
    assert_eq!(config.failover_ms, 1_000);
    assert_eq!(config.backend().unwrap(), Backend::Epoll);
}

#[test]
fn unknown_keys_are_named() {
    let error = LoadConfig::from_toml(&format!("{LEAST}ratee = 3\n")).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("ratee") && text.contains("line 5"), "{text}");
}

#[test]
fn values_out_of_range_are_named() {
    for (line, key) in [
        ("sessions = 0", "sessions"),
        ("size_bytes = 3", "size_bytes"),
        ("keys = 1", "keys"),
        ("backend = \"kqueue\"", "backend"),
        ("cooldown_s = -1.0", "cooldown_s"),
        ("connections = 0", "connections"),
        ("replicas = []", "replicas"),
        ("warmup_s = nan", "warmup_s"),
    ] {
        let error = LoadConfig::from_toml(&format!("{LEAST}{line}\n")).unwrap_err();
        let LoadError::ConfigValue { key: found, .. } = error else {
            panic!("{line}: {error}");
        };
        assert_eq!(found, key);
    }
    for line in [
        "arrival = \"bursty\"",
        "workload = \"get\"",
        "auth = \"tls\"",
    ] {
        let error = LoadConfig::from_toml(&format!("{LEAST}{line}\n")).unwrap_err();
        assert!(matches!(error, LoadError::ConfigSyntax(_)), "{line}");
    }
}

#[test]
fn coalescing_follows_the_rate_and_yields_to_the_key() {
    let with = |extra: &str| LoadConfig::from_toml(&format!("{LEAST}{extra}")).unwrap();
    assert_eq!(with("").coalesce_ns(), 0);
    let mut fast = with("");
    fast.rate = 50_000.0;
    assert_eq!(fast.coalesce_ns(), 500_000);
    fast.rate = 900_000.0;
    assert_eq!(fast.coalesce_ns(), 1_000_000);
    fast.coalesce_us = Some(20);
    assert_eq!(fast.coalesce_ns(), 20_000);
}

#[test]
fn a_config_survives_its_own_text() {
    let config = LoadConfig::from_toml(&format!("{LEAST}auth = \"signed\"\nstart_at = 7\n"));
    let config = config.unwrap();
    let text = toml::to_string(&config).unwrap();
    assert_eq!(LoadConfig::from_toml(&text).unwrap(), config);
}
