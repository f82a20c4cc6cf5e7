use super::*;

fn section(after_s: Option<u64>) -> ProfileSection {
    ProfileSection {
        after_s,
        duration_s: 1,
        hz: 999,
        dir: None,
    }
}

/// Burns CPU until the kernel has counted `ms` of it for this process.
fn burn(ms: u64) {
    let until_s = measure::Usage::of_this_process().cpu_s() + ms as f64 * 1e-3;
    let mut sum = 0u64;
    while measure::Usage::of_this_process().cpu_s() < until_s {
        sum = (0..10_000).fold(sum, |sum, n| std::hint::black_box(sum ^ n));
    }
}

#[test]
fn a_window_leaves_a_flamegraph_and_folded_stacks() {
    let folder = tempfile::tempdir().unwrap();
    let mut profiler = Profiler::new(section(Some(2)), folder.path().to_path_buf(), 0);
    profiler.tick(1_999_999_999);
    assert!(profiler.running.is_none());
    profiler.tick(2_000_000_000);
    assert!(profiler.running.is_some());
    burn(300);
    profiler.tick(2_999_999_999);
    assert!(profiler.running.is_some());
    profiler.tick(3_000_000_000);
    assert!(profiler.running.is_none());
    let svg = std::fs::read_to_string(folder.path().join("profile-0.svg")).unwrap();
    assert!(svg.contains("<svg"));
    let folded = std::fs::read_to_string(folder.path().join("profile-0.folded")).unwrap();
    assert!(folded.lines().any(|line| line.contains("burn")), "{folded}");
    for line in folded.lines() {
        let (_, count) = line.rsplit_once(' ').unwrap();
        assert!(count.parse::<u64>().unwrap() > 0, "{line}");
    }
    // Only one profile at a time, but one after the other.
    profiler.toggle(4_000_000_000);
    profiler.toggle(4_100_000_000);
    assert!(folder.path().join("profile-1.svg").exists());
}
