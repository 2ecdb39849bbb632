//! One message from its origin to its destinations.
