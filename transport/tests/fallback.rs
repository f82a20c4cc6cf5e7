//! Where io_uring is forbidden, `epoll` runs and says so.
#![allow(unsafe_code)]

use transport::{Backend, TransportConfig, open};

/// Forbids `io_uring_setup` to the calling thread, as container runtimes do.
fn forbid_io_uring() {
    let load = libc::sock_filter {
        code: 0x20,
        jt: 0,
        jf: 0,
        k: 0,
    };
    let number = libc::SYS_io_uring_setup as u32;
    let compare = libc::sock_filter {
        code: 0x15,
        jt: 0,
        jf: 1,
        k: number,
    };
    let refuse = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    let deny = libc::sock_filter {
        code: 0x06,
        jt: 0,
        jf: 0,
        k: refuse,
    };
    let allow = libc::sock_filter {
        code: 0x06,
        jt: 0,
        jf: 0,
        k: libc::SECCOMP_RET_ALLOW,
    };
    let mut filter = [load, compare, deny, allow];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program points to four live instructions; both calls affect this thread alone.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            | libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            )
    };
    assert_eq!(done, 0, "seccomp: {}", std::io::Error::last_os_error());
}

#[test]
fn epoll_takes_over_and_says_why() {
    forbid_io_uring();
    for wanted in [Backend::IoUring, Backend::TokioUring] {
        let (transport, notice) =
            open(TransportConfig::client(wanted, [0; 32], false)).expect("it opens");
        assert_eq!(transport.backend(), Backend::Epoll);
        let notice = notice.expect("and says so");
        assert_eq!((notice.wanted, notice.got), (wanted, Backend::Epoll));
        assert!(notice.to_string().contains("EPERM"), "{notice}");
    }
    let (_, notice) =
        open(TransportConfig::client(Backend::Epoll, [0; 32], false)).expect("it opens");
    assert_eq!(notice, None);
}

#[test]
fn bad_configuration_is_one_clear_error() {
    use transport::{Listen, PeerConfig, ReplicaConfig, TransportError, public_key};
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = taken.local_addr().expect("it is bound");
    let config = |index: u16, key: [u8; 32]| {
        let seat = PeerConfig {
            addr,
            public_key: public_key(&[9; 32]),
        };
        let replica = ReplicaConfig {
            index,
            private_key: key,
            committee: vec![Some(seat)],
            peer_listen: Listen::Addr(addr),
            client_listen: None,
        };
        TransportConfig::replica(Backend::Epoll, [0; 32], false, replica)
    };
    let error = |config| open(config).err().expect("it must fail");
    let text = error(config(0, [9; 32])).to_string();
    assert!(
        text.contains(&addr.to_string()) && text.contains("in use"),
        "{text}"
    );
    assert!(
        matches!(error(config(1, [9; 32])), TransportError::Config(_)),
        "no such seat"
    );
    assert!(
        matches!(error(config(0, [80; 32])), TransportError::Config(_)),
        "another key"
    );
}
