//! Levels, files, syslog and the exact line format; does not know who logs.
