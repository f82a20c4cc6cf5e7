//! A man in the middle: forwards a connection byte by byte, and does one thing to the first one.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::thread;

/// What is done to the dialler's bytes; offsets count from its first byte.
#[derive(Clone, Debug)]
pub enum Attack {
    Change { at: usize },
    Repeat(Range<usize>),
    Drop(Range<usize>),
    Cut { at: usize },
}

/// Forwards to `target`; ends with the test's process.
pub fn proxy(target: SocketAddr, attack: Attack) -> SocketAddr {
    serve(target, move |number, stream, server| {
        match (number, &attack) {
            (0, attack) => attacked(stream, server, attack),
            _ => forward(stream, server),
        }
    })
}

/// Forwards to `target` and records what the first dialler says.
pub fn recorder(target: SocketAddr) -> (Arc<Mutex<Vec<u8>>>, SocketAddr) {
    let seen = Arc::<Mutex<Vec<u8>>>::default();
    let record = Arc::clone(&seen);
    let addr = serve(target, move |number, mut stream, mut server| {
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = stream.read(&mut buffer) {
            if number == 0 {
                record
                    .lock()
                    .expect("nobody panics")
                    .extend_from_slice(&buffer[..len]);
            }
            if server.write_all(&buffer[..len]).is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Both);
    });
    (seen, addr)
}

fn serve(
    target: SocketAddr,
    upstream: impl Fn(usize, TcpStream, TcpStream) + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let addr = listener.local_addr().expect("it is bound");
    let upstream = Arc::new(upstream);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let (Ok(stream), Ok(server)) = (stream, TcpStream::connect(target)) else {
                return;
            };
            let _ = (stream.set_nodelay(true), server.set_nodelay(true));
            let (Ok(stream_2), Ok(server_2)) = (stream.try_clone(), server.try_clone()) else {
                return;
            };
            let upstream = Arc::clone(&upstream);
            thread::spawn(move || upstream(number, stream, server));
            thread::spawn(move || forward(server_2, stream_2));
        }
    });
    addr
}

fn forward(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

fn attacked(mut from: TcpStream, mut to: TcpStream, attack: &Attack) {
    let (mut offset, mut held) = (0, Vec::new());
    let mut buffer = [0; 4096];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        let mut out = Vec::with_capacity(len);
        for byte in &mut buffer[..len] {
            match attack {
                Attack::Change { at } if *at == offset => out.push(*byte ^ 1),
                Attack::Drop(range) if range.contains(&offset) => {}
                Attack::Repeat(range) if range.contains(&offset) => {
                    held.push(*byte);
                    out.push(*byte);
                    if offset + 1 == range.end {
                        out.append(&mut held);
                    }
                }
                Attack::Cut { at } if *at == offset => {
                    let _ = to.write_all(&out);
                    let _ = to.shutdown(Shutdown::Both);
                    let _ = from.shutdown(Shutdown::Both);
                    return;
                }
                _ => out.push(*byte),
            }
            offset += 1;
        }
        if to.write_all(&out).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
