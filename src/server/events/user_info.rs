//! What a user may ask about itself: `$SYS.REQ.USER.INFO`.

use std::time::Duration;

use super::server::ServerInfo;
use crate::server::base::clock::Timestamp;
use crate::server::config::options::{Permissions, SubjectPermission};
use crate::server::protocol::json::ObjectWriter;

/// Where every user asks.
pub const USER_INFO_SUBJECT: &[u8] = b"$SYS.REQ.USER.INFO";

/// Where the question of a user of `account` arrives in the system account.
pub fn user_info_subject(account: &str) -> String {
    format!("$SYS.REQ.USER.{account}.INFO")
}

/// The answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct UserInfo<'a> {
    /// Public key or name.
    pub user: &'a str,
    /// Its account.
    pub account: &'a str,
    /// What the account calls itself; left out when empty.
    pub account_name: &'a str,
    /// What the user's claims call it; left out when empty.
    pub user_name: &'a str,
    /// What it may do; `None` is everything.
    pub permissions: Option<&'a Permissions>,
    /// Time until its credentials expire; `None` is never.
    pub expires: Option<Duration>,
}

/// The whole document, from the server at `time`.
pub fn write_user_info(
    server: &ServerInfo,
    sequence: u64,
    time: Timestamp,
    info: &UserInfo<'_>,
    out: &mut Vec<u8>,
) {
    let mut document = ObjectWriter::new(out);
    document.raw("server", |out| server.write(sequence, time, out));
    document.object("data", |data| {
        data.text("user", info.user);
        data.text("account", info.account);
        data.text_if_any("account_name", info.account_name);
        data.text_if_any("user_name", info.user_name);
        if let Some(permissions) = info.permissions {
            data.object("permissions", |object| write_permissions(object, permissions));
        }
        // Whole seconds, in nanoseconds.
        let expires = info.expires.map_or(0, |left| left.as_secs().saturating_mul(1_000_000_000));
        data.uint_if_any("expires", expires);
    });
    document.end();
}

fn write_permissions(object: &mut ObjectWriter<'_>, permissions: &Permissions) {
    let subjects = |object: &mut ObjectWriter<'_>, rule: Option<&SubjectPermission>| {
        object.texts_if_any("allow", rule.and_then(|rule| rule.allow.as_deref()).unwrap_or_default());
        object.texts_if_any("deny", rule.map(|rule| &*rule.deny).unwrap_or_default());
    };
    object.object("publish", |object| subjects(object, permissions.publish.as_ref()));
    object.object("subscribe", |object| subjects(object, permissions.subscribe.as_ref()));
    if let Some(responses) = permissions.allow_responses {
        let nanos = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        object.object("responses", |object| {
            object.int("max", responses.max_messages);
            object.int("ttl", responses.expires.map_or(-1, nanos));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::options::ResponsePermission;
    use crate::server::events::server::example;

    #[track_caller]
    fn check(info: &UserInfo<'_>, want: &str) {
        let mut out = Vec::new();
        write_user_info(&example(), 1, Timestamp::from_nanos(0), info, &mut out);
        let text = String::from_utf8(out).unwrap();
        let data = text.split_once(r#""data":"#).map(|(_, data)| data);
        assert_eq!(data, Some(format!("{want}}}").as_str()));
    }

    #[test]
    fn user_without_limits_is_user_and_account() {
        let info = UserInfo { user: "ann", account: "A", account_name: "A", ..UserInfo::default() };
        check(&info, r#"{"user":"ann","account":"A","account_name":"A"}"#);
        check(&UserInfo::default(), r#"{"user":"","account":""}"#);
    }

    #[test]
    fn permissions_and_expiry_are_told() {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let permissions = Permissions {
            publish: Some(SubjectPermission { allow: Some(texts(&["a.>"])), deny: texts(&["a.x"]) }),
            subscribe: None,
            allow_responses: Some(ResponsePermission::default()),
        };
        let info = UserInfo {
            user: "UK",
            account: "AK",
            account_name: "acc",
            user_name: "ann",
            permissions: Some(&permissions),
            expires: Some(Duration::from_millis(9999)),
        };
        check(
            &info,
            concat!(
                r#"{"user":"UK","account":"AK","account_name":"acc","user_name":"ann","permissions":{"publish":"#,
                r#"{"allow":["a.\u003e"],"deny":["a.x"]},"subscribe":{},"responses":{"max":1,"ttl":120000000000}},"#,
                r#""expires":9000000000}"#
            ),
        );
    }
}
