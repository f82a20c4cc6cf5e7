//! Proof by type that a value's signatures were checked.

/// A value whose every signature, signer set and threshold was checked against a committee.
///
/// The protocol core takes nothing else. Only the `crypto` room may construct one: `clippy.toml`
/// forbids [`Verified::attest`] everywhere else, and a test of the workspace greps for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// States that `value` was checked. For the `crypto` room alone.
    pub fn attest(value: T) -> Verified<T> {
        Verified(value)
    }

    pub fn into_inner(self) -> T {
        self.0
    }

    pub fn get(&self) -> &T {
        &self.0
    }
}

impl<T> std::ops::Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
