//! One suite over all back ends, with encryption on and off.

mod harness;
mod hostile;
mod links;
mod proxy;
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
    traffic::zero_copy_ends_where_the_kernel_copies,
    links::a_restarted_replica_comes_back,
    links::closing_a_replicas_link_redials,
    links::a_wrong_replica_key_is_refused,
    links::a_wrong_cluster_id_is_refused,
    links::another_encryption_setting_is_refused,
    links::a_client_insists_on_its_server,
    links::delay_holds_frames_back_in_order,
    links::bandwidth_is_a_limit,
    links::a_block_holds_both_directions_and_ends,
    links::a_blocked_pair_does_not_connect,
    links::loss_breaks_and_redials,
    links::a_seat_can_change_hands,
    hostile::strangers_get_nothing,
    hostile::half_open_by_the_thousand,
    hostile::the_silent_run_out_of_time,
    hostile::oversized_frames_end_the_link,
    hostile::a_changed_byte_is_noticed,
    hostile::a_replayed_frame_is_noticed,
    hostile::a_dropped_frame_is_noticed,
    hostile::a_cut_frame_is_noticed,
    hostile::a_replayed_connection_gets_nowhere,
    hostile::a_client_that_does_not_read_is_cut,
    hostile::a_silent_replica_delays_nobody,
    hostile::more_clients_than_allowed_are_refused,
}
