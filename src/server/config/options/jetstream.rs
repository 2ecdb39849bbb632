//! Options of JetStream.

use std::path::PathBuf;
use std::time::Duration;

/// The `jetstream` block. Its `store_dir` is [`super::Options::store_dir`].
#[derive(Debug, Clone, PartialEq)]
pub struct Jetstream {
    /// JetStream runs. `enabled`; a map enables unless it says otherwise.
    pub enabled: bool,
    /// Bytes in memory; `None` leaves it to the machine (three quarters of its memory). `max_memory_store`.
    pub max_memory_store: Option<i64>,
    /// Bytes on disk; `None` leaves it to the disk (three quarters of what is free). `max_file_store`.
    pub max_file_store: Option<i64>,
    /// API requests with unknown fields are refused. `strict`.
    pub strict: bool,
    /// When writes are synced; `None` when the file does not say: natsx then syncs always. `sync_interval`.
    pub sync_interval: Option<SyncInterval>,
    /// Domain of this server's JetStream. `domain`.
    pub domain: Option<String>,
    /// Key that stored data is encrypted with. `key`.
    pub key: Option<String>,
    /// Key that stored data was encrypted with until now. `prev_key`.
    pub prev_key: Option<String>,
    /// Cipher for stored data. `cipher`.
    pub cipher: Option<StoreCipher>,
    /// The key is kept in a TPM. `tpm`.
    pub tpm: Option<JetstreamTpm>,
    /// `no_extend`: this domain never joins another over a leaf link. `extension_hint`.
    pub extension_hint: Option<String>,
    /// Prefix of the tag in which replicas of a stream must differ. `unique_tag`.
    pub unique_tag: Option<String>,
    /// Bytes on their way to lagging replicas; 0 means the default of 64 MiB. `max_outstanding_catchup`.
    pub max_outstanding_catchup: i64,
    /// Messages waiting to be stored in one stream; 0 means the default. `max_buffered_msgs`.
    pub max_buffered_msgs: i64,
    /// Bytes waiting to be stored in one stream; 0 means the default of 128 MiB. `max_buffered_size`.
    pub max_buffered_size: i64,
    /// API requests waiting. `request_queue_limit`.
    pub request_queue_limit: i64,
    /// API info requests waiting; 0 means as `request_queue_limit`. `info_queue_limit`.
    pub info_queue_limit: i64,
    /// Entries of the assignments' log before it is compacted; 0 means the default. `meta_compact`.
    pub meta_compact: u64,
    /// Bytes of the assignments' log before it is compacted; 0 means the default. `meta_compact_size`.
    pub meta_compact_size: u64,
    /// That compaction is waited for. `meta_compact_sync`.
    pub meta_compact_sync: bool,
    /// File operations at a time. `max_concurrent_io`.
    pub max_concurrent_io: i64,
    /// Limits for all accounts. `limits`.
    pub limits: JetstreamLimits,
}

/// API requests waiting before more are refused. Reference: `request_queue_limit`.
pub const REQUEST_QUEUE_LIMIT: i64 = 10_000;
/// File operations at a time. Reference: `max_concurrent_io`.
pub const CONCURRENT_IO_MAX: i64 = 4096;

impl Default for Jetstream {
    fn default() -> Self {
        Self {
            enabled: false,
            max_memory_store: None,
            max_file_store: None,
            strict: true,
            sync_interval: None,
            domain: None,
            key: None,
            prev_key: None,
            cipher: None,
            tpm: None,
            extension_hint: None,
            unique_tag: None,
            max_outstanding_catchup: 0,
            max_buffered_msgs: 0,
            max_buffered_size: 0,
            request_queue_limit: REQUEST_QUEUE_LIMIT,
            info_queue_limit: 0,
            meta_compact: 0,
            meta_compact_size: 0,
            meta_compact_sync: false,
            max_concurrent_io: CONCURRENT_IO_MAX,
            limits: JetstreamLimits::default(),
        }
    }
}

impl Jetstream {
    /// See [`super::Options::settle`].
    pub(super) fn settle(&mut self) {
        if self.request_queue_limit <= 0 {
            self.request_queue_limit = REQUEST_QUEUE_LIMIT;
        }
        if self.info_queue_limit <= 0 {
            self.info_queue_limit = self.request_queue_limit;
        }
        if self.max_concurrent_io <= 0 {
            self.max_concurrent_io = CONCURRENT_IO_MAX;
        }
    }
}

/// `sync_interval`: when stored messages are synced to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncInterval {
    /// Before they are acknowledged.
    Always,
    /// Every so often.
    Every(Duration),
}

/// `cipher`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreCipher {
    /// ChaCha20-Poly1305. `chacha`, `chachapoly`.
    Chacha,
    /// AES-256-GCM. `aes`.
    Aes,
}

/// `tpm`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JetstreamTpm {
    /// File with the sealed key. `keys_file`.
    pub keys_file: Option<PathBuf>,
    /// Password of the sealed key. `encryption_password`.
    pub encryption_password: Option<String>,
    /// Password of the storage root key. `srk_password`.
    pub srk_password: Option<String>,
    /// Platform configuration register. `pcr`.
    pub pcr: i64,
}

/// `limits`; 0 means the default or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JetstreamLimits {
    /// Unacknowledged messages of one consumer. `max_ack_pending`.
    pub max_ack_pending: i64,
    /// Replicated streams and consumers on this server. `max_ha_assets`.
    pub max_ha_assets: i64,
    /// Messages of one pull request. `max_request_batch`.
    pub max_request_batch: i64,
    /// Longest duplicate window of a stream; `None` is no limit. `duplicate_window`.
    pub duplicate_window: Option<Duration>,
    /// Open batches of one stream. `batch.max_inflight_per_stream`.
    pub batch_max_inflight_per_stream: i64,
    /// Open batches of the server. `batch.max_inflight_total`.
    pub batch_max_inflight_total: i64,
    /// Messages of one batch. `batch.max_msgs`.
    pub batch_max_msgs: i64,
    /// Time from a batch's first message to its commit. `batch.timeout`.
    pub batch_timeout: Option<Duration>,
}
