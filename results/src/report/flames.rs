//! Flamegraphs that lie in the folder, as pictures: as an image none of their scripts runs.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::data::Flame;
use crate::judgement::Judgement;

/// One picture, and all of them.
const BYTES_MAX: u64 = 2 << 20;
const BYTES_TOTAL_MAX: u64 = 8 << 20;
/// `replica-0/profile/profile-0.svg` is the deepest.
const DEPTH_MAX: usize = 3;

pub(super) fn find(
    summary: &Judgement,
    folders: &[PathBuf],
    left_out: &mut Vec<String>,
) -> Vec<Flame> {
    let mut flames = Vec::new();
    let mut total = 0;
    for (run, home) in summary.runs.iter().zip(folders) {
        let mut files = Vec::new();
        list(home, DEPTH_MAX, &mut files);
        files.sort();
        for file in files {
            let relative = file.strip_prefix(home).unwrap_or(&file).to_string_lossy();
            let path = format!("{}/{relative}", run.name);
            let len = file.metadata().map_or(0, |meta| meta.len());
            if len > BYTES_MAX || total + len > BYTES_TOTAL_MAX {
                left_out.push(format!("the flamegraph {path} ({len} bytes)"));
                continue;
            }
            let Ok(bytes) = std::fs::read(&file) else {
                continue;
            };
            total += len;
            flames.push(Flame {
                path,
                bytes: bytes.len(),
                base64: BASE64.encode(bytes),
            });
        }
    }
    flames
}

fn list(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let path = entry.path();
        if kind.is_dir() && depth > 1 {
            list(&path, depth - 1, files);
        } else if kind.is_file() && path.extension().is_some_and(|ext| ext == "svg") {
            files.push(path);
        }
    }
}
