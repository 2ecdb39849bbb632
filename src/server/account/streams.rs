//! What an account imports of others' streams, as its interest needs it.

use std::sync::Arc;

use super::state::Account;
use crate::server::config::options::{self, ImportKind};
use crate::server::interest::StreamImport;
use crate::server::protocol::transform::TransformError;

/// The stream imports of `described`; `find` knows the exporting accounts. Whether an import is
/// permitted was checked with the options.
pub(super) fn stream_imports(
    described: &options::Account,
    find: impl Fn(&str) -> Option<Arc<Account>>,
) -> Result<Vec<StreamImport>, TransformError> {
    let mut imports = Vec::new();
    for import in &described.imports {
        let ImportKind::Stream { prefix, to, allow_trace } = &import.kind else { continue };
        let Some(exporter) = find(&import.account) else { continue };
        let to = match (prefix, to) {
            (Some(prefix), _) => format!("{}.{}", prefix.trim_end_matches('.'), import.subject),
            (None, to) => to.as_ref().unwrap_or(&import.subject).clone(),
        };
        imports.push(StreamImport::new(
            Arc::clone(exporter.interest()),
            Arc::clone(exporter.name()),
            import.subject.as_bytes(),
            to.as_bytes(),
            *allow_trace,
        )?);
    }
    Ok(imports)
}
