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
