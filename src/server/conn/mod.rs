//! What every connection shares: reading, writing, ping, closing.
