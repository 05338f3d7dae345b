//! Signature version 4A of AWS: ECDSA over P-256 in the place of HMAC, for requests that name a set of regions. The
//! KeyValueStore's data plane takes no other.
//!
//! The SDK's own implementation is behind a feature that changes crates which LanceDB shares, and so would compile most of the
//! tree again; this is the same over aws-lc, which TLS brings along.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use aws_lc_rs::agreement::{self, PrivateKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use chrono::{DateTime, Utc};

use crate::domain::Digest;

const ALGORITHM: &str = "AWS4-ECDSA-P256-SHA256";

/// The order of P-256 less two, FIPS 186-5, A.2.2.
const ORDER_LESS_TWO: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x4f,
];

/// Who signs.
pub struct Signer<'a> {
    pub access_key: &'a str,
    pub secret_key: &'a str,
    pub session_token: Option<&'a str>,
    pub service: &'a str,
    pub now: DateTime<Utc>,
}

/// What is signed. The path is as it is sent, percent-encoded once; there is no query.
pub struct Unsigned<'a> {
    pub method: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    /// Further headers: lower-case names, sorted.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

impl Signer<'_> {
    /// The headers to send besides: the date, the regions, the token and the signature.
    pub fn sign(&self, request: &Unsigned<'_>) -> Result<Vec<(String, String)>, Unspecified> {
        let date = self.now.format("%Y%m%dT%H%M%SZ").to_string();
        let scope = format!("{}/{}/aws4_request", &date[..8], self.service);
        let mut headers = vec![
            ("x-amz-content-sha256".to_owned(), Digest::of(request.body).to_hex()),
            ("x-amz-date".to_owned(), date.clone()),
            ("x-amz-region-set".to_owned(), "*".to_owned()),
        ];
        headers.extend(self.session_token.map(|token| ("x-amz-security-token".to_owned(), token.to_owned())));
        let (canonical, signed) = canonical(request, &headers);
        let text = format!("{ALGORITHM}\n{date}\n{scope}\n{}", Digest::of(canonical.as_bytes()).to_hex());
        let signature = signature(&private_key(self.access_key, self.secret_key)?, text.as_bytes())?;
        let credential = format!("{}/{scope}", self.access_key);
        let authorization =
            format!("{ALGORITHM} Credential={credential}, SignedHeaders={signed}, Signature={signature}");
        headers.push(("authorization".into(), authorization));
        Ok(headers)
    }
}

/// The canonical request, and the names of the headers it holds.
fn canonical(request: &Unsigned<'_>, headers: &[(String, String)]) -> (String, String) {
    let mut all: Vec<(&str, &str)> = vec![("host", request.host)];
    all.extend(request.headers);
    all.extend(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    all.sort_unstable();
    let lines: String = all.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let names = all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let (method, path) = (request.method, encode(request.path));
    let body = Digest::of(request.body).to_hex();
    (format!("{method}\n{path}\n\n{lines}\n{names}\n{body}"), names)
}

/// The path once more percent-encoded, as every service but S3 has it in the canonical request.
fn encode(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// The private key that belongs to an access key, by the counter-mode KDF of NIST SP 800-108.
fn private_key(access_key: &str, secret_key: &str) -> Result<[u8; 32], Unspecified> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4A{secret_key}").as_bytes());
    for counter in 1..=254u8 {
        let mut input = 1u32.to_be_bytes().to_vec();
        input.extend_from_slice(ALGORITHM.as_bytes());
        input.push(0);
        input.extend_from_slice(access_key.as_bytes());
        input.push(counter);
        input.extend_from_slice(&256u32.to_be_bytes());
        let mut candidate = [0; 32];
        candidate.copy_from_slice(hmac::sign(&key, &input).as_ref());
        if candidate <= ORDER_LESS_TWO {
            return Ok(plus_one(candidate));
        }
    }
    Err(Unspecified)
}

fn plus_one(mut number: [u8; 32]) -> [u8; 32] {
    for byte in number.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            break;
        }
    }
    number
}

/// The uncompressed point.
fn public_key(private: &[u8; 32]) -> Result<Vec<u8>, Unspecified> {
    let key = PrivateKey::from_private_key(&agreement::ECDH_P256, private).map_err(|_| Unspecified)?;
    Ok(key.compute_public_key()?.as_ref().to_vec())
}

fn signature(private: &[u8; 32], text: &[u8]) -> Result<String, Unspecified> {
    let public = public_key(private)?;
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, private, &public);
    let signed = pair.map_err(|_| Unspecified)?.sign(&SystemRandom::new(), text)?;
    Ok(signed.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

    use super::*;

    const ACCESS: &str = "AKISORANDOMAASORANDOM";
    const SECRET: &str = "q+jcrXGc+0zWN6uzclKVhvMmUsIfRPa4rlRandom";

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
    }

    /// The vector of aws-sdk-go-v2, internal/v4a, TestDeriveECDSAKeyPairFromSecret.
    #[test]
    fn an_access_key_has_its_key_pair() {
        let public = public_key(&private_key(ACCESS, SECRET).expect("key")).expect("point");
        let x = "15D242CEEBF8D8169FD6A8B5A746C41140414C3B07579038DA06AF89190FFFCB";
        let y = "0515242CEDD82E94799482E4C0514B505AFCCF2C0C98D6A553BF539F424C5EC0";
        assert_eq!(public, hex(&format!("04{x}{y}")));
    }

    #[test]
    fn a_signature_is_of_the_canonical_request() {
        let now = "2026-11-23T01:02:03Z".parse().expect("time");
        let (access_key, secret_key) = (ACCESS, SECRET);
        let signer = Signer { access_key, secret_key, session_token: Some("token"), service: "kvs", now };
        let request = Unsigned {
            method: "PUT",
            host: "example.org",
            path: "/stores/arn%3Aaws/keys/current",
            headers: &[("if-match", "tag")],
            body: b"{}",
        };
        let headers = signer.sign(&request).expect("signed");
        let (name, authorization) = headers.last().expect("authorization");
        assert_eq!(name, "authorization");
        let signed = "host;if-match;x-amz-content-sha256;x-amz-date;x-amz-region-set;x-amz-security-token";
        let expected = format!(
            "AWS4-ECDSA-P256-SHA256 Credential={ACCESS}/20261123/kvs/aws4_request, SignedHeaders={signed}, Signature="
        );
        let signature = authorization.strip_prefix(&expected).expect(authorization);
        let body = Digest::of(b"{}");
        let canonical = format!(
            "PUT\n/stores/arn%253Aaws/keys/current\n\nhost:example.org\nif-match:tag\nx-amz-content-sha256:{body}\n\
             x-amz-date:20261123T010203Z\nx-amz-region-set:*\nx-amz-security-token:token\n\n{signed}\n{body}"
        );
        let text = format!(
            "AWS4-ECDSA-P256-SHA256\n20261123T010203Z\n20261123/kvs/aws4_request\n{}",
            Digest::of(canonical.as_bytes())
        );
        let public = public_key(&private_key(ACCESS, SECRET).expect("key")).expect("point");
        let verified =
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &public).verify(text.as_bytes(), &hex(signature));
        assert!(verified.is_ok());
    }
}
