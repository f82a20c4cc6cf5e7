//! `reforge signatures`: where certificates of one scheme become cheaper than those of the other.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crypto::{Bls, Ed25519Lists};
use crypto_bench::costs::{Costs, costs};
use plotters::prelude::*;
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Sizes of committees.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "4,7,10,16,22,30,43,64,82,100"
    )]
    sizes: Vec<usize>,
    /// Milliseconds that each operation is measured for.
    #[arg(long, default_value_t = 200)]
    each_ms: u64,
    /// Where the plot goes (SVG).
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    replicas: usize,
    bls: Costs,
    ed25519: Costs,
    /// CPU of one view of the whole committee in microseconds: everybody signs and checks a certificate, one
    /// adds up.
    bls_view_us: f64,
    ed25519_view_us: f64,
}

impl Row {
    fn measure(replicas: usize, each: Duration) -> Row {
        let (bls, ed25519) = (
            costs::<Bls>(replicas, each),
            costs::<Ed25519Lists>(replicas, each),
        );
        let view = |costs: &Costs| {
            replicas as f64 * (costs.sign_us + costs.verify_certificate_us) + costs.aggregate_us
        };
        Row {
            replicas,
            bls_view_us: view(&bls),
            ed25519_view_us: view(&ed25519),
            bls,
            ed25519,
        }
    }
}

/// Where `bls` stops being the larger one, interpolated between two sizes; none within these sizes.
fn crossover(rows: &[Row], of: impl Fn(&Row) -> (f64, f64)) -> Option<f64> {
    rows.windows(2).find_map(|pair| {
        let gap = |row: &Row| {
            let (bls, ed25519) = of(row);
            bls - ed25519
        };
        let (before, after) = (gap(&pair[0]), gap(&pair[1]));
        let (from, to) = (pair[0].replicas as f64, pair[1].replicas as f64);
        let crosses = before > 0.0 && after <= 0.0;
        crosses.then(|| from + (to - from) * before / (before - after))
    })
}

/// Measures, prints and plots.
pub fn main(args: &Args) -> Result<ExitCode> {
    let ascending = args.sizes.windows(2).all(|pair| pair[0] < pair[1]);
    ensure!(
        !args.sizes.is_empty() && ascending && args.sizes.iter().all(|n| (4..=100).contains(n)),
        "--sizes: expected ascending sizes from 4 to 100, found {:?}",
        args.sizes
    );
    let each = Duration::from_millis(args.each_ms);
    let sizes = args.sizes.iter();
    let rows: Vec<Row> = sizes.map(|n| Row::measure(*n, each)).collect();
    if let Some(path) = &args.plot {
        plot(path, &rows).with_context(|| format!("cannot draw {}", path.display()))?;
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("us on one core     | add up a quorum   | check a certificate | a view of everybody");
    println!("  n                |    bls    ed25519 |      bls    ed25519 |      bls    ed25519");
    for row in &rows {
        println!(
            "  {:<16} | {:>6.0} {:>10.0} | {:>8.0} {:>10.0} | {:>8.0} {:>10.0}",
            row.replicas,
            row.bls.aggregate_us,
            row.ed25519.aggregate_us,
            row.bls.verify_certificate_us,
            row.ed25519.verify_certificate_us,
            row.bls_view_us,
            row.ed25519_view_us
        );
    }
    let certificate = |row: &Row| {
        (
            row.bls.verify_certificate_us,
            row.ed25519.verify_certificate_us,
        )
    };
    let tell = |what: &str, at: Option<f64>| match at {
        Some(n) => println!("{what}: BLS is cheaper from n = {n:.0} on"),
        None => println!("{what}: no crossover within these sizes"),
    };
    tell("checking a certificate", crossover(&rows, certificate));
    let view = |row: &Row| (row.bls_view_us, row.ed25519_view_us);
    tell("a view of everybody", crossover(&rows, view));
    Ok(ExitCode::SUCCESS)
}

/// Name, colour, and which of a row's figures.
type Series = (&'static str, RGBColor, fn(&Row) -> f64);

fn plot(path: &std::path::Path, rows: &[Row]) -> Result<()> {
    let largest = rows.iter().map(|row| row.replicas).max().unwrap_or(4) as f64;
    let cost = |row: &Row| {
        row.bls
            .verify_certificate_us
            .max(row.ed25519.verify_certificate_us)
    };
    let highest = rows.iter().map(cost).fold(0.0, f64::max) * 1.1;
    let area = SVGBackend::new(path, (900, 540)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("Checking a certificate, one core", ("sans-serif", 22))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..largest * 1.02, 0.0..highest)?;
    chart
        .configure_mesh()
        .x_desc("replicas n (a certificate has q = n - f signers)")
        .y_desc("microseconds")
        .draw()?;
    let series: [Series; 2] = [
        (
            "BLS12-381, one pairing product",
            RGBColor(0, 90, 181),
            |row| row.bls.verify_certificate_us,
        ),
        ("Ed25519, a list", RGBColor(220, 50, 32), |row| {
            row.ed25519.verify_certificate_us
        }),
    ];
    for (name, colour, of) in series {
        let points: Vec<(f64, f64)> = rows
            .iter()
            .map(|row| (row.replicas as f64, of(row)))
            .collect();
        chart
            .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], colour.stroke_width(2)));
        chart.draw_series(
            points
                .into_iter()
                .map(|at| Circle::new(at, 4, colour.filled())),
        )?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(replicas: usize, bls: f64, ed25519: f64) -> Row {
        let costs = |us| Costs {
            sign_us: us,
            verify_share_us: us,
            aggregate_us: us,
            verify_certificate_us: us,
        };
        Row {
            replicas,
            bls: costs(bls),
            ed25519: costs(ed25519),
            bls_view_us: bls,
            ed25519_view_us: ed25519,
        }
    }

    #[test]
    fn the_crossover_lies_where_the_lines_meet() {
        let of = |row: &Row| (row.bls_view_us, row.ed25519_view_us);
        let rows = [
            row(10, 100.0, 20.0),
            row(20, 100.0, 60.0),
            row(40, 100.0, 140.0),
        ];
        assert_eq!(crossover(&rows, of), Some(30.0));
        assert_eq!(crossover(&rows[..2], of), None);
    }
}
