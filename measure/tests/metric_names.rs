//! Metric names follow the Prometheus conventions and are unique.

use std::collections::BTreeSet;

use measure::metrics::{ALL, markdown_table};

#[test]
fn names_are_unique_prefixed_and_typed() {
    let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), ALL.len());
    for metric in ALL {
        assert!(metric.name.starts_with("reforge_"), "{}", metric.name);
        assert_eq!(
            metric.kind == "counter",
            metric.name.ends_with("_total"),
            "{}",
            metric.name
        );
        assert!(markdown_table().contains(metric.name));
    }
}

#[test]
fn the_docs_hold_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let text = std::fs::read_to_string(path).unwrap();
    let table = markdown_table();
    assert!(
        text.contains(&table),
        "docs/metrics.md is out of date; expected in it:\n{table}"
    );
}
