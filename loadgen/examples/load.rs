//! `load CONFIG`: one run, its result on standard output.

fn main() {
    let path = std::env::args().nth(1).expect("usage: load CONFIG");
    let config = loadgen::LoadConfig::load(std::path::Path::new(&path));
    match config.and_then(loadgen::run) {
        Ok(report) => println!("{report:#?}"),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}
