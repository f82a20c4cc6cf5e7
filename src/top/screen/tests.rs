use std::process::Command;

use super::*;
use crate::top::pty::Pty;

/// Set for the process that is to panic.
const PANICS: &str = "REFORGE_TEST_PANICS";

#[test]
fn a_panic_leaves_the_terminal_as_it_was() {
    if std::env::var_os(PANICS).is_some() {
        let mut screen = Screen::open().unwrap();
        screen.draw(&View::of("results".into(), true)).unwrap();
        panic!("as planned");
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "--nocapture", "--test-threads=1"]);
    again.arg("top::screen::tests::a_panic_leaves_the_terminal_as_it_was");
    again.env(PANICS, "1");
    let left = Pty::start(&again, 100, 30).end();
    assert_eq!(left.status.code(), Some(101), "{}", left.text);
    assert!(left.was_taken && left.is_restored, "{}", left.text);
    assert!(left.text.contains("screen/tests.rs"), "{}", left.text);
    assert!(left.text.contains("as planned"), "{}", left.text);
}
