use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::live::Moment;
use crate::top::board::Happening;
use crate::top::once::{lines, plain};
use crate::top::sample::{load, moment, silent};

/// Four replicas, the last one silent, one in another mode; a crash has been.
fn troubled() -> View {
    let mut now = moment(4, 11);
    now.replicas[1].mode = Some("RECOVERY_IN_PROGRESS".into());
    now.replicas[1].is_ready = false;
    now.replicas[1].incidents.insert("conflict", 1);
    now.replicas[3] = silent(3);
    let mut view = of(&moment(4, 10), &now);
    let board = view.board.as_mut().unwrap();
    board.planned = "crash 3 @5s".into();
    board.happened = vec![Happening {
        at_s: 61.0,
        what: "crash 3".into(),
        is_fault: true,
    }];
    view
}

fn of(before: &Moment, now: &Moment) -> View {
    let mut view = View::of("results/quick".into(), true);
    view.see(Some(Board::of(Some(before), now)));
    view
}

fn healthy(n: u32) -> View {
    of(&moment(n, 10), &moment(n, 11))
}

/// Drawn as a terminal would be: its lines, and for how many replicas there was room.
fn drawn(view: &View, width: u16, height: u16) -> (Buffer, Vec<String>, usize) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut visible = 0;
    terminal
        .draw(|frame| visible = draw(view, frame.area(), frame.buffer_mut()))
        .unwrap();
    let cells = terminal.backend().buffer().clone();
    let lines = lines(&cells);
    (cells, lines, visible)
}

fn has(lines: &[String], words: &[&str]) -> bool {
    lines
        .iter()
        .any(|line| words.iter().all(|word| line.contains(word)))
}

fn row(lines: &[String], replica: u32) -> Vec<&str> {
    let number = replica.to_string();
    let words = lines
        .iter()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut rows = words.filter(|words| words.first() == Some(&number.as_str()));
    rows.next().unwrap_or_default()
}

#[test]
fn everything_is_said_on_a_small_terminal() {
    let (_, lines, visible) = drawn(&troubled(), 80, 24);
    assert_eq!(visible, 4);
    assert!(has(&lines, &["003-crash-n4", "running"]), "{lines:#?}");
    assert!(has(&lines, &["planned: crash 3 @5s"]), "{lines:#?}");
    assert!(has(&lines, &["happened: crash 3 at 1:01"]), "{lines:#?}");
    let counts = ["conflict 1", "convicted 0", "merged 0", "false-alarm 0"];
    assert!(has(&lines, &counts), "{lines:#?}");
    let titles = ["mode", "view", "height", "lag", "tx/s", "rss B", "jrnl B"];
    assert!(has(&lines, &titles), "{lines:#?}");
    let expected = [
        "0", "NOMINAL", "yes", "224", "220", "0", "500", "34.7M", "4.8M",
    ];
    assert_eq!(row(&lines, 0), expected);
    assert_eq!(row(&lines, 1)[1..3], ["RECOVERY_IN_PROGRESS", "no"]);
    assert_eq!(row(&lines, 3), ["3", "no", "answer"]);
    assert!(has(
        &lines,
        &["offered", "done", "refused", "p50", "p99", "in flight"]
    ));
    assert!(has(
        &lines,
        &["523", "490", "11", "15ms", "2.34ms", "51", "NOMINAL"]
    ));
    assert!(
        has(&lines, &["throughput: 490 tx/s of 523 offered"]),
        "{lines:#?}"
    );
    assert!(has(&lines, &["██"]), "a sparkline: {lines:#?}");
    assert!(has(&lines, &["q quits"]), "{lines:#?}");
}

#[test]
fn who_lies_by_the_plan_is_marked() {
    let mut view = healthy(4);
    let board = view.board.as_mut().unwrap();
    board.planned = "3: split".into();
    board.rows[3].lies = true;
    let (_, lines, _) = drawn(&view, 80, 24);
    assert!(has(&lines, &["planned: 3: split (* lies)"]), "{lines:#?}");
    assert!(has(&lines, &["3* NOMINAL"]), "{lines:#?}");
    assert!(has(&lines, &["2 NOMINAL"]), "{lines:#?}");
}

#[test]
fn a_wide_terminal_has_more_columns() {
    let (_, lines, _) = drawn(&troubled(), 140, 40);
    let more = [
        "cpu %",
        "peers",
        "timeouts",
        "conflict",
        "convicted",
        "merged",
        "false-alarm",
    ];
    assert!(has(&lines, &more), "{lines:#?}");
    // 25 % of one core; three peers, seven timeouts.
    assert_eq!(row(&lines, 0)[9..], ["25", "3", "7", "0", "0", "0", "0"]);
    assert_eq!(row(&lines, 1)[12], "1");
}

#[test]
fn modes_have_colours() {
    let (cells, lines, _) = drawn(&troubled(), 80, 24);
    let colour = |mode: &str| {
        let y = lines.iter().position(|line| line.contains(mode)).unwrap();
        let x = lines[y].find(mode).unwrap();
        cells[(x as u16, y as u16)].fg
    };
    assert_eq!(colour("NOMINAL"), Color::Green);
    assert_eq!(colour("RECOVERY_IN_PROGRESS"), Color::Yellow);
    assert_eq!(colour("no answer"), Color::Red);
}

#[test]
fn thirty_replicas_scroll() {
    let mut view = healthy(30);
    let (_, lines, visible) = drawn(&view, 80, 24);
    assert!((8..30).contains(&visible), "{lines:#?}");
    let below = format!("… {} more", 30 - visible);
    assert!(has(&lines, &[&below]), "{lines:#?}");
    assert!(row(&lines, 29).is_empty());
    // What else is said is still there.
    assert!(
        has(&lines, &["throughput"]) && has(&lines, &["in flight"]) && has(&lines, &["q quits"])
    );

    view.scrolled = 3;
    let (_, lines, _) = drawn(&view, 80, 24);
    assert!(has(&lines, &["… 3 more above"]), "{lines:#?}");
    // Further than there are replicas, as after the next run began with fewer.
    view.scrolled = 99;
    let (_, lines, _) = drawn(&view, 80, 24);
    assert_eq!(row(&lines, 29)[1], "NOMINAL");
    let (_, lines, visible) = drawn(&healthy(30), 140, 60);
    assert_eq!(visible, 30);
    assert!(!has(&lines, &["more"]), "{lines:#?}");
}

#[test]
fn more_generators_than_there_is_room_for_are_counted() {
    let mut now = moment(4, 11);
    now.loads = (0..30).map(|k| load(k, &[1, 2])).collect();
    let (_, lines, _) = drawn(&of(&moment(4, 10), &now), 80, 24);
    let shown = lines.iter().filter(|line| line.contains("15ms")).count();
    assert!(shown > 1, "{lines:#?}");
    assert!(
        has(&lines, &[&format!("… {} more", 30 - shown)]),
        "{lines:#?}"
    );
}

#[test]
fn no_size_is_too_small() {
    let waiting = View::of("results".into(), true);
    for view in [troubled(), healthy(30), healthy(0), waiting] {
        for (width, height) in [(20, 5), (1, 1), (0, 0), (80, 2), (3, 50), (300, 7)] {
            drawn(&view, width, height);
        }
    }
    let (_, lines, visible) = drawn(&troubled(), 20, 5);
    assert!(visible > 0);
    assert!(lines[0].starts_with("003-crash-n4"), "{lines:#?}");
    assert!(has(&lines, &["0", "NOMINAL"]), "{lines:#?}");
}

#[test]
fn without_a_run_it_says_what_it_waits_for() {
    let (_, lines, _) = drawn(&View::of("results/quick".into(), true), 80, 24);
    assert_eq!(lines[0], "waiting for a run in results/quick");
    assert!(lines[1].starts_with("q quits"));
}

#[test]
fn a_held_screen_says_so() {
    let mut view = healthy(4);
    view.is_paused = true;
    let (_, lines, _) = drawn(&view, 80, 24);
    assert!(
        has(&lines, &["PAUSED"]) && has(&lines, &["p goes on"]),
        "{lines:#?}"
    );
}

#[test]
fn a_run_that_has_ended_has_no_silent_replicas() {
    let mut now = moment(1, 11);
    now.replicas[0] = silent(0);
    now.is_sealed = true;
    let (_, lines, _) = drawn(&of(&moment(1, 10), &now), 80, 24);
    assert_eq!(row(&lines, 0), ["0", "ended"]);
    assert!(has(&lines, &["ended after"]), "{lines:#?}");
}

#[test]
fn as_text_nothing_is_left_out() {
    let mut view = healthy(30);
    view.has_keys = false;
    let text = plain(&view, 150);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for replica in 0..30 {
        assert_eq!(row(&lines, replica)[1], "NOMINAL", "{text}");
    }
    assert!(!text.contains("more") && !text.contains("quits"), "{text}");
    assert!(text.contains("throughput: 490 tx/s"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}
