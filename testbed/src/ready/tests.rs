use std::net::TcpListener;

use super::*;

/// Answers one connection with `answer` and tells its address.
fn serve(answer: &'static str) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 256];
        let len_bytes = stream.read(&mut request).unwrap();
        assert!(request[..len_bytes].starts_with(b"GET /healthz HTTP/1.1\r\n"));
        stream.write_all(answer.as_bytes()).unwrap();
    });
    (address, thread)
}

#[test]
fn only_200_is_ready() {
    for (answer, ready) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true),
        ("HTTP/1.0 200 OK\r\n\r\n", true),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", false),
        ("SSH-2.0-200\r\n", false),
        ("", false),
    ] {
        let (address, thread) = serve(answer);
        assert_eq!(is_ready(&address), ready, "{answer:?}");
        thread.join().unwrap();
    }
}

#[test]
fn nobody_is_not_ready() {
    // Port 1 (tcpmux) is reserved and never assigned to a test's own listeners.
    assert!(!is_ready("127.0.0.1:1"));
    assert!(!is_ready("not an address"));
}
