//! Comparing the `jetstream` block.

use std::time::Duration;

use super::super::options::{JetstreamTpm, StoreCipher, SyncInterval};
use super::shown::{Secret, Shown, fields_shown};
use super::{Change, Comparison, Refusal, fixed};

/// `sync_interval` of the reference where the file does not say.
const SYNC_INTERVAL: Duration = Duration::from_secs(120);

impl Comparison<'_> {
    pub(super) fn jetstream(&mut self) -> Result<(), Refusal> {
        let (old, new) = (&self.old.jetstream, &self.new.jetstream);
        let switched = old.enabled != new.enabled;
        let lost = new.enabled && !self.running.jetstream;
        if switched || lost {
            self.changes.push(Change::Jetstream(new.enabled));
        }
        // What a server may not lose while it runs JetStream, it may when it stops it.
        let stopping = switched && !new.enabled;
        fixed("NoJetStreamStrict", !old.strict, !new.strict)?;
        let storage_unset = self.storage()?;
        fixed("JetStreamDomain", &old.domain, &new.domain)?;
        fixed("JetStreamExtHint", &old.extension_hint, &new.extension_hint)?;
        fixed("JetStreamKey", Secret(&old.key), Secret(&new.key))?;
        fixed("JetStreamOldKey", Secret(&old.prev_key), Secret(&new.prev_key))?;
        let cipher = |cipher: Option<StoreCipher>| cipher.unwrap_or(StoreCipher::Chacha);
        fixed("JetStreamCipher", cipher(old.cipher), cipher(new.cipher))?;
        fixed("JetStreamUniqueTag", &old.unique_tag, &new.unique_tag)?;
        self.changed(&old.limits, &new.limits, |_| Change::JetstreamLimits);
        if old.tpm != new.tpm {
            let (old, new) = (tpm(old.tpm.as_ref()), tpm(new.tpm.as_ref()));
            return Err(Refusal::Field { field: "JetStreamTpm", old, new });
        }
        fixed("JetStreamMaxCatchup", old.max_outstanding_catchup, new.max_outstanding_catchup)?;
        fixed("JetStreamRequestQueueLimit", old.request_queue_limit, new.request_queue_limit)?;
        fixed("JetStreamInfoQueueLimit", old.info_queue_limit, new.info_queue_limit)?;
        if new.enabled {
            fixed("JetStreamConcurrentIOs", old.max_concurrent_io, new.max_concurrent_io)?;
        }
        fixed("StreamMaxBufferedMsgs", old.max_buffered_msgs, new.max_buffered_msgs)?;
        fixed("StreamMaxBufferedSize", old.max_buffered_size, new.max_buffered_size)?;
        let directory_unset = self.directory()?;
        let interval = |sync: Option<SyncInterval>| match sync {
            Some(SyncInterval::Every(time)) => time,
            Some(SyncInterval::Always) | None => SYNC_INTERVAL,
        };
        fixed("SyncInterval", interval(old.sync_interval), interval(new.sync_interval))?;
        let always = |sync: Option<SyncInterval>| sync == Some(SyncInterval::Always);
        fixed("SyncAlways", always(old.sync_interval), always(new.sync_interval))?;
        let (old, new) = (&self.old.default_js_domain, &self.new.default_js_domain);
        fixed("JsAccDefaultDomain", old.clone(), new.clone())?;
        self.unset_while_running = match (stopping, storage_unset, directory_unset) {
            (true, ..) | (_, false, false) => None,
            (false, true, _) => Some("jetstream max memory and max store"),
            (false, false, true) => Some("jetstream storage dir"),
        };
        Ok(())
    }

    /// Storage limits may grow. True where one was dropped from the file.
    fn storage(&mut self) -> Result<bool, Refusal> {
        if !self.running.jetstream {
            return Ok(false);
        }
        let (old, new) = (&self.old.jetstream, &self.new.jetstream);
        let mut unset = false;
        let mut grown = [None, None];
        let limits = [(old.max_memory_store, new.max_memory_store), (old.max_file_store, new.max_file_store)];
        for ((old, new), grown) in limits.into_iter().zip(&mut grown) {
            match (old, new) {
                (None, None) => {}
                (None, Some(_)) => {
                    return Err(Refusal::Unsupported("jetstream dynamic max memory and store".into()));
                }
                (Some(_), None) => unset = true,
                (Some(old), Some(new)) if new < old => {
                    return Err(Refusal::Unsupported("decreasing jetstream max memory and store".into()));
                }
                (Some(old), Some(new)) => *grown = (new > old).then_some(new),
            }
        }
        let [memory, disk] = grown;
        if memory.is_some() || disk.is_some() {
            self.changes.push(Change::JetstreamStorage { memory, disk });
        }
        Ok(unset)
    }

    /// The directory stays. True where it was dropped from the file.
    fn directory(&self) -> Result<bool, Refusal> {
        let (old, new) = (&self.old.store_dir, &self.new.store_dir);
        if !self.running.jetstream || old == new {
            return Ok(false);
        }
        match new {
            Some(_) => Err(Refusal::Unsupported("jetstream storage directory".into())),
            None => Ok(true),
        }
    }
}

fn tpm(tpm: Option<&JetstreamTpm>) -> String {
    let default = JetstreamTpm::default();
    let tpm = tpm.unwrap_or(&default);
    let fields: [&dyn Shown; 4] =
        [&tpm.keys_file, &Secret(&tpm.encryption_password), &Secret(&tpm.srk_password), &tpm.pcr];
    fields_shown(&fields)
}
