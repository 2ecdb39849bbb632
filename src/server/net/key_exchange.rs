//! The groups on which keys are exchanged, in the reference's order; two of them the TLS library lacks.
//!
//! P-521 is a curve like the others. `SecP384r1MLKEM1024` exchanges keys twice, on P-384 and with
//! ML-KEM-1024, so that whoever learns to break one of them has still to break the other: shares and
//! secrets of both stand one behind the other (draft-ietf-tls-ecdhe-mlkem).

use aws_lc_rs::agreement::{ECDH_P521, EphemeralPrivateKey, PublicKey, UnparsedPublicKey, agree_ephemeral};
use aws_lc_rs::rand::SystemRandom;
use rustls::crypto::aws_lc_rs::kx_group::{
    MLKEM1024, SECP256R1, SECP256R1MLKEM768, SECP384R1, X25519, X25519MLKEM768,
};
use rustls::crypto::{
    ActiveKeyExchange, CompletedKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup,
};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};

/// All groups, best first.
pub(super) static GROUPS: [&dyn SupportedKxGroup; 7] =
    [X25519MLKEM768, &Secp384r1MlKem1024, SECP256R1MLKEM768, X25519, SECP256R1, SECP384R1, &Secp521r1];

/// The first byte of a point that is written out; TLS allows no other form.
const UNCOMPRESSED: u8 = 4;

/// P-521.
#[derive(Debug)]
struct Secp521r1;

impl SupportedKxGroup for Secp521r1 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let private =
            EphemeralPrivateKey::generate(&ECDH_P521, &SystemRandom::new()).map_err(|_| GetRandomFailed)?;
        let public = private.compute_public_key().map_err(|_| GetRandomFailed)?;
        Ok(Box::new(Secp521r1Key { private, public }))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

struct Secp521r1Key {
    private: EphemeralPrivateKey,
    public: PublicKey,
}

impl ActiveKeyExchange for Secp521r1Key {
    fn complete(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, Error> {
        if share.first() != Some(&UNCOMPRESSED) {
            return Err(INVALID_SHARE);
        }
        let peer = UnparsedPublicKey::new(&ECDH_P521, share);
        agree_ephemeral(self.private, peer, INVALID_SHARE, |secret| Ok(SharedSecret::from(secret)))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }

    fn pub_key(&self) -> &[u8] {
        self.public.as_ref()
    }
}

const INVALID_SHARE: Error = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);

/// P-384 and ML-KEM-1024.
#[derive(Debug)]
struct Secp384r1MlKem1024;

impl Secp384r1MlKem1024 {
    const NAME: NamedGroup = NamedGroup::Unknown(0x11ed);

    /// Bytes of a point of P-384, which comes first.
    const POINT_BYTES: usize = 97;

    fn split(share: &[u8]) -> Result<(&[u8], &[u8]), Error> {
        share.split_at_checked(Self::POINT_BYTES).ok_or(INVALID_SHARE)
    }
}

impl SupportedKxGroup for Secp384r1MlKem1024 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let (curve, lattice) = (SECP384R1.start()?, MLKEM1024.start()?);
        let share = [curve.pub_key(), lattice.pub_key()].concat();
        Ok(Box::new(Secp384r1MlKem1024Key { curve, lattice, share }))
    }

    fn start_and_complete(&self, share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (point, key) = Self::split(share)?;
        let (curve, lattice) = (SECP384R1.start_and_complete(point)?, MLKEM1024.start_and_complete(key)?);
        Ok(CompletedKeyExchange {
            group: Self::NAME,
            pub_key: [curve.pub_key, lattice.pub_key].concat(),
            secret: joined(&curve.secret, &lattice.secret),
        })
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        Self::NAME
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

struct Secp384r1MlKem1024Key {
    curve: Box<dyn ActiveKeyExchange>,
    lattice: Box<dyn ActiveKeyExchange>,
    share: Vec<u8>,
}

impl ActiveKeyExchange for Secp384r1MlKem1024Key {
    fn complete(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, Error> {
        let (point, encapsulated) = Secp384r1MlKem1024::split(share)?;
        Ok(joined(&self.curve.complete(point)?, &self.lattice.complete(encapsulated)?))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        Secp384r1MlKem1024::NAME
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }
}

fn joined(first: &SharedSecret, second: &SharedSecret) -> SharedSecret {
    SharedSecret::from([first.secret_bytes(), second.secret_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one side offers, the other side's answer to it, and whether both then have the same secret.
    #[track_caller]
    fn check(group: &dyn SupportedKxGroup, share_bytes: usize, answer_bytes: usize) {
        let key = group.start().unwrap();
        assert_eq!((key.group(), key.pub_key().len()), (group.name(), share_bytes));
        let answer = group.start_and_complete(key.pub_key()).unwrap();
        assert_eq!((answer.group, answer.pub_key.len()), (group.name(), answer_bytes));
        let secret = key.complete(&answer.pub_key).unwrap();
        assert_eq!(secret.secret_bytes(), answer.secret.secret_bytes());
        for broken in [&[][..], &[4; 97], &answer.pub_key[1..]] {
            assert!(group.start_and_complete(broken).is_err(), "{} bytes", broken.len());
            assert!(group.start().unwrap().complete(broken).is_err(), "{} bytes", broken.len());
        }
    }

    #[test]
    fn both_sides_have_the_same_secret_on_p_521() {
        check(&Secp521r1, 133, 133);
        let compressed = [&[2], &[7; 66][..]].concat();
        assert!(Secp521r1.start().unwrap().complete(&compressed).is_err());
    }

    #[test]
    fn both_sides_have_the_same_secret_on_p_384_with_ml_kem_1024() {
        check(&Secp384r1MlKem1024, 97 + 1568, 97 + 1568);
        assert!(!Secp384r1MlKem1024.usable_for_version(ProtocolVersion::TLSv1_2));
    }
}
