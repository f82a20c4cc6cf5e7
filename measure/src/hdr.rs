//! HDR histograms as the record: nanoseconds, three significant digits, interval logs in the
//! standard `.hlog` form whose tag is the phase.
//!
//! Percentiles are derived from merged histograms, never averaged.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

use crate::clock::WallAnchor;
use crate::files::{MeasureError, io_error};

/// Values below one microsecond are recorded with the resolution of one.
pub const VALUE_NS_MIN: u64 = 1_000;
/// Values above one hour are clipped to it.
pub const VALUE_NS_MAX: u64 = 3_600_000_000_000;
/// Significant decimal digits kept.
pub const SIGNIFICANT_DIGITS: u8 = 3;

/// The part of a run a request belongs to, by its *intended* send time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Load runs, nothing is judged.
    Warmup,
    /// What the percentiles and the goodput are about.
    Measure,
    /// After the measured sends: answers are awaited, load may run on.
    Cooldown,
}

impl Phase {
    /// All phases in their order.
    pub const ALL: [Self; 3] = [Self::Warmup, Self::Measure, Self::Cooldown];

    /// The phase's name, which is also its tag in `.hlog` files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Warmup => "warmup",
            Self::Measure => "measure",
            Self::Cooldown => "cooldown",
        }
    }
}

/// An empty histogram of the bounds used everywhere here (about 0.5 MB).
#[must_use]
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(VALUE_NS_MIN, VALUE_NS_MAX, SIGNIFICANT_DIGITS)
        .expect("constant bounds satisfy the histogram's rules")
}

/// Percentiles in nanoseconds, taken from one (merged) histogram.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Number of values.
    pub count: u64,
    /// Smallest value.
    pub min_ns: u64,
    /// Mean.
    pub mean_ns: f64,
    /// Median.
    pub p50_ns: u64,
    /// 90th percentile.
    pub p90_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// 99.9th percentile.
    pub p999_ns: u64,
    /// 99.99th percentile.
    pub p9999_ns: u64,
    /// Largest value.
    pub max_ns: u64,
}

impl Percentiles {
    /// Percentiles of a histogram; all zero when it is empty.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        Self {
            count: histogram.len(),
            min_ns: histogram.min(),
            mean_ns: histogram.mean(),
            p50_ns: histogram.value_at_quantile(0.5),
            p90_ns: histogram.value_at_quantile(0.9),
            p99_ns: histogram.value_at_quantile(0.99),
            p999_ns: histogram.value_at_quantile(0.999),
            p9999_ns: histogram.value_at_quantile(0.9999),
            max_ns: histogram.max(),
        }
    }
}

/// Appends interval histograms to one `.hlog` file.
#[derive(Debug)]
pub struct HlogWriter {
    file: File,
    path: PathBuf,
    base_monotonic_ns: u64,
}

impl HlogWriter {
    /// Creates the file with its header; interval times are relative to `base`.
    ///
    /// # Errors
    /// [`MeasureError::Io`], also when the file exists already: a log is never overwritten.
    pub fn create(path: &Path, title: &str, base: WallAnchor) -> Result<Self, MeasureError> {
        let mut file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(path)
            .map_err(io_error("create", path))?;
        let base_time = UNIX_EPOCH + Duration::from_nanos(base.unix_ns);
        let mut bytes = Vec::new();
        IntervalLogWriterBuilder::new()
            .add_comment(&format!("{title}, values in nanoseconds"))
            .with_start_time(base_time)
            .with_base_time(base_time)
            .begin_log_with(&mut bytes, &mut V2DeflateSerializer::new())
            .map_err(io_error("write header of", path))?;
        file.write_all(&bytes)
            .map_err(io_error("write header of", path))?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
            base_monotonic_ns: base.monotonic_ns,
        })
    }

    /// Appends one interval in a single write.
    ///
    /// # Errors
    /// [`MeasureError`] when encoding or writing fails.
    pub fn append(
        &mut self,
        histogram: &Histogram<u64>,
        from_ns: u64,
        until_ns: u64,
        phase: Phase,
    ) -> Result<(), MeasureError> {
        let mut bytes = Vec::new();
        // A builder without headers only formats; the headers stand at the top of the file.
        let mut serializer = V2DeflateSerializer::new();
        let mut log = IntervalLogWriterBuilder::new()
            .begin_log_with(&mut bytes, &mut serializer)
            .map_err(io_error("append to", &self.path))?;
        log.write_histogram(
            histogram,
            Duration::from_nanos(from_ns.saturating_sub(self.base_monotonic_ns)),
            Duration::from_nanos(until_ns.saturating_sub(from_ns)),
            Tag::new(phase.name()),
        )
        .map_err(|e| MeasureError::Histogram {
            path: self.path.clone(),
            found: e.to_string(),
        })?;
        self.file
            .write_all(&bytes)
            .map_err(io_error("append to", &self.path))
    }
}

/// One interval read back from a `.hlog` file.
#[derive(Debug, Clone)]
pub struct Interval {
    /// Start, relative to the log's base.
    pub start: Duration,
    /// Length.
    pub duration: Duration,
    /// Its phase, absent for tags this program does not write.
    pub phase: Option<Phase>,
    /// The values.
    pub histogram: Histogram<u64>,
}

/// Reads all intervals; an unfinished last line is dropped.
///
/// # Errors
/// [`MeasureError`] when the file is missing or a whole line cannot be decoded.
pub fn read_hlog(path: &Path) -> Result<Vec<Interval>, MeasureError> {
    let bytes = std::fs::read(path).map_err(io_error("read", path))?;
    let whole = bytes
        .iter()
        .rposition(|&b| b == b'\n')
        .map_or(0, |end| end + 1);
    let fail = |found: String| MeasureError::Histogram {
        path: path.to_path_buf(),
        found,
    };
    let mut deserializer = Deserializer::new();
    let mut intervals = Vec::new();
    for entry in IntervalLogIterator::new(&bytes[..whole]) {
        let LogEntry::Interval(interval) = entry.map_err(|e| fail(format!("{e:?}")))? else {
            continue;
        };
        let encoded = BASE64
            .decode(interval.encoded_histogram())
            .map_err(|e| fail(format!("an interval is not base64: {e}")))?;
        let histogram = deserializer
            .deserialize(&mut encoded.as_slice())
            .map_err(|e| fail(e.to_string()))?;
        let phase = interval
            .tag()
            .and_then(|tag| Phase::ALL.into_iter().find(|p| p.name() == tag.as_str()));
        intervals.push(Interval {
            start: interval.start_timestamp(),
            duration: interval.duration(),
            phase,
            histogram,
        });
    }
    Ok(intervals)
}

/// Adds up the intervals of one phase from any number of logs.
///
/// # Errors
/// As [`read_hlog`].
pub fn merge_phase(paths: &[PathBuf], phase: Phase) -> Result<Histogram<u64>, MeasureError> {
    let mut merged = new_histogram();
    for path in paths {
        for interval in read_hlog(path)? {
            if interval.phase == Some(phase) {
                merged
                    .add(&interval.histogram)
                    .map_err(|e| MeasureError::Histogram {
                        path: path.clone(),
                        found: e.to_string(),
                    })?;
            }
        }
    }
    Ok(merged)
}

/// Records values by phase, and closes an interval per tick into a `.hlog` file.
#[derive(Debug)]
pub struct IntervalRecorder {
    log: HlogWriter,
    interval_start_ns: u64,
    current: [Histogram<u64>; 3],
    total: [Histogram<u64>; 3],
}

impl IntervalRecorder {
    /// Creates the log file and empty histograms.
    ///
    /// # Errors
    /// As [`HlogWriter::create`].
    pub fn create(path: &Path, title: &str, base: WallAnchor) -> Result<Self, MeasureError> {
        Ok(Self {
            log: HlogWriter::create(path, title, base)?,
            interval_start_ns: base.monotonic_ns,
            current: std::array::from_fn(|_| new_histogram()),
            total: std::array::from_fn(|_| new_histogram()),
        })
    }

    /// Records one value in nanoseconds; above one hour it is clipped.
    pub fn record(&mut self, phase: Phase, value_ns: u64) {
        self.current[phase as usize].saturating_record(value_ns);
    }

    /// Records the same value `count` times (a batch of requests with one fate).
    pub fn record_n(&mut self, phase: Phase, value_ns: u64, count: u64) {
        self.current[phase as usize].saturating_record_n(value_ns, count);
    }

    /// Closes the interval that ends at `now_ns`: appends it to the log and returns the
    /// percentiles of all its values, whatever their phase.
    ///
    /// # Errors
    /// [`MeasureError`] when the log cannot be written.
    pub fn tick(&mut self, now_ns: u64) -> Result<Percentiles, MeasureError> {
        let mut all: Option<Histogram<u64>> = None;
        for phase in Phase::ALL {
            let current = &mut self.current[phase as usize];
            if current.is_empty() {
                continue;
            }
            self.log
                .append(current, self.interval_start_ns, now_ns, phase)?;
            self.total[phase as usize] += &*current;
            match &mut all {
                Some(all) => *all += &*current,
                None => all = Some(current.clone()),
            }
            current.reset();
        }
        self.interval_start_ns = now_ns;
        Ok(all.map_or_else(Percentiles::default, |all| Percentiles::of(&all)))
    }

    /// Percentiles of one phase over all closed intervals.
    #[must_use]
    pub fn percentiles(&self, phase: Phase) -> Percentiles {
        Percentiles::of(&self.total[phase as usize])
    }
}

#[cfg(test)]
mod tests;
