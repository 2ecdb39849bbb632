//! Proof by certificate: whom the one that a client presented stands for (`verify_and_map`).
//!
//! Its names are tried in the reference's order: e-mail addresses, DNS names, URIs, then the subject: as a
//! distinguished name in order, as a set of relative names, as text with its domain components, as text.

use std::sync::Arc;

use super::applicant::Applicant;
use super::decide::Note;
use super::policy::{Policy, User};
use crate::server::base::quote::quote;

/// The user that the applicant's certificate names; how it was found, or why not, goes to `notes`.
pub(super) fn user_of(
    policy: &Policy,
    applicant: &Applicant<'_>,
    notes: &mut Vec<Note>,
) -> Option<Arc<User>> {
    let mut note = |text: String| notes.push(Note::Debug(text));
    let (connection, certificate) = (applicant.connection, applicant.certificate);
    let Some(certificate) = certificate else {
        let missing = if applicant.is_secured { "peer certificates found" } else { "TLS connection state" };
        note(format!("User required in cert, no {missing}"));
        return None;
    };
    if applicant.has_chain {
        note("Multiple peer certificates found, selecting first".to_owned());
    }
    let subject = &certificate.subject;
    let text = subject.text();
    let alternatives = [
        (&certificate.emails, "email found in cert"),
        (&certificate.dns_names, "SAN found in cert"),
        (&certificate.uris, "URI found in cert"),
    ];
    if alternatives.iter().all(|(names, _)| names.is_empty()) && subject.full_text().is_empty() {
        note("User required in cert, none found".to_owned());
        return None;
    }
    let by_name = |name: &str| policy.user(name).filter(|user| user.may_use(connection)).cloned();
    for (names, what) in alternatives {
        if let Some(user) = names.iter().find_map(|name| by_name(name)) {
            note(format!("Using {what} for auth [{}]", quote(user.name())));
            return Some(user);
        }
    }
    if let Some(wanted) = subject.distinguished_name() {
        if let Some(user) = policy.user_with_name(&wanted, connection) {
            note(format!("Using DistinguishedNameMatch for auth [{}]", quote(user.name())));
            return Some(user);
        }
        note(format!("DistinguishedNameMatch could not be used for auth [{}]", quote(&text)));
    }
    let components = subject.domain_components();
    if !components.is_empty() {
        let whole = format!("{text},{components}");
        if let Some(user) = by_name(&whole) {
            note(format!("Using RDNSequence for auth [{}]", quote(user.name())));
            return Some(user);
        }
        note(format!("RDNSequence could not be used for auth [{}]", quote(&whole)));
    }
    match by_name(&text) {
        Some(user) => {
            note(format!("Using certificate subject for auth [{}]", quote(user.name())));
            Some(user)
        }
        None => {
            note(format!("User in cert [{}], not found", quote(&text)));
            None
        }
    }
}
