//! Builds everything, wires it, reloads it, stops it.
