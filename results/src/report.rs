//! One self-contained page about a run or a campaign: nothing is fetched, no script runs, and the same
//! folder gives the same bytes.
//!
//! `collect` reads the folder into [`data::Data`]; the parts draw from that alone; all of it is embedded, and
//! every figure in the page carries the path of its value.

mod collect;
mod data;
mod drills;
mod eq5;
mod figure;
mod flames;
mod head;
mod load_plot;
mod missing;
mod overhead;
mod plot;
mod runs;
mod spectrum;
mod table;
mod timeline;
mod timeline_plot;
mod zoom;

use std::path::{Path, PathBuf};

use maud::{DOCTYPE, Markup, PreEscaped, html};
use measure::files::write_atomic;
use measure::{MeasureError, folder};

use data::Data;

const STYLE: &str = include_str!("report/style.css");
/// Even if something slipped through the escaping: nothing is loaded, nothing runs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// The page about the run or campaign in `root`.
///
/// # Errors
/// [`MeasureError`] when the folder holds neither a run nor a campaign nor a judgement.
pub fn html_report(root: &Path) -> Result<String, MeasureError> {
    Ok(page(&collect::collect(root)?).into_string())
}

/// Writes the page to `out`, by default into the folder itself, and tells where.
///
/// # Errors
/// As [`html_report`], and when the file cannot be written.
pub fn write_report(root: &Path, out: Option<&Path>) -> Result<PathBuf, MeasureError> {
    let page = html_report(root)?;
    let path = out.map_or_else(|| root.join(folder::REPORT), Path::to_path_buf);
    write_atomic(&path, page.as_bytes())?;
    Ok(path)
}

fn page(data: &Data) -> Markup {
    let name = head::name(data);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light";
                title { (name) " – " (data.summary.verdict.name()) " – Reforge report" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (head::section(data))
                    (runs::section(data))
                    (load_plot::section(data))
                    (spectrum::section(data))
                    (timeline_plot::section(data))
                    (drills::section(data))
                    (overhead::section(data))
                    (flame_section(data))
                    footer { p { "Every figure on this page is part of the JSON object embedded in it (" code { "script#data" } "); " code { "data-path" } " says where." } }
                }
                script type="application/json" id="data" { (PreEscaped(embedded(data))) }
            }
        }
    }
}

fn flame_section(data: &Data) -> Markup {
    html! {
        @if !data.flames.is_empty() {
            section #flames {
                h2 { "Flamegraphs" }
                @for (at, flame) in data.flames.iter().enumerate() {
                    details {
                        summary {
                            (figure::words(&format!("/flames/{at}/path"), &flame.path)) " "
                            span.sub { "(" (figure::figure(&format!("/flames/{at}/bytes"), flame.bytes as f64, figure::Unit::Plain)) " bytes)" }
                        }
                        div.scroll { img.flame alt=(flame.path) src={ "data:image/svg+xml;base64," (flame.base64) }; }
                    }
                }
            }
        }
    }
}

/// JSON that no HTML parser mistakes for anything else: markup characters only occur inside of strings,
/// where an escape means the same.
fn embedded(data: &Data) -> String {
    let text = serde_json::to_string(data).unwrap_or_else(|_| "null".into());
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}
