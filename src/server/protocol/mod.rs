//! The text protocol, subjects and headers; knows no connections and no accounts.
