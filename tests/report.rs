//! `reforge report` as a user runs it, and its page in a real browser at the widths of a desk and a phone.

#[path = "common/chromium.rs"]
mod chromium;
#[allow(dead_code)] // the tests of `results` use all of it
#[path = "../results/tests/sample/mod.rs"]
mod sample;

use std::path::{Path, PathBuf};
use std::process::Command;

use chromium::Chromium;
use measure::FaultAction;
use sample::Sample;
use serde_json::json;

/// Figures whose text is not their value, and how many were compared. Written apart from the page's code.
const COMPARE: &str = r#"(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const at = path => path.split('/').slice(1).reduce((value, key) => value?.[key], data);
  const units = { '1': [1, 0], count: [1, 0], ms: [1e-6, 0], '%': [100, 0], '±%': [100, -1], MB: [1e-6, 0], GB: [1e-9, 0] };
  const wrong = [];
  const all = document.querySelectorAll('[data-path]');
  for (const element of all) {
    const { path, unit } = element.dataset;
    const text = element.textContent;
    const value = at(path);
    if (unit === 'text') {
      if (text !== value) wrong.push([path, text, value]);
      continue;
    }
    const [scale, offset] = units[unit];
    const number = Array.isArray(value) ? value.length : value;
    const shown = text.replaceAll('\u202f', '');
    const digits = (shown.split('.')[1] ?? '').length;
    if (!(Math.abs(Number(shown) - (number + offset) * scale) <= 0.501 * 10 ** -digits)) wrong.push([path, text, value]);
  }
  return { compared: all.length, wrong };
})()"#;

/// Elements that stick out to the right, but for what scrolls in its own box, and texts of drawings that are cut off.
const STICKS_OUT: &str = r#"(() => {
  const name = element => element.tagName + ' ' + element.textContent.slice(0, 60);
  const out = [...document.querySelectorAll('body *')]
    .filter(e => !e.closest('.scroll, svg, script') && e.getBoundingClientRect().right > innerWidth + 0.5).map(name);
  const cut = [...document.querySelectorAll('svg[viewBox] text')].filter(text => {
    const [inner, outer] = [text.getBoundingClientRect(), text.closest('svg').getBoundingClientRect()];
    return inner.right > outer.right + 1 || inner.left < outer.left - 1;
  }).map(name);
  return { page: document.documentElement.scrollWidth > document.documentElement.clientWidth, out, cut };
})()"#;

fn report(arguments: &[&Path]) -> PathBuf {
    let output = Command::new(env!("CARGO_BIN_EXE_reforge"))
        .arg("report")
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    PathBuf::from(said.lines().last().expect("a path"))
}

/// Three loads, a crash, and names that would like to be markup.
fn campaign(dir: &Path) {
    let mut runs = Vec::new();
    for (index, rate) in [100u64, 200, 400].into_iter().enumerate() {
        let mut sample = Sample::passing();
        sample.run.index = index as u32;
        sample.run.name = format!("{index:03}-load-{rate}-r0");
        sample.run.experiment = "<script>console.error('x')</script>".into();
        sample.run.command = format!("reforge run '<img src=x onerror=y>' {}", "long".repeat(60));
        sample.latencies = vec![(rate * 10 - 20, 5_000_000 * rate / 100), (20, 90_000_000)];
        let measured = &mut sample.load.as_mut().unwrap().measured;
        (measured.offered, measured.sent, measured.finished) = (rate * 10, rate * 10, rate * 10);
        if index == 2 {
            sample.fault(4, FaultAction::Crash, 3);
        }
        sample.write_at(&dir.join(&sample.run.name));
        runs.push(sample.run.name.clone());
    }
    let command = format!("reforge run '<img src=x onerror=y>' {}", "long".repeat(60));
    sample::write_campaign(dir, "<script>console.error('x')</script>", &command, runs);
}

#[test]
fn the_page_lies_in_the_folder_or_where_it_was_asked_for() {
    let sample = Sample::passing();
    let root = sample.write();
    let page = report(&[&root]);
    assert_eq!(page, root.join("report.html"));
    let out = root.with_file_name("elsewhere.html");
    assert_eq!(report(&[&root, "--out".as_ref(), &out]), out);
    // The page that is there already changes nothing.
    assert!(std::fs::read(page).unwrap() == std::fs::read(out).unwrap());
}

#[test]
fn a_folder_without_a_run_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_reforge"))
        .arg("report")
        .arg(dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        said.contains("neither campaign.json nor run.json"),
        "{said}"
    );
}

#[test]
#[ignore = "needs chromium (Debian package chromium); run it by `just report-check`"]
fn a_browser_shows_the_page_at_both_widths() {
    let dir = tempfile::tempdir().unwrap();
    campaign(dir.path());
    let many = report(&[dir.path()]);
    let sample = Sample::passing();
    let one = report(&[&sample.write()]);
    let mut chromium = Chromium::start();
    for (page, width) in [(&many, 1280), (&many, 390), (&one, 1280), (&one, 390)] {
        chromium.show(page, width);
        let told = chromium.evaluate(COMPARE);
        assert_eq!(told["wrong"], json!([]), "{width}");
        assert!(told["compared"].as_u64().unwrap() > 20, "{told}");
        let sticks = chromium.evaluate(STICKS_OUT);
        assert_eq!(
            sticks,
            json!({ "page": false, "out": [], "cut": [] }),
            "{width}"
        );
        assert_eq!(
            chromium.evaluate("document.scripts.length"),
            1,
            "the data alone"
        );
        assert_eq!(chromium.complaints(), Vec::<&serde_json::Value>::new());
        let loaded = |event: &&serde_json::Value| event["method"] == "Network.requestWillBeSent";
        assert_eq!(
            chromium.events.iter().filter(loaded).count(),
            1,
            "the page alone"
        );
    }
}
