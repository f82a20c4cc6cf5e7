//! A headless Chromium, driven through its DevTools protocol over a pipe: JSON messages that end with a zero
//! byte, on descriptors 3 and 4 of the browser.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
    "about:blank",
];

pub struct Chromium {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    next_id: u64,
    /// Messages that were no answers, in their order.
    pub events: Vec<Value>,
    _profile: TempDir,
}

impl Chromium {
    /// # Panics
    /// When there is no `chromium` on the path.
    pub fn start() -> Chromium {
        let profile = tempfile::tempdir().unwrap();
        let mut child = Command::new("sh")
            // The shell gives the pipes their numbers and becomes the browser.
            .args([
                "-c",
                r#"exec chromium "$@" 3<&0 4>&1 0</dev/null 1>&2"#,
                "sh",
            ])
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut chromium = Chromium {
            child,
            to,
            from: BufReader::new(from),
            session: None,
            next_id: 0,
            events: Vec::new(),
            _profile: profile,
        };
        let target = chromium.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = chromium.call("Target.attachToTarget", attach);
        chromium.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            chromium.call(&format!("{domain}.enable"), json!({}));
        }
        chromium
    }

    /// One command and its answer.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.next_id += 1;
        let mut message = json!({ "id": self.next_id, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        self.to.write_all(&bytes).expect("a browser that listens");
        loop {
            let mut message = self.read();
            if message["id"] == self.next_id {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    /// Shows a file in a window of this size, until it is loaded.
    pub fn show(&mut self, file: &Path, width: u32) {
        let size =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", size);
        self.events.clear();
        let url = format!("file://{}", file.display());
        self.call("Page.navigate", json!({ "url": url }));
        while !self.has("Page.loadEventFired") {
            let message = self.read();
            self.events.push(message);
        }
    }

    /// The value of an expression in the page.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", params);
        assert!(answer["exceptionDetails"].is_null(), "{answer}");
        answer["result"]["value"].take()
    }

    /// What the console, the log or an uncaught error said since the page was shown.
    pub fn complaints(&self) -> Vec<&Value> {
        let complains = |event: &&Value| {
            let method = event["method"].as_str().unwrap_or_default();
            [
                "Runtime.consoleAPICalled",
                "Runtime.exceptionThrown",
                "Log.entryAdded",
            ]
            .contains(&method)
        };
        self.events.iter().filter(complains).collect()
    }

    fn has(&self, method: &str) -> bool {
        self.events.iter().any(|event| event["method"] == method)
    }

    fn read(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "chromium ended, or is not installed");
        serde_json::from_slice(&bytes).unwrap()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
