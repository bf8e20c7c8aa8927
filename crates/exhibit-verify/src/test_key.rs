//! Keys for tests, which sign as the store does (`exhibit-store` has the real signer).

use ssh_key::private::Ed25519Keypair;
use ssh_key::{HashAlg, LineEnding, PrivateKey, PublicKey};

use crate::layout::NAMESPACE;

/// A key made from a seed.
pub(crate) struct TestKey(PrivateKey);

/// The key that signs.
pub(crate) fn signer() -> TestKey {
    TestKey(PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32])))
}

/// Another.
pub(crate) fn stranger() -> TestKey {
    TestKey(PrivateKey::from(Ed25519Keypair::from_seed(&[8; 32])))
}

impl TestKey {
    pub(crate) fn public(&self) -> &PublicKey {
        self.0.public_key()
    }

    /// The public key in OpenSSH's form, without a comment.
    pub(crate) fn public_line(&self) -> String {
        let line = self.public().to_openssh().expect("a public key has a form");
        line.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn allowed_signers_line(&self, principal: &str) -> String {
        format!("{principal} namespaces=\"{NAMESPACE}\" {}", self.public_line())
    }

    /// The armored signature over `bytes`.
    pub(crate) fn sign(&self, bytes: &[u8]) -> String {
        let signature = self.0.sign(NAMESPACE, HashAlg::Sha512, bytes).expect("a key that signs");
        signature.to_pem(LineEnding::LF).expect("a signature has a form")
    }
}
