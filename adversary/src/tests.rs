//! What leaves an evil platform, message by message.
