# The one door: CI calls the same recipes. `just` lists them.

counted := '-p bench -p crypto-bench --bench counted --bench schemes-counted'

# This list
default:
    @{{ just_executable() }} --list --unsorted

# Four replicas order real transactions, both commit rules, one crash; table and run folder (the main job)
quick *ARGS:
    cargo run --release -- quick {{ARGS}}

# All tests of the workspace
test *ARGS:
    cargo test --workspace {{ARGS}}

# Formatting, lints with warnings denied, arrows between rooms (less than two minutes when warm)
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test --test arrows

# Licences and banned crates (needs cargo-deny)
deny:
    cargo deny --all-features check licenses bans sources

# Run an experiment spec: just run specs/capacity-n4.toml
run SPEC *ARGS:
    cargo run --release -- run {{SPEC}} {{ARGS}}

# One self-contained HTML page about a run or campaign folder
report FOLDER *ARGS:
    cargo run --release -- report {{FOLDER}} {{ARGS}}

# A run or campaign that goes on, live in the terminal
top FOLDER *ARGS:
    cargo run --release -- top {{FOLDER}} {{ARGS}}

# The page in a headless browser, at the widths of a desk and a phone (needs chromium)
report-check:
    cargo test --test report -- --include-ignored

# The paper's evaluation, n = 7 and 30: an hour; plan with --dry-run, go on with: reforge resume FOLDER
paper *ARGS:
    cargo run --release -- run specs/paper.toml {{ARGS}}

# Is folder A slower than folder B? Interleaved or not, at least five pairs of one spec on one machine
compare A B *ARGS:
    cargo run --release -- compare {{A}} {{B}} {{ARGS}}

# Keep the figures of a run or campaign in results/kept, with a line in its index
keep RUN *ARGS:
    cargo run --release -- keep {{RUN}} {{ARGS}}

# Repeat a run or campaign from its folder alone
repro RUN *ARGS:
    cargo run --release -- repro {{RUN}} {{ARGS}}

# Simulated seeds, for example: just sim 0..1000
sim SEEDS='0..300' *ARGS:
    cargo run --release -- sim --seeds {{SEEDS}} {{ARGS}}

# What this machine allows at most: dissemination alone, hashing, synced appends
limits *ARGS:
    cargo run --release -- limits {{ARGS}}

# BLS against Ed25519 certificates by size of the committee: table, crossover, plot with --plot FILE
signatures *ARGS:
    cargo run --release -- signatures {{ARGS}}

# The three back ends in interleaved rounds: bulk, ping-pong, many clients
transports *ARGS:
    cargo run --release -- transports {{ARGS}}

# Criterion benches of the signature schemes
crypto-bench *ARGS:
    cargo bench -p crypto-bench {{ARGS}}

# Real runs in network namespaces and over ssh (root; packages openssh-server, nftables, iproute2)
providers-check *ARGS:
    cargo test --test providers {{ARGS}} -- --ignored

# Counts the instructions of the hot paths (needs valgrind and, of its library's version, gungraun-runner)
count OUT='target/gate/counts.jsonl' *ARGS:
    mkdir -p target/gate
    PATH="$PWD/.ci/tools/bin:$PATH" CARGO_INCREMENTAL=0 cargo bench {{counted}} -- --output-format=json --parallel=auto {{ARGS}} > {{OUT}}

# Builds what `count` runs
count-build:
    CARGO_INCREMENTAL=0 cargo bench {{counted}} --no-run

# Instruction counts of the hot paths beside the accepted ones: fails on 3 % more
gate: count
    cargo run --quiet -- gate target/gate/counts.jsonl

# Accepts the instruction counts of this tree: read the difference, commit the file
bless: count
    cargo run --quiet -- gate target/gate/counts.jsonl --bless

# Prints the accepted counts that fit toolchain, valgrind and CPU; exit code 12 if there are none
gate-find:
    cargo run --quiet -- gate --find

# Compares the last counts with those of another revision
gate-against BASE:
    cargo run --quiet -- gate target/gate/counts.jsonl --against {{BASE}}

# A planted slowdown of 5 % must fail the gate
gate-planted:
    PATH="$PWD/.ci/tools/bin:$PATH" cargo test --test gate -- --ignored

# A planted tenth of latency must be found by a campaign of ten pairs (builds twice, then ten minutes)
latency-planted:
    bash tests/planted/run.sh

# A real Prometheus scrapes a running testbed; every panel of the dashboard must find data (needs prometheus)
observe-test:
    cargo test --test prometheus -- --ignored

# What CI runs, from a clean checkout
ci:
    bash .ci/run
