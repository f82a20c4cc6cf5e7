//! The commands, and shapes of links as configs and commands write them.

use std::time::Duration;

use serde::Deserialize;
use transport::Shape;
use types::ReplicaId;

use crate::config::ShapeSection;

/// One line.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "cmd", rename_all = "kebab-case")]
pub enum Command {
    /// Replaces the shape of the link to one replica, or to all.
    Shape(ShapeSection),
    /// A partition from one replica, both ways.
    Block {
        peer: u16,
    },
    Unblock {
        peer: u16,
    },
    /// The newest snapshot.
    State,
    /// Graceful stop.
    Stop,
}

/// The shapes of all links from here: configured, changed by commands, blocked and unblocked.
#[derive(Debug)]
pub struct Shapes {
    me: usize,
    shapes: Vec<Shape>,
}

impl Shapes {
    /// `seats`: size of the committee; `me`: our own index.
    pub fn new(me: ReplicaId, seats: usize) -> Shapes {
        Shapes {
            me: me.index(),
            shapes: vec![Shape::default(); seats],
        }
    }

    /// Applies a section and returns the links that changed.
    ///
    /// # Errors
    /// If it names no other replica of the committee.
    pub fn shape(&mut self, section: &ShapeSection) -> Result<Vec<(ReplicaId, Shape)>, String> {
        let peers = match section.to {
            Some(peer) => vec![self.checked(peer)?],
            None => (0..self.shapes.len()).filter(|p| *p != self.me).collect(),
        };
        Ok(peers
            .into_iter()
            .map(|peer| {
                let blocked = self.shapes[peer].blocked;
                self.set(
                    peer,
                    Shape {
                        blocked,
                        ..shape_of(section)
                    },
                )
            })
            .collect())
    }

    /// Blocks or unblocks one link.
    ///
    /// # Errors
    /// As [`Shapes::shape`].
    pub fn block(&mut self, peer: u16, blocked: bool) -> Result<(ReplicaId, Shape), String> {
        let peer = self.checked(peer)?;
        let shape = self.shapes[peer];
        Ok(self.set(peer, Shape { blocked, ..shape }))
    }

    fn set(&mut self, peer: usize, shape: Shape) -> (ReplicaId, Shape) {
        self.shapes[peer] = shape;
        (ReplicaId(peer as u16), shape)
    }

    fn checked(&self, peer: u16) -> Result<usize, String> {
        match usize::from(peer) {
            peer if peer < self.shapes.len() && peer != self.me => Ok(peer),
            _ => Err(format!(
                "expected the index of another replica below {}, found {peer}",
                self.shapes.len()
            )),
        }
    }
}

fn shape_of(section: &ShapeSection) -> Shape {
    let millis = |ms: f64| Duration::from_nanos((ms * 1e6) as u64);
    Shape {
        delay: millis(section.delay_ms),
        jitter: millis(section.jitter_ms),
        bandwidth_bytes_per_s: section.bandwidth_bytes_per_s,
        break_per_million: (section.loss * 1e6).round() as u32,
        blocked: false,
    }
}
