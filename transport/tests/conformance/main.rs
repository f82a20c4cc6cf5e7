//! One suite over all back ends, with encryption on and off.

mod harness;
mod traffic;

use harness::Case;
use transport::Backend;

fn run(backend: Backend, test: fn(Case)) {
    for encryption in [false, true] {
        test(Case {
            backend,
            encryption,
        });
    }
}

macro_rules! suite {
    ($($module:ident :: $test:ident,)*) => {
        mod epoll {
            $(#[test] fn $test() { super::run(super::Backend::Epoll, super::$module::$test); })*
        }
        mod tokio_uring {
            $(#[test] fn $test() { super::run(super::Backend::TokioUring, super::$module::$test); })*
        }
        mod io_uring {
            $(#[test] fn $test() { super::run(super::Backend::IoUring, super::$module::$test); })*
        }
    };
}

suite! {
    traffic::both_directions,
    traffic::big_frames_arrive_whole_and_in_order,
    traffic::many_small_frames_keep_their_order,
    traffic::one_body_goes_to_all,
    traffic::clients_ask_and_are_answered,
    traffic::control_overtakes_bulk,
    traffic::a_full_queue_refuses_and_drains,
    traffic::the_waker_wakes_once,
}
