//! Listening, dialling, the PROXY preamble; does not know what the bytes mean.
