use transport::Shape;
use types::ReplicaId;

use super::command::Shapes;
use super::*;
use crate::config::ShapeSection;

fn ask(path: &Path, line: &str) -> Value {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(line.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    serde_json::from_str(&answer).unwrap()
}

/// A control whose waker tells the test that an order waits.
fn open(path: &Path) -> (Control, mpsc::Receiver<()>) {
    let (wake, woken) = mpsc::channel();
    let wake = std::sync::Mutex::new(wake);
    let waker = Waker::from_fn(move || wake.lock().unwrap().send(()).unwrap());
    (Control::open(path, Board::default(), waker).unwrap(), woken)
}

#[test]
fn a_command_reaches_the_replica_and_its_answer_the_client() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let (control, woken) = open(&path);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let asked = path.clone();
    let client = std::thread::spawn(move || {
        [
            ask(&asked, "{\"cmd\":\"block\",\"peer\":2}\n"),
            ask(&asked, "{\"cmd\":\"stop\"}\n"),
        ]
    });
    woken.recv().unwrap();
    let order = control.next().unwrap();
    assert_eq!(order.command, Command::Block { peer: 2 });
    order.answer(Err("no such peer".into()));
    woken.recv().unwrap();
    let order = control.next().unwrap();
    assert_eq!(order.command, Command::Stop);
    order.answer(Ok(()));
    let answers = client.join().unwrap();
    assert_eq!(answers[0], json!({"ok": false, "error": "no such peer"}));
    assert_eq!(answers[1], json!({"ok": true}));
    drop(control);
    assert!(!path.exists());
}

#[test]
fn garbage_and_endless_lines_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let (control, _woken) = open(&path);
    for line in [
        "{}\n",
        "block\n",
        "{\"cmd\":\"block\"}\n",
        "{\"cmd\":\"shape\",\"loss\":2}\n",
    ] {
        assert_eq!(ask(&path, line)["ok"], json!(false), "{line}");
    }
    let endless = ask(&path, &"x".repeat(LINE_LEN_MAX as usize));
    assert_eq!(endless["ok"], json!(false));
    assert!(control.next().is_none());
    assert_eq!(ask(&path, "{\"cmd\":\"state\"}\n")["ok"], json!(true));
}

#[test]
fn a_socket_in_use_is_not_taken_and_a_dead_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    // Dropping a listener leaves its name behind, as a kill does.
    drop(UnixListener::bind(&path).unwrap());
    let (_control, _woken) = open(&path);
    let waker = Waker::from_fn(|| {});
    let error = Control::open(&path, Board::default(), waker).unwrap_err();
    assert!(error.to_string().contains("control.sock"), "{error}");
}

#[test]
fn shapes_and_blocks_do_not_undo_each_other() {
    let mut shapes = Shapes::new(ReplicaId(1), 4);
    let slow = ShapeSection {
        delay_ms: 1.5,
        loss: 0.25,
        ..ShapeSection::default()
    };
    let (peer, shape) = shapes.block(2, true).unwrap();
    assert_eq!((peer, shape.blocked), (ReplicaId(2), true));
    let changed = shapes.shape(&slow).unwrap();
    assert_eq!(changed.len(), 3);
    assert!(changed.iter().all(|(peer, _)| *peer != ReplicaId(1)));
    let two = changed
        .iter()
        .find(|(peer, _)| *peer == ReplicaId(2))
        .unwrap()
        .1;
    assert!(two.blocked);
    assert_eq!(two.delay, Duration::from_micros(1500));
    assert_eq!(two.break_per_million, 250_000);
    let (_, open) = shapes.block(2, false).unwrap();
    assert_eq!(
        open,
        Shape {
            blocked: false,
            ..two
        }
    );
    assert!(shapes.block(1, true).is_err());
    assert!(shapes.block(4, true).is_err());
}
