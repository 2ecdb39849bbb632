//! Who subscribed to what, and matching; carries a target and never looks into it.
