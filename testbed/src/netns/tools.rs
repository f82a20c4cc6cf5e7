//! `ip`, `tc` and `nft`, with errors that say what to do.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::error::TestbedError;

/// The programs, and the packages that Debian has them in.
const TOOLS: [(&str, &str); 3] = [("ip", "iproute2"), ("tc", "iproute2"), ("nft", "nftables")];

/// All tools are there.
pub(super) fn check() -> Result<(), TestbedError> {
    for (program, _) in TOOLS {
        let version = match program {
            "nft" => "--version",
            _ => "-V",
        };
        run(program, &[version], "")?;
    }
    Ok(())
}

/// `ip` on this host.
pub(super) fn ip(arguments: &[&str]) -> Result<String, TestbedError> {
    run("ip", arguments, "")
}

/// `ip` in a namespace.
pub(super) fn ip_in(namespace: &str, arguments: &[&str]) -> Result<String, TestbedError> {
    run("ip", &[&["-n", namespace], arguments].concat(), "")
}

/// `tc` in a namespace.
pub(super) fn tc_in(namespace: &str, arguments: &[&str]) -> Result<String, TestbedError> {
    run("tc", &[&["-n", namespace], arguments].concat(), "")
}

/// A ruleset, all at once, in a namespace.
pub(super) fn nft_in(namespace: &str, ruleset: &str) -> Result<String, TestbedError> {
    let arguments = ["netns", "exec", namespace, "nft", "-f", "-"];
    run("ip", &arguments, ruleset)
}

/// Runs one of them to its end and returns what it printed.
fn run(program: &str, arguments: &[&str], input: &str) -> Result<String, TestbedError> {
    let said = |found: String| {
        TestbedError::Setup(format!(
            "`{program} {}` failed: {}{}",
            arguments.join(" "),
            found.trim(),
            advice(&found)
        ))
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C must not end it half-way.
        .process_group(0)
        .spawn()
        .map_err(|error| {
            let package = TOOLS.iter().find(|(name, _)| *name == program);
            let package = package.map_or("", |(_, package)| package);
            TestbedError::Setup(format!(
                "provider netns needs `{program}`: {error}; install {package}"
            ))
        })?;
    if let Some(mut stdin) = child.stdin.take() {
        // It says itself what it did not get.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|e| said(e.to_string()))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(said(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}

fn advice(found: &str) -> &'static str {
    let refused = ["Operation not permitted", "Permission denied"];
    match refused.iter().any(|text| found.contains(text)) {
        true => {
            "; provider netns makes network namespaces: run as root, or with CAP_NET_ADMIN and \
             CAP_SYS_ADMIN"
        }
        false => "",
    }
}
