use super::*;
use crate::top::sample::moment;

fn view(replicas: u32) -> View {
    let mut view = View::of("results".into(), true);
    view.see(Some(Board::of(None, &moment(replicas, 1))));
    view
}

fn press(view: &mut View, code: KeyCode) -> Then {
    view.press(code.into(), 10)
}

#[test]
fn q_escape_and_control_c_quit_and_nothing_else_does() {
    let mut view = view(4);
    assert_eq!(press(&mut view, KeyCode::Char('q')), Then::Quit);
    assert_eq!(press(&mut view, KeyCode::Esc), Then::Quit);
    assert_eq!(press(&mut view, KeyCode::Char('c')), Then::GoOn);
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(view.press(control_c, 10), Then::Quit);
}

#[test]
fn a_held_screen_keeps_what_it_shows() {
    let mut view = view(4);
    press(&mut view, KeyCode::Char('p'));
    let held = view.board.clone();
    view.see(None);
    assert_eq!(view.board, held);
    press(&mut view, KeyCode::Char('p'));
    view.see(None);
    assert_eq!(view.board, None);
}

#[test]
fn scrolling_stays_within_the_table() {
    let mut view = view(30);
    let mut after = |code: KeyCode| {
        press(&mut view, code);
        view.scrolled
    };
    assert_eq!(after(KeyCode::Up), 0);
    assert_eq!(after(KeyCode::Down), 1);
    assert_eq!(after(KeyCode::PageDown), 11);
    assert_eq!(after(KeyCode::PageDown), 20, "the last ten");
    assert_eq!(after(KeyCode::Down), 20);
    assert_eq!(after(KeyCode::PageUp), 10);
    assert_eq!(after(KeyCode::End), 20);
    assert_eq!(after(KeyCode::Home), 0);
    // Room for none, and no run at all.
    view.press(KeyCode::End.into(), 0);
    view.see(None);
    assert_eq!(press(&mut view, KeyCode::Down), Then::GoOn);
    assert_eq!(view.scrolled, 0);
}
