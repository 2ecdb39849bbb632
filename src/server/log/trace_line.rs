//! The protocol as trace lines show it. Pure.
