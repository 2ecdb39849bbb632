//! Rows of differences.md, their evidence, and conversation scripts played against any server.
