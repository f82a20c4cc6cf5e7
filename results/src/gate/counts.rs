//! Reads what gungraun prints with `--output-format=json`: one object per path and line.

use std::collections::BTreeMap;

use serde_json::Value;

/// Why counts cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}: expected a summary of gungraun 0.20 with an instruction count, found {what}; count again \
     with `just count`"
)]
pub struct CountsError {
    line: usize,
    what: String,
}

/// Instructions by `bench::group::function/case`.
///
/// # Errors
/// [`CountsError`] for a line that is no summary, or a name that comes twice.
pub fn read_counts(text: &str) -> Result<BTreeMap<String, u64>, CountsError> {
    let mut counts = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let error = |what: String| CountsError {
            line: index + 1,
            what,
        };
        let summary: Value = serde_json::from_str(line).map_err(|e| error(e.to_string()))?;
        let name = name(&summary).ok_or_else(|| error("no name".into()))?;
        let count = instructions(&summary).ok_or_else(|| error(format!("no count of {name}")))?;
        if counts.insert(name.clone(), count).is_some() {
            return Err(error(format!("{name} for the second time")));
        }
    }
    Ok(counts)
}

fn name(summary: &Value) -> Option<String> {
    let module = summary.get("module_path")?.as_str()?;
    Some(match summary.get("id").and_then(Value::as_str) {
        Some(id) => format!("{module}/{id}"),
        None => module.to_owned(),
    })
}

/// The event `Ir` of callgrind, all parts together.
fn instructions(summary: &Value) -> Option<u64> {
    let profiles = summary.get("profiles")?.as_array()?.iter();
    let mut profiles =
        profiles.filter(|p| p.get("tool").and_then(Value::as_str) == Some("Callgrind"));
    let count = profiles
        .next()?
        .pointer("/data/total/metrics/Ir/values/new");
    count?.as_u64()
}
