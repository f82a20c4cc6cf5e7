//! Committees for tests.
