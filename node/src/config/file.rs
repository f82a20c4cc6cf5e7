//! Reading a configuration: positions in errors, paths resolved, contradictions refused.

use std::path::{Path, PathBuf};

use super::{Durability, NodeConfig};

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read config {path}: {source}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    /// Bad TOML, an unknown key, a wrong type or a value out of range.
    #[error("config {path}, line {line}, column {column}: {message}")]
    Bad {
        path: PathBuf,
        line: usize,
        column: usize,
        message: String,
    },
    /// Keys that do not go together.
    #[error("config {path}: {message}")]
    Contradiction { path: PathBuf, message: String },
}

impl NodeConfig {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// [`ConfigError`], with line and column where there is one.
    pub fn read(path: &Path) -> Result<NodeConfig, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        NodeConfig::parse(&text, path)
    }

    /// As [`NodeConfig::read`], from memory; `path` names the text in errors, and its folder is
    /// where relative paths start.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(text: &str, path: &Path) -> Result<NodeConfig, ConfigError> {
        let mut config: NodeConfig = toml::from_str(text).map_err(|error| {
            let (line, column) = position(text, error.span().map_or(0, |span| span.start));
            ConfigError::Bad {
                path: path.to_path_buf(),
                line,
                column,
                message: error.message().replace('\n', " "),
            }
        })?;
        config.contradiction().map_or(Ok(()), |message| {
            Err(ConfigError::Contradiction {
                path: path.to_path_buf(),
                message,
            })
        })?;
        config.resolve(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    fn contradiction(&self) -> Option<String> {
        let timing = &self.timing;
        if self.durability == Durability::Strict && self.data_dir.is_none() {
            return Some(
                "durability \"strict\" needs data_dir; set it, or durability = \"memory\"".into(),
            );
        }
        if timing.idle_view_ms >= timing.view_timeout_ms {
            return Some(format!(
                "timing.idle_view_ms ({}) must be below timing.view_timeout_ms ({}), or an idle \
                 cluster times out in every view",
                timing.idle_view_ms, timing.view_timeout_ms
            ));
        }
        if timing.pace_ms >= timing.view_timeout_ms as f64 {
            return Some(format!(
                "timing.pace_ms ({}) must be below timing.view_timeout_ms ({})",
                timing.pace_ms, timing.view_timeout_ms
            ));
        }
        if let Some(profile) = &self.profile
            && profile.dir.is_none()
            && self.report_dir.is_none()
        {
            return Some("[profile] needs profile.dir or report_dir".into());
        }
        None
    }

    fn resolve(&mut self, folder: &Path) {
        let mut fix = |path: &mut PathBuf| *path = folder.join(&*path);
        fix(&mut self.committee);
        fix(&mut self.keys);
        self.data_dir.iter_mut().for_each(&mut fix);
        self.report_dir.iter_mut().for_each(&mut fix);
        if let Some(control) = &mut self.control {
            fix(&mut control.socket);
        }
        if let Some(profile) = &mut self.profile {
            profile.dir.iter_mut().for_each(&mut fix);
        }
    }
}

/// Line and column of a byte, both from 1.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..byte.min(text.len())];
    let line = 1 + before.iter().filter(|&&b| b == b'\n').count();
    let column = 1 + before.iter().rev().take_while(|&&b| b != b'\n').count();
    (line, column)
}
