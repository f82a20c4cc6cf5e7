//! Limits of the machine, transport comparison, instruction counts. Nothing is here yet: it begins with
//! the performance work.
