//! Reads a page back: the embedded data, and every figure with the path that it carries.

use serde_json::Value;

pub struct Page {
    pub html: String,
    pub data: Value,
}

pub struct Figure {
    pub path: String,
    pub unit: String,
    pub text: String,
}

impl Page {
    pub fn of(html: String) -> Page {
        let start = "<script type=\"application/json\" id=\"data\">";
        let (_, rest) = html.split_once(start).expect("embedded data");
        let (text, _) = rest.split_once("</script>").unwrap();
        let data = serde_json::from_str(text).expect("data that is JSON");
        Page { html, data }
    }

    pub fn figures(&self) -> Vec<Figure> {
        let pieces = self.html.split("data-path=\"").skip(1);
        let figure = |piece: &str| {
            let (path, rest) = piece.split_once('"')?;
            let rest = rest.strip_prefix(" data-unit=\"")?;
            let (unit, rest) = rest.split_once("\">")?;
            let (text, _) = rest.split_once('<')?;
            Some(Figure {
                path: path.into(),
                unit: unit.into(),
                text: unescape(text),
            })
        };
        pieces
            .map(|piece| figure(piece).unwrap_or_else(|| panic!("not a figure: {piece:.80}")))
            .collect()
    }

    /// Text of the first figure with this path.
    pub fn shown(&self, path: &str) -> String {
        let all = self.figures();
        let found = all.iter().find(|figure| figure.path == path);
        found
            .unwrap_or_else(|| panic!("no figure shows {path}"))
            .text
            .clone()
    }

    #[track_caller]
    pub fn check_figures(&self) {
        for figure in self.figures() {
            let value = self.data.pointer(&figure.path);
            let value = value.unwrap_or_else(|| panic!("no value at {}", figure.path));
            check(&figure, value);
        }
    }
}

/// Within half of the last digit that is shown.
#[track_caller]
fn check(figure: &Figure, value: &Value) {
    let said = format!("{} shows {:?} of {value}", figure.path, figure.text);
    if figure.unit == "text" {
        assert_eq!(Some(&figure.text[..]), value.as_str(), "{said}");
        return;
    }
    let (scale, offset) = match &figure.unit[..] {
        "1" | "count" => (1.0, 0.0),
        "ms" => (1e-6, 0.0),
        "%" => (100.0, 0.0),
        "±%" => (100.0, -1.0),
        "MB" => (1e-6, 0.0),
        "GB" => (1e-9, 0.0),
        other => panic!("{said}: the unit {other}"),
    };
    let value = match value.as_array() {
        Some(all) if figure.unit == "count" => all.len() as f64,
        _ => value.as_f64().unwrap_or_else(|| panic!("{said}: a number")),
    };
    let text: String = figure.text.chars().filter(|c| *c != '\u{202f}').collect();
    let shown: f64 = text.parse().unwrap_or_else(|_| panic!("{said}"));
    let digits = text
        .split_once('.')
        .map_or(0, |(_, fraction)| fraction.len());
    let close = 0.501 * 10f64.powi(-(digits as i32));
    assert!((shown - (value + offset) * scale).abs() <= close, "{said}");
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
}
