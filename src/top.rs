//! `reforge top`: a run that goes on as one screen of text. [`crate::live`] looks, [`board`] is what one look
//! and the one before say, [`view`] is that and what the user asked for, [`draw`] makes cells of it.

pub mod board;
pub mod draw;
mod facts;
pub mod once;
pub mod rates;
mod replicas;
pub mod screen;
mod text;
pub mod view;
pub mod watch;

#[cfg(test)]
#[allow(dead_code)] // the tests of the binary use the rest of it
#[path = "../tests/common/pty.rs"]
mod pty;
#[cfg(test)]
pub mod sample;
