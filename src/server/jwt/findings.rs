//! What is wrong with claims that were read: what forbids their use, what the time forbids, what is unwise.

use std::fmt;

/// How far something wrong goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The claims cannot be used.
    Blocking,
    /// They cannot be used now.
    TimeCheck,
    /// They can be used.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The reference's sentence.
    pub text: String,
    /// How far it goes.
    pub severity: Severity,
}

/// All that is wrong, in the order in which it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Each finding.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }

    /// Nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Something forbids the use of the claims; with `times`, the present time also may.
    #[must_use]
    pub fn is_blocking(&self, times: bool) -> bool {
        self.iter().any(|finding| match finding.severity {
            Severity::Blocking => true,
            Severity::TimeCheck => times,
            Severity::Warning => false,
        })
    }

    /// All of them as the reference's log has them.
    #[must_use]
    pub fn issues(&self) -> String {
        let texts: Vec<&str> = self.iter().map(|finding| finding.text.as_str()).collect();
        format!("&{{Issues:[{}]}}", texts.join(" "))
    }

    pub(super) fn error(&mut self, text: impl Into<String>) {
        self.0.push(Finding { text: text.into(), severity: Severity::Blocking });
    }

    pub(super) fn time_check(&mut self, text: impl Into<String>) {
        self.0.push(Finding { text: text.into(), severity: Severity::TimeCheck });
    }

    pub(super) fn warning(&mut self, text: impl Into<String>) {
        self.0.push(Finding { text: text.into(), severity: Severity::Warning });
    }
}

/// The texts, one after the other.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for finding in &self.0 {
            write!(f, "{separator}{}", finding.text)?;
            separator = "; ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_shown_as_the_reference_shows_them() {
        let mut findings = Findings::default();
        assert_eq!(findings.issues(), "&{Issues:[]}");
        findings.error("a b");
        findings.warning("c");
        assert_eq!(findings.issues(), "&{Issues:[a b c]}");
    }
}
