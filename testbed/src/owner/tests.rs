use super::{Owner, of};

#[test]
fn names_say_who_owns_them() {
    let this = Owner::this().unwrap();
    assert!(this.is_alive());
    assert_eq!(of(&format!("{}-hub", this.prefix())), Some(this));
    let other = of("reforge-12-3400-replica-7").unwrap();
    assert_eq!((other.pid, other.start), (12, 3400));
    let before = Owner {
        start: this.start + 1,
        ..this
    };
    assert!(!before.is_alive(), "the id alone is not enough");
}

#[test]
fn names_of_others_are_nobodys() {
    for name in [
        "reforge",
        "reforge-",
        "reforge-x-1-hub",
        "reforge-1-hub",
        "reforge-1-2",
        "other-1-2-hub",
    ] {
        assert_eq!(of(name), None, "{name}");
    }
}
