//! The signature of access tokens: Ed25519 by `ring`, the one cryptography that this platform has.

use super::secret::{hex, random};
use apex_domain::access::SigningKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use signature::{Error as SignatureError, Signer, Verifier};
use std::sync::Once;

/// Signs and checks with Ed25519 and nothing else: a token that names another algorithm finds none.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| match algorithm {
        Algorithm::EdDSA => Ok(Box::new(Signing(pair(key.as_bytes())?))),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    },
    verifier_factory: |algorithm, key| match algorithm {
        Algorithm::EdDSA => {
            let bytes = key.try_get_as_bytes()?.to_vec();
            Ok(Box::new(Verifying(UnparsedPublicKey::new(&ED25519, bytes))))
        }
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    },
    // Only keys in the JSON form need it, and there are none here.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes this the cryptography of every token of the process.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if PROVIDER.install_default().is_err() {
            tracing::error!(
                "another library has installed a cryptography for JWTs: logins may fail"
            );
        }
    });
}

struct Signing(Ed25519KeyPair);

impl Signer<Vec<u8>> for Signing {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

impl JwtSigner for Signing {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct Verifying(UnparsedPublicKey<Vec<u8>>);

impl Verifier<Vec<u8>> for Verifying {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        let outcome = self.0.verify(message, signature);
        outcome.map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for Verifying {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

fn pair(pkcs8: &[u8]) -> Result<Ed25519KeyPair, Error> {
    Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| ErrorKind::InvalidEddsaKey.into())
}

/// Makes a key that signs access tokens.
///
/// # Errors
/// What the system said when it has no randomness.
pub fn new_signing_key(now_ns: i64) -> Result<SigningKey, String> {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
    let document = document.map_err(|_| "no randomness for a signing key".to_owned())?;
    Ok(SigningKey {
        kid: hex(&random::<8>()?),
        pkcs8: STANDARD.encode(document.as_ref()),
        created_ns: now_ns,
    })
}

/// Returns what signs with a key.
pub(super) fn encoding_key(key: &SigningKey) -> Option<EncodingKey> {
    let bytes = STANDARD.decode(&key.pkcs8).ok()?;
    Some(EncodingKey::from_ed_der(&bytes))
}

/// Returns what checks signatures of a key.
pub(super) fn decoding_key(key: &SigningKey) -> Option<DecodingKey> {
    let pair = pair(&STANDARD.decode(&key.pkcs8).ok()?).ok()?;
    Some(DecodingKey::from_ed_der(pair.public_key().as_ref()))
}
