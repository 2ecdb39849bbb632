//! Secrets on the command line: what is shown of them, and hiding them from other processes.

use std::os::unix::fs::FileExt as _;

use crate::server::base::url::Url;

/// What stands where a secret stood.
const REDACTED: &str = "[REDACTED]";

/// `args` without the values of `--user`, `--pass` and `--auth` (`--password` and `--token` of other commands), and without the credentials in the
/// URLs of `--routes`, `--cluster` and `--cluster_listen`: what monitoring may show.
pub fn redact(args: &[String]) -> Vec<String> {
    let mut shown = Vec::with_capacity(args.len());
    let mut next: Option<fn(&str) -> String> = None;
    for arg in args {
        if let Some(hide) = next.take() {
            shown.push(hide(arg));
            continue;
        }
        let (flag, value) = match arg.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (arg.as_str(), None),
        };
        let Some(hide) = hider(flag) else {
            shown.push(arg.clone());
            continue;
        };
        match value {
            Some(value) => shown.push(format!("{flag}={}", hide(value))),
            None => {
                shown.push(arg.clone());
                next = Some(hide);
            }
        }
    }
    shown
}

fn hider(flag: &str) -> Option<fn(&str) -> String> {
    let name = flag.strip_prefix("--").or_else(|| flag.strip_prefix('-'))?;
    match name {
        "user" | "pass" | "auth" | "password" | "token" => Some(|_| REDACTED.to_owned()),
        "routes" => Some(|urls| urls.split(',').map(hide_user).collect::<Vec<_>>().join(",")),
        "cluster" | "cluster_listen" => Some(hide_user),
        _ => None,
    }
}

/// A URL with its user and password replaced; a text that is no URL, or has none, as it was.
fn hide_user(raw: &str) -> String {
    let text = raw.trim();
    // A random port is not digits, so not a URL's.
    let plain = text.strip_suffix(":-1").unwrap_or(text);
    let has_user = Url::parse(plain).is_ok_and(|url| url.user.is_some());
    let parts = text.split_once("//").and_then(|(scheme, rest)| {
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        authority.rsplit_once('@').map(|(_, host)| format!("{scheme}//{REDACTED}@{host}{path}"))
    });
    match parts {
        Some(hidden) if has_user => hidden,
        _ => raw.to_owned(),
    }
}

/// Overwrites the secrets among this process's arguments where other processes see them
/// (`ps`, `/proc/<pid>/cmdline`). The reference leaves them there. Called once, before threads start;
/// a system without `/proc` keeps them, which costs nothing but this.
pub fn hide_from_others() {
    let _ = overwrite();
}

fn overwrite() -> Option<()> {
    let shown = std::fs::read("/proc/self/cmdline").ok()?;
    let hidden = hidden_bytes(&shown)?;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let start = arguments_address(&stat)?;
    let memory = std::fs::OpenOptions::new().write(true).open("/proc/self/mem").ok()?;
    memory.write_all_at(&hidden, start).ok()
}

/// Field 48 of `/proc/<pid>/stat`; the second, the program's name, may hold anything but is followed by
/// the last parenthesis.
fn arguments_address(stat: &str) -> Option<u64> {
    let fields = stat.rsplit_once(')')?.1;
    fields.split_whitespace().nth(48 - 3)?.parse().ok().filter(|address| *address != 0)
}

/// The arguments with secrets overwritten, each at its old place and of its old length; `None` where
/// there is none.
fn hidden_bytes(shown: &[u8]) -> Option<Vec<u8>> {
    let args: Vec<&[u8]> = shown.split(|byte| *byte == 0).collect();
    let texts: Vec<String> = args.iter().map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
    let redacted = redact(&texts);
    if texts == redacted {
        return None;
    }
    let hidden: Vec<Vec<u8>> = args
        .iter()
        .zip(texts.iter().zip(&redacted))
        .map(|(arg, (text, redacted))| {
            if text == redacted {
                return arg.to_vec();
            }
            let mut bytes = redacted.clone().into_bytes();
            bytes.resize(arg.len(), b' ');
            bytes
        })
        .collect();
    Some(hidden.join(&0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[track_caller]
    fn check(line: &str, want: &str) {
        assert_eq!(redact(&words(line)).join(" "), want);
    }

    #[test]
    fn user_password_and_token_are_not_shown() {
        check(
            "natsx --user u -pass=p --auth t -p 1",
            "natsx --user [REDACTED] -pass=[REDACTED] --auth [REDACTED] -p 1",
        );
        check("natsx --pass", "natsx --pass");
        check("natsx --passport x -users=y ---pass z", "natsx --passport x -users=y ---pass z");
    }

    #[test]
    fn credentials_in_urls_are_not_shown() {
        check(
            "natsx --cluster nats://u:p@h:-1 --routes=nats://a:b@c:1,nats://d:2,nats://x@y:3",
            "natsx --cluster nats://[REDACTED]@h:-1 --routes=nats://[REDACTED]@c:1,nats://d:2,nats://[REDACTED]@y:3",
        );
        check("natsx -cluster_listen=nats://h:1 -routes @", "natsx -cluster_listen=nats://h:1 -routes @");
    }

    #[test]
    fn secrets_are_overwritten_in_place() {
        let shown = b"natsx\0--pass\0a secret of mine\0--user=u\0-p\x001\0";
        let hidden = hidden_bytes(shown).unwrap();
        assert_eq!(hidden.len(), shown.len());
        assert_eq!(
            String::from_utf8(hidden).unwrap(),
            "natsx\0--pass\0[REDACTED]      \0--user=[\0-p\x001\0"
        );
        assert_eq!(hidden_bytes(b"natsx\0-p\x001\0"), None);
    }

    #[test]
    fn the_arguments_address_is_found_behind_any_name() {
        let fields: Vec<String> = (3..=52).map(|field| field.to_string()).collect();
        let stat = format!("1 (a) b) {}", fields.join(" "));
        assert_eq!(arguments_address(&stat), Some(48));
        assert_eq!(arguments_address("1 (x) S 2"), None);
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        assert!(arguments_address(&own).is_some());
    }
}
