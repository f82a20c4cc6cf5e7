use super::*;

#[test]
fn links_have_the_delays_of_their_regions() {
    let text = "name = \"x\"\n[axes]\nreplicas = 4\n[wan]\nrtt_ms = [[1, 60], [60, 2]]\n";
    let spec = Spec::from_toml(text, "x.toml", &[]).unwrap();
    let delays = |index| -> Vec<(i64, f64)> {
        let shapes = shapes(&spec, &spec.points()[0], index);
        let pair = |shape: &Value| {
            let to = shape["to"].as_integer().unwrap();
            (to, shape["delay_ms"].as_float().unwrap())
        };
        shapes.iter().map(pair).collect()
    };
    assert_eq!(delays(0), [(1, 30.0), (2, 0.5), (3, 30.0)]);
    assert_eq!(delays(3), [(0, 30.0), (1, 1.0), (2, 30.0)]);
}

fn sample() -> (Spec, Point) {
    let overrides = [
        "axes.durability=memory",
        "axes.rate_tps=1000",
        "axes.recovery=false",
        "axes.delay_ms=25",
        "load.generators=4",
        "node.lanes.batch_bytes=4096",
        "node.transport.zero_copy=true",
    ];
    let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
    let spec = Spec::from_toml("name = \"x\"", "x.toml", &overrides).unwrap();
    let point = spec.points().remove(0);
    (spec, point)
}

#[test]
fn a_replica_gets_its_axes_places_and_free_keys() {
    let (spec, point) = sample();
    let addresses = Addresses {
        peer: "127.0.0.1:1".into(),
        client: "127.0.0.1:2".into(),
        metrics: "127.0.0.1:3".into(),
    };
    let paths = NodePaths {
        committee: Path::new("/run \"x\"/committee.toml"),
        keys: Path::new("/k"),
        data: Path::new("/d"),
        report: Path::new("/r"),
        control: Some(Path::new("/c")),
    };
    let table: Table = node(&spec, &point, 0, &addresses, &paths).parse().unwrap();
    assert_eq!(
        table["committee"].as_str(),
        Some("/run \"x\"/committee.toml")
    );
    assert_eq!(table["durability"].as_str(), Some("memory"));
    assert_eq!(table["metrics_addr"].as_str(), Some("127.0.0.1:3"));
    assert_eq!(table["stop_on_stdin_eof"].as_bool(), Some(true));
    assert_eq!(table["lanes"]["batch_bytes"].as_integer(), Some(4096));
    // A free key joins the section that an axis lives in.
    assert_eq!(table["transport"]["zero_copy"].as_bool(), Some(true));
    assert_eq!(table["transport"]["backend"].as_str(), Some("epoll"));
    assert_eq!(table["recovery"]["enabled"].as_bool(), Some(false));
    assert_eq!(table["control"]["socket"].as_str(), Some("/c"));
    let shape = &table["transport"]["shape"][0];
    assert_eq!(shape["delay_ms"].as_float(), Some(25.0));
    for key in NODE_KEYS {
        let mut parts = key.split('.');
        let first = parts.next().and_then(|part| table.get(part));
        assert!(
            parts.fold(first, |value, part| value?.get(part)).is_some(),
            "{key}"
        );
    }
}

#[test]
fn generators_share_the_rate_and_nothing_else() {
    let (spec, point) = sample();
    let one = |index| -> Table {
        load(&spec, &point, index, Path::new("/c"), Path::new("/o"), 77)
            .parse()
            .unwrap()
    };
    let (first, second) = (one(0), one(1));
    assert_eq!(first["rate"].as_float(), Some(250.0));
    assert_eq!(first["start_at"].as_integer(), Some(77));
    assert_ne!(first["seed"], second["seed"]);
    assert_eq!(second["generator"].as_integer(), Some(1));
    let known = |key: &str| LOAD_KEYS.contains(&key);
    assert!(first.keys().all(|key| known(key)), "{first}");
}
