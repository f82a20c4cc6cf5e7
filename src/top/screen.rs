//! The live view on a terminal, which is left as it was found however the view ends.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::crossterm::terminal::is_raw_mode_enabled;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::board::Board;
use super::draw::draw;
use super::view::{Then, View};
use super::watch::Watch;

/// A key, a look or a signal is noticed within this time.
const NOTICED_WITHIN: Duration = Duration::from_millis(50);

/// Until the user quits or a signal asks for it.
pub fn show(root: &Path, interval: Duration) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let boards = look_every(root, interval)?;
    let mut screen =
        Screen::open().context("the terminal cannot be drawn on; `--once` prints text")?;
    let mut view = View::of(root.display().to_string(), true);
    while !stop.load(Ordering::Relaxed) {
        match boards.try_recv() {
            Ok(board) => view.see(board),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => bail!("the thread that looks at the run ended"),
        }
        let visible = screen.draw(&view)?;
        if event::poll(NOTICED_WITHIN)?
            && let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
            && view.press(key, visible) == Then::Quit
        {
            break;
        }
    }
    Ok(())
}

/// On a thread of its own: a replica that is silent holds up no key.
fn look_every(root: &Path, interval: Duration) -> io::Result<Receiver<Option<Board>>> {
    let (send, boards) = sync_channel(1);
    let mut watch = Watch::new(root);
    let body = move || {
        while send.send(watch.look()).is_ok() {
            std::thread::sleep(interval);
        }
    };
    let thread = std::thread::Builder::new().name("look".into());
    thread.spawn(body)?;
    Ok(boards)
}

/// The alternate screen without echo; dropping it, and any panic, gives the terminal back.
#[derive(Debug)]
struct Screen(DefaultTerminal);

impl Screen {
    fn open() -> io::Result<Screen> {
        let opened = ratatui::try_init();
        if opened.is_err() {
            ratatui::restore();
        }
        opened.map(Screen)
    }

    /// Says for how many replicas there was room.
    fn draw(&mut self, view: &View) -> io::Result<usize> {
        let mut visible = 0;
        self.0
            .draw(|frame| visible = draw(view, frame.area(), frame.buffer_mut()))?;
        Ok(visible)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.0.show_cursor();
        // After a panic it has been given back, and what the panic said would be written over.
        if is_raw_mode_enabled().unwrap_or(true) {
            ratatui::restore();
        }
    }
}

#[cfg(test)]
mod tests;
