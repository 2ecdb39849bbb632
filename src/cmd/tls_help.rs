//! What `--help_tls` prints: how to write a `tls` block.

/// The text, with empty lines around it.
pub const TEXT: &str = r#"
TLS is set up in the configuration file, in a block named tls:

    tls {
        # the certificate (with its intermediates) and its key, PEM
        cert_file:  "./certs/server-cert.pem"
        key_file:   "./certs/server-key.pem"

        # clients must present a certificate that one of these has signed
        ca_file:    "./certs/ca.pem"
        verify:     true

        # and the certificate says which user they are
        verify_and_map: true

        # narrower than the default
        min_version:       "1.3"
        cipher_suites:     ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]
        curve_preferences: ["X25519", "CurveP256"]
    }

Renewed files are noticed and taken for new connections without a signal, unless the file says outside of
the block (natsx only):

    watch_certificates: false

Available cipher suites include:
    TLS_AES_128_GCM_SHA256
    TLS_AES_256_GCM_SHA384
    TLS_CHACHA20_POLY1305_SHA256
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
    TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
    TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256

Available curve preferences include:
    X25519
    CurveP256
    CurveP384

Peers' certificates can be checked for revocation (OCSP), for clients and leaf nodes:

    tls {
        ...
        verify:    true
        ocsp_peer: true
    }

or in full, with the defaults:

    ocsp_peer {
        verify:                           true
        ca_timeout:                       2       # seconds for the responder
        allowed_clockskew:                30      # seconds
        warn_only:                        false   # log, never refuse
        unknown_is_good:                  false
        allow_when_ca_unreachable:        false
        cache_ttl_when_next_update_unset: 3600    # seconds
    }

Answers of responders are cached as the top level says:

    ocsp_cache {
        type:             local     # or none
        local_store:      "_rc_"    # a directory
        preserve_revoked: false
        save_interval:    300       # seconds
    }

"#;
