//! `reforge`: one binary for replicas, load, experiments and their judgement.

mod cli;
mod live;
mod top;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A performance laboratory around a chained HotStuff replica.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs one replica.
    Node(cli::node::Args),
    /// Runs one replica that lies in one way: for experiments, never for a cluster that matters.
    Adversary(cli::adversary::Args),
    /// Writes keys and committee file of a new cluster.
    Keygen(cli::keygen::Args),
    /// Makes load and records what became of it.
    Load(cli::load::Args),
    /// Runs an experiment and judges it; the last line is its folder.
    Run(cli::run::RunArgs),
    /// Goes on with a campaign that ended early: sealed runs stay, the others are made.
    Resume(cli::run::ResumeArgs),
    /// Runs the embedded experiment: four replicas, both rules, low and high load, one crash.
    Quick(cli::run::QuickArgs),
    /// Runs the replica's code in seeded worlds full of faults and attackers.
    Sim(::sim::SimArgs),
    /// Judges a run folder or a campaign folder again.
    Judge(cli::judge::Args),
    /// Writes one self-contained HTML page about a run or a campaign; the last line is its path.
    Report(cli::report::Args),
    /// Compares two folders of one spec in pairs: is the first one slower?
    Compare(cli::compare::Args),
    /// Keeps the figures of a campaign or run in results/kept, with a line in the index.
    Keep(cli::keep::Args),
    /// Repeats a run or a campaign from its folder alone.
    Repro(cli::repro::Args),
    /// Measures what this machine allows at most: dissemination alone, hops, signatures, hashing, appends.
    Limits(cli::limits::Args),
    /// Compares what BLS and Ed25519 certificates cost by size of the committee: table and plot.
    Signatures(cli::signatures::Args),
    /// Compares the three back ends of the transport in interleaved rounds.
    Transports(cli::transports::Args),
    /// Looks after what runs in namespaces leave behind when they are killed.
    Testbed(cli::testbed::Args),
    /// Starts processes on a host for `reforge run --provider ssh`, which starts it.
    #[command(hide = true)]
    Agent(cli::testbed::AgentArgs),
    /// Judges evidence of a split from files and public keys alone: who is convicted of what.
    Audit(cli::audit::Args),
    /// Compares instruction counts of the hot paths with the accepted ones, or accepts them.
    Gate(cli::gate::Args),
    /// Serves load, modes and incidents of a run that goes on to Prometheus.
    Export(cli::export::Args),
    /// Shows a run that goes on, live in the terminal: modes, heights, rates, load, incidents.
    Top(cli::top::Args),
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(error) = testbed::tie_to_orchestrator() {
        let _ = writeln!(
            std::io::stderr(),
            "error: cannot be tied to the orchestrator: {error}"
        );
        return ExitCode::FAILURE;
    }
    let result = match args.command {
        Command::Node(args) => cli::node::main(&args),
        Command::Adversary(args) => cli::adversary::main(&args),
        Command::Keygen(args) => cli::keygen::main(&args),
        Command::Load(args) => cli::load::main(&args),
        Command::Run(args) => cli::run::run(&args),
        Command::Resume(args) => cli::run::resume(&args),
        Command::Quick(args) => cli::run::quick(&args),
        Command::Sim(args) => cli::sim::main(&args),
        Command::Judge(args) => cli::judge::main(&args),
        Command::Report(args) => cli::report::main(&args),
        Command::Compare(args) => cli::compare::main(&args),
        Command::Keep(args) => cli::keep::main(&args),
        Command::Repro(args) => cli::repro::main(&args),
        Command::Limits(args) => cli::limits::main(&args),
        Command::Signatures(args) => cli::signatures::main(&args),
        Command::Transports(args) => cli::transports::main(&args),
        Command::Testbed(args) => cli::testbed::main(&args),
        Command::Agent(args) => cli::testbed::agent(&args),
        Command::Audit(args) => cli::audit::main(&args),
        Command::Gate(args) => cli::gate::main(&args),
        Command::Export(args) => cli::export::main(&args),
        Command::Top(args) => cli::top::main(&args),
    };
    result.unwrap_or_else(|error| {
        // One line with its causes, without repeating a cause that the line says already.
        let mut line = format!("error: {error}");
        for cause in error.chain().skip(1).map(ToString::to_string) {
            if !line.contains(&cause) {
                line.push_str(&format!(": {cause}"));
            }
        }
        // Standard error may lie on the disk that is full: no reason for a panic.
        let _ = writeln!(std::io::stderr(), "{line}");
        ExitCode::FAILURE
    })
}
