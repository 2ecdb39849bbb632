//! Who may connect and do what; does not know how a connection is refused.

pub mod callout;
