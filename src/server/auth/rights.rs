//! What a user's claims let it do, as permissions like those of a configuration.

use std::time::Duration;

use crate::server::config::options::{Permissions, ResponsePermission, SubjectPermission};
use crate::server::jwt;

/// The permissions of claims; `None` where they say nothing: then those of the account count.
pub(super) fn permissions(claims: &jwt::Permissions) -> Option<Permissions> {
    if claims.is_unset() {
        return None;
    }
    let subjects = |permission: &jwt::Permission| {
        let allow = Some(permission.allow.clone()).filter(|allow| !allow.is_empty());
        (!permission.is_unset()).then(|| SubjectPermission { allow, deny: permission.deny.clone() })
    };
    let allow_responses = claims.responses.map(|responses| ResponsePermission {
        max_messages: responses.max,
        // Less than none is no limit.
        expires: u64::try_from(responses.ttl_nanos).ok().map(Duration::from_nanos),
    });
    Some(Permissions {
        publish: subjects(&claims.publish),
        subscribe: subjects(&claims.subscribe),
        allow_responses,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_claims_do_not_say_is_not_restricted() {
        assert_eq!(permissions(&jwt::Permissions::default()), None);
        let claims = jwt::Permissions {
            publish: jwt::Permission { allow: Vec::new(), deny: vec!["a".to_owned()] },
            responses: Some(jwt::Responses { max: 2, ttl_nanos: -1 }),
            ..jwt::Permissions::default()
        };
        let want = Permissions {
            publish: Some(SubjectPermission { allow: None, deny: vec!["a".to_owned()] }),
            subscribe: None,
            allow_responses: Some(ResponsePermission { max_messages: 2, expires: None }),
        };
        assert_eq!(permissions(&claims), Some(want));
    }
}
