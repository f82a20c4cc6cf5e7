//! `fingerprint.json`: the host, the program and its source, as far as the system tells.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::folder::hash_file;

/// Commit and cleanliness of the source tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitState {
    /// Full commit id.
    pub commit: String,
    /// True when tracked files differ from the commit.
    pub dirty: bool,
    /// `build` when fixed at build time, `run` when read from the source tree at run time, which
    /// may have moved on since the binary was built: the binary's hash is the stronger witness.
    pub source: String,
}

/// What distinguishes this host and program from others. Unknown facts are absent, not guessed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// [`crate::SCHEMA_VERSION`].
    pub schema: u32,
    /// CPU model as the kernel names it.
    pub cpu_model: Option<String>,
    /// CPU flags that dispatch of hot code depends on, sorted.
    pub cpu_features: Vec<String>,
    /// Logical CPUs this process may use.
    pub cpus: u32,
    /// Frequency governor of the first CPU.
    pub governor: Option<String>,
    /// Total memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// Kernel command line mitigations and vulnerabilities, by name.
    pub mitigations: BTreeMap<String, String>,
    /// Current clock source.
    pub clock_source: Option<String>,
    /// Default TCP congestion control.
    pub tcp_congestion: Option<String>,
    /// Load average over one minute when the run began, in hundredths.
    pub load_average_hundredths: Option<u64>,
    /// Hypervisor or container hints (`hypervisor` CPU flag).
    pub virtual_machine: bool,
    /// blake3 of the running binary, hex.
    pub binary_hash: Option<String>,
    /// Version of the package.
    pub version: String,
    /// True for builds with debug assertions: their timings mean nothing.
    pub debug_build: bool,
    /// The source.
    pub git: Option<GitState>,
}

impl Fingerprint {
    /// Reads the host and the running binary; takes some tens of milliseconds.
    #[must_use]
    pub fn collect() -> Self {
        let cpuinfo = read("/proc/cpuinfo").unwrap_or_default();
        let flags = cpu_field(&cpuinfo, "flags")
            .or_else(|| cpu_field(&cpuinfo, "Features"))
            .unwrap_or_default();
        let has = |flag: &str| flags.split_whitespace().any(|f| f == flag);
        Self {
            schema: crate::SCHEMA_VERSION,
            cpu_model: cpu_field(&cpuinfo, "model name"),
            cpu_features: ["adx", "aes", "avx2", "avx512f", "bmi2", "sha_ni", "vaes"]
                .into_iter()
                .filter(|flag| has(flag))
                .map(str::to_owned)
                .collect(),
            cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
            governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            memory_bytes: memory_bytes(&read("/proc/meminfo").unwrap_or_default()),
            kernel: read("/proc/sys/kernel/osrelease"),
            mitigations: mitigations(Path::new("/sys/devices/system/cpu/vulnerabilities")),
            clock_source: read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            tcp_congestion: read("/proc/sys/net/ipv4/tcp_congestion_control"),
            load_average_hundredths: read("/proc/loadavg")
                .and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok())
                .map(|load| (load * 100.0) as u64),
            virtual_machine: has("hypervisor"),
            binary_hash: std::env::current_exe()
                .ok()
                .and_then(|path| hash_file(&path).ok()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            debug_build: cfg!(debug_assertions),
            git: git_state(),
        }
    }

    /// As [`Fingerprint::collect`], of another build that works on this host: what cannot be read off a
    /// file stays unknown.
    #[must_use]
    pub fn of(program: &Path) -> Self {
        let own = Self::collect();
        let hash = hash_file(program).ok();
        let same = hash == own.binary_hash;
        Self {
            binary_hash: hash,
            git: own.git.filter(|_| same),
            ..own
        }
    }
}

/// What of two hosts or programs is not alike, in words: `cpus: 2 and 4`.
fn differ<T: PartialEq + std::fmt::Debug>(found: &mut Vec<String>, what: &str, one: &T, other: &T) {
    if one != other {
        found.push(format!("{what}: {one:?} and {other:?}"));
    }
}

impl Fingerprint {
    /// Where two hosts differ in what figures depend on; empty for like machines. A fact that is unknown
    /// on one of them only is a difference.
    #[must_use]
    pub fn unlike_machine(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let f = &mut found;
        differ(f, "CPU", &self.cpu_model, &other.cpu_model);
        differ(f, "CPU features", &self.cpu_features, &other.cpu_features);
        differ(f, "CPUs", &self.cpus, &other.cpus);
        differ(f, "governor", &self.governor, &other.governor);
        differ(f, "memory", &self.memory_bytes, &other.memory_bytes);
        differ(f, "kernel", &self.kernel, &other.kernel);
        differ(f, "mitigations", &self.mitigations, &other.mitigations);
        differ(f, "clock source", &self.clock_source, &other.clock_source);
        let (one, two) = (&self.tcp_congestion, &other.tcp_congestion);
        differ(f, "TCP congestion control", one, two);
        let (one, two) = (self.virtual_machine, other.virtual_machine);
        differ(f, "virtual machine", &one, &two);
        found
    }

    /// Where two programs differ; empty for the same binary.
    #[must_use]
    pub fn unlike_program(&self, other: &Self) -> Vec<String> {
        let commit = |of: &Self| {
            let git = of.git.as_ref()?;
            let dirty = if git.dirty { "-dirty" } else { "" };
            Some(format!("{}{dirty}", git.commit))
        };
        let mut found = Vec::new();
        let f = &mut found;
        differ(f, "binary hash", &self.binary_hash, &other.binary_hash);
        differ(f, "commit", &commit(self), &commit(other));
        differ(f, "debug build", &self.debug_build, &other.debug_build);
        found
    }
}

fn read(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

fn cpu_field(cpuinfo: &str, name: &str) -> Option<String> {
    cpuinfo.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

fn memory_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

fn mitigations(dir: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return BTreeMap::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let text = std::fs::read_to_string(entry.path()).ok()?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Some((name, text.trim().to_owned()))
        })
        .collect()
}

/// A commit fixed at build time by `REFORGE_GIT_COMMIT` (with a suffix `-dirty`), otherwise what
/// `git` says about the tree this was built from, if it is still there.
fn git_state() -> Option<GitState> {
    if let Some(built) = option_env!("REFORGE_GIT_COMMIT") {
        return Some(GitState {
            commit: built.trim_end_matches("-dirty").to_owned(),
            dirty: built.ends_with("-dirty"),
            source: "build".into(),
        });
    }
    let commit = git(&["rev-parse", "HEAD"])?;
    let changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(GitState {
        commit,
        dirty: !changes.is_empty(),
        source: "run".into(),
    })
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests;
