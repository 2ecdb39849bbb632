//! Accounts and their limits; knows no connections.
