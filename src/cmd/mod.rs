//! The command line of the one binary: parse, dispatch, exit code.
