//! Keys of logging and of the files a server writes about itself.

use super::context::{Context, Key, TopKeys};
use crate::server::base::quote::quote;
use crate::server::config::options::Options;
use crate::server::config::value::Entry;

pub(super) const KEYS: TopKeys = &[
    Key::new(&["debug"], |c, e, o| c.flag(e, &mut o.debug)),
    Key::new(&["trace"], |c, e, o| c.flag(e, &mut o.trace)),
    Key::new(&["trace_verbose"], |c, e, o| {
        c.flag(e, &mut o.trace_verbose);
        o.trace |= o.trace_verbose;
    }),
    Key::new(&["trace_headers"], |c, e, o| {
        c.flag(e, &mut o.trace_headers);
        o.trace |= o.trace_headers;
    }),
    Key::new(&["logtime"], |c, e, o| c.flag(e, &mut o.logtime)),
    Key::new(&["logtime_utc"], |c, e, o| c.flag(e, &mut o.logtime_utc)),
    // Natsx's own.
    Key::new(&["log_format"], log_format),
    Key::new(&["log_file", "logfile"], |c, e, o| c.path(e, &mut o.log_file)),
    Key::new(&["logfile_size_limit", "log_size_limit"], |c, e, o| c.number(e, &mut o.logfile_size_limit)),
    Key::new(&["logfile_max_num", "log_max_num"], |c, e, o| c.number(e, &mut o.logfile_max_num)),
    Key::new(&["syslog"], |c, e, o| c.flag(e, &mut o.syslog)),
    Key::new(&["remote_syslog"], |c, e, o| c.text(e, &mut o.remote_syslog)),
    Key::new(&["max_traced_msg_len"], |c, e, o| c.number(e, &mut o.max_traced_msg_len)),
    Key::new(&["pid_file", "pidfile"], |c, e, o| c.path(e, &mut o.pid_file)),
    Key::new(&["ports_file_dir"], |c, e, o| c.path(e, &mut o.ports_file_dir)),
];

fn log_format(context: &mut Context<'_>, entry: &Entry, options: &mut Options) {
    let mut format = None;
    context.text(entry, &mut format);
    match format.as_deref() {
        None => {}
        Some("text") => options.log_json = false,
        Some("json") => options.log_json = true,
        Some(other) => {
            let text = format!("log_format must be \"text\" or \"json\", not {}", quote(other));
            context.error(&entry.node.pos, text);
        }
    }
}
