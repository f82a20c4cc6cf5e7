#!/bin/bash
# A tenth more latency, planted in the vote path of a build of its own, must be found by a campaign of the
# recommended size (`specs/latency-n4.toml`), and the same build without it must not.
set -euo pipefail
late_us=${1:-100}
tree=target/planted/tree
rm -rf target/planted/tree target/planted/run* target/planted/null*
mkdir -p "$tree"
git archive HEAD | tar -x -C "$tree"
patch --quiet -p1 -d "$tree" < tests/planted/late-votes.patch
cargo build --release --quiet
cargo build --release --quiet --manifest-path "$tree/Cargo.toml" --target-dir target/planted/build
planted=target/planted/build/release/reforge
code=0
REFORGE_PLANT_US=0 "$planted" run specs/latency-n4.toml --out target/planted/null --against target/release/reforge || code=$?
[ "$code" -ne 10 ] || { echo "expected no difference without the planted delay, found one" >&2; exit 1; }
code=0
REFORGE_PLANT_US=$late_us "$planted" run specs/latency-n4.toml --out target/planted/run --against target/release/reforge || code=$?
[ "$code" -eq 10 ] || { echo "expected the planted delay to be found (exit code 10), found exit code $code" >&2; exit 1; }
