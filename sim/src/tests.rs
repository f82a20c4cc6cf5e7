//! Worlds that must be green, worlds that must be the same twice, and replicas that must be caught.
