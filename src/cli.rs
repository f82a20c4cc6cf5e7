//! The subcommands: arguments in, text and exit codes out. Everything else lives in the rooms.

pub mod adversary;
pub mod audit;
pub mod compare;
pub mod export;
pub mod gate;
pub mod judge;
pub mod keep;
pub mod keygen;
pub mod limits;
pub mod load;
pub mod node;
mod plan;
pub mod report;
pub mod repro;
pub mod run;
pub mod signatures;
pub mod sim;
pub mod testbed;
pub mod top;
pub mod transports;

/// That `folder` is there, before anything is made of it.
///
/// # Errors
/// Names what was expected and where it comes from.
fn is_folder(folder: &std::path::Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        folder.is_dir(),
        "{}: expected the folder of a run or of a campaign, found none; `reforge run` names it in its last line, \
         and `--out` chooses it",
        folder.display()
    );
    Ok(())
}
