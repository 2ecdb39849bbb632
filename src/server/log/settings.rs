//! From the options to the log's settings.

use super::file::Rotation;
use super::level::Levels;
use super::line::{Format, Stamp};
use super::task::{Settings, Target};
use crate::server::config::options::Options;

impl Settings {
    /// The log that `options` ask for. Of several targets the first counts: file, remote syslog, syslog.
    /// `called_by` is the path that the process was called by; its last part names it in the syslog.
    pub fn from_options(options: &Options, called_by: &str) -> Self {
        let stamp = match (options.logtime, options.logtime_utc) {
            (false, _) => Stamp::Off,
            (true, false) => Stamp::Local,
            (true, true) => Stamp::Utc,
        };
        let levels =
            Levels { debug: options.debug, trace: options.trace, trace_system: options.trace_verbose };
        Self {
            target: target(options),
            levels,
            stamp,
            format: if options.log_json { Format::Json } else { Format::Text },
            syslog_tag: called_by.rsplit('/').find(|part| !part.is_empty()).unwrap_or(called_by).to_owned(),
        }
    }
}

fn target(options: &Options) -> Target {
    if let Some(path) = &options.log_file {
        // A negative limit or count means none, as 0 does.
        let rotation = Rotation {
            size_limit: u64::try_from(options.logfile_size_limit).unwrap_or(0),
            files_max: usize::try_from(options.logfile_max_num).unwrap_or(0),
        };
        return Target::File(path.clone(), rotation);
    }
    if let Some(url) = &options.remote_syslog {
        return Target::RemoteSyslog(url.clone());
    }
    if options.syslog { Target::Syslog } else { Target::Stderr }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(change: impl Fn(&mut Options)) -> Settings {
        let mut options = Options::default();
        change(&mut options);
        Settings::from_options(&options, "/usr/sbin/nats-server")
    }

    #[test]
    fn without_settings_notices_go_to_standard_error_with_local_time() {
        let want = Settings { syslog_tag: "nats-server".into(), ..Settings::default() };
        assert_eq!(settings(|_| ()), want);
    }

    #[test]
    fn a_file_comes_before_a_remote_syslog_before_the_local_one() {
        let file = |options: &mut Options| {
            options.log_file = Some("/f".into());
            options.logfile_size_limit = 9;
            options.logfile_max_num = 3;
        };
        let remote = |options: &mut Options| options.remote_syslog = Some("udp://h:1".into());
        let local = |options: &mut Options| options.syslog = true;
        let target = |all: &[&dyn Fn(&mut Options)]| {
            settings(|options| all.iter().for_each(|set| set(options))).target
        };
        assert_eq!(
            target(&[&file, &remote, &local]),
            Target::File("/f".into(), Rotation { size_limit: 9, files_max: 3 })
        );
        assert_eq!(target(&[&remote, &local]), Target::RemoteSyslog("udp://h:1".into()));
        assert_eq!(target(&[&local]), Target::Syslog);
    }

    #[test]
    fn levels_and_stamp_follow_the_options() {
        let all = settings(|options| {
            (options.debug, options.trace, options.trace_verbose) = (true, true, true);
            options.logtime_utc = true;
        });
        assert_eq!(all.levels, Levels { debug: true, trace: true, trace_system: true });
        assert_eq!((all.stamp, all.format), (Stamp::Utc, Format::Text));
        assert_eq!(settings(|options| options.log_json = true).format, Format::Json);
        let off = settings(|options| (options.logtime, options.logtime_utc) = (false, true));
        assert_eq!(off.stamp, Stamp::Off);
    }
}
