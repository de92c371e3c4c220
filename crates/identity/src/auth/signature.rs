//! Signatures of AWS requests: EC2's, over the request, and S3's, over the text that its gateway made of the request.
//!
//! Version 4: <https://docs.aws.amazon.com/general/latest/gr/sigv4_signing.html>. Version 2 of EC2 with HMAC-SHA256. Version 1
//! of S3. Versions 0 and 1 of EC2 can be signed over something else than what is asked, and are not taken.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use subtle::ConstantTimeEq;

const V4: &str = "AWS4-HMAC-SHA256";
/// RFC 3986's unreserved characters stand for themselves.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A signed request as the service that received it passes it on.
#[derive(Debug)]
pub(super) struct Signed<'a> {
    credentials: &'a Value,
}

impl<'a> Signed<'a> {
    /// The body names it in one of three ways.
    pub(super) fn parse(body: &'a Value) -> Option<Self> {
        let named = ["credentials", "credential", "ec2Credentials"].iter().map(|key| &body[*key]);
        named.into_iter().find(|v| v.as_object().is_some_and(|o| !o.is_empty())).map(|credentials| Self { credentials })
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.credentials.get(key)?.as_str()
    }

    pub(super) fn access(&self) -> Option<&'a str> {
        self.text("access")
    }

    fn params(&self) -> BTreeMap<&'a str, &'a str> {
        texts(self.credentials["params"].as_object())
    }

    /// By their names in lower case.
    fn headers(&self) -> BTreeMap<String, &'a str> {
        let all = texts(self.credentials["headers"].as_object());
        all.into_iter().map(|(name, value)| (name.trim().to_lowercase(), value.trim())).collect()
    }

    /// When an EC2 request was signed, as it says itself.
    pub(super) fn timestamp(&self) -> Option<&'a str> {
        let params = self.params();
        let said = params.get("Timestamp").or_else(|| params.get("X-Amz-Date")).copied();
        said.or_else(|| self.headers().get("x-amz-date").copied())
    }

    /// Whether the secret signed this EC2 request.
    pub(super) fn is_of_ec2(&self, secret: &str) -> bool {
        let (Some(given), Some(host)) = (self.text("signature"), self.text("host")) else { return false };
        // some clients leave the port out of what they sign
        let bare = host.rsplit_once(':').map_or(host, |(bare, _)| bare);
        let right = |host: &str| self.ec2_signature(secret, host).is_some_and(|own| same(&own, given));
        right(host) || (bare != host && right(bare))
    }

    fn ec2_signature(&self, secret: &str, host: &str) -> Option<String> {
        let params = self.params();
        match params.get("SignatureVersion") {
            Some(&"2") => self.ec2_v2(secret, host, params),
            Some(_) => None,
            None => self.ec2_v4(secret, &params),
        }
    }

    fn ec2_v2(&self, secret: &str, host: &str, mut params: BTreeMap<&str, &str>) -> Option<String> {
        params.remove("Signature");
        // the weaker one is not taken, whatever the request says
        params.insert("SignatureMethod", "HmacSHA256");
        let text = format!("{}\n{host}\n{}\n{}", self.text("verb")?, self.text("path")?, query(&params));
        Some(STANDARD.encode(hmac_sha256(secret.as_bytes(), &text)))
    }

    fn ec2_v4(&self, secret: &str, params: &BTreeMap<&str, &str>) -> Option<String> {
        let headers = self.headers();
        let authorization = headers.get("authorization").filter(|a| a.starts_with(V4));
        if authorization.is_none() && params.get("X-Amz-Algorithm") != Some(&V4) {
            return None;
        }
        let part = |name: &str| match authorization {
            Some(a) => a.split_once(&format!("{name}=")).and_then(|(_, rest)| rest.split(',').next()).map(str::trim),
            None => params.get(format!("X-Amz-{name}").as_str()).copied(),
        };
        let signed_headers = part("SignedHeaders")?;
        let mut canonical = String::new();
        for name in signed_headers.split(';') {
            if let Some(value) = headers.get(name) {
                canonical.push_str(&format!("{name}:{value}\n"));
            }
        }
        let mut params = params.clone();
        params.remove("X-Amz-Signature");
        let request = format!(
            "{}\n{}\n{}\n{canonical}\n{signed_headers}\n{}",
            self.text("verb")?.to_uppercase(),
            self.text("path")?,
            query(&params),
            self.text("body_hash")?,
        );
        let (_, scope) = part("Credential")?.split_once('/')?;
        let at = headers.get("x-amz-date").copied().or_else(|| params.get("X-Amz-Date").copied())?;
        let [date, region, service, _] = scope.split('/').collect::<Vec<_>>()[..] else { return None };
        if !at.starts_with(date) {
            return None;
        }
        let text = format!("{V4}\n{at}\n{scope}\n{}", hex(&Sha256::digest(request)));
        Some(hex(&hmac_sha256(&signing_key(secret, date, region, service), &text)))
    }

    /// Whether the secret signed the text that an S3 gateway passes on.
    pub(super) fn is_of_s3(&self, secret: &str) -> bool {
        let (Some(given), Some(token)) = (self.text("signature"), self.text("token")) else { return false };
        let Some(text) = URL_SAFE.decode(token).ok().and_then(|t| String::from_utf8(t).ok()) else { return false };
        s3_signature(secret, &text).is_some_and(|own| same(&own, given))
    }
}

fn s3_signature(secret: &str, text: &str) -> Option<String> {
    if !text.starts_with("AWS4") {
        let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(secret.as_bytes()).ok()?;
        mac.update(text.as_bytes());
        return Some(STANDARD.encode(mac.finalize().into_bytes()));
    }
    let [V4, _, scope, _] = text.split('\n').collect::<Vec<_>>()[..] else { return None };
    let [date, region, service @ "s3", "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else { return None };
    Some(hex(&hmac_sha256(&signing_key(secret, date, region, service), text)))
}

fn signing_key(secret: &str, date: &str, region: &str, service: &str) -> Vec<u8> {
    let parts = [date, region, service, "aws4_request"];
    parts.iter().fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac_sha256(&key, part))
}

fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap_or_else(|_| unreachable!());
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Sorted and escaped.
fn query(params: &BTreeMap<&str, &str>) -> String {
    let escape = |s: &str| utf8_percent_encode(s, ESCAPED).to_string();
    params.iter().map(|(k, v)| format!("{}={}", escape(k), escape(v))).collect::<Vec<_>>().join("&")
}

fn texts(object: Option<&Map<String, Value>>) -> BTreeMap<&str, &str> {
    object.into_iter().flatten().filter_map(|(k, v)| Some((k.as_str(), v.as_str()?))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn same(own: &str, given: &str) -> bool {
    own.as_bytes().ct_eq(given.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// AWS's own example: GET iam ListUsers of 2015-08-30.
    #[test]
    fn version_4_as_amazon_signs_it() {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let signature = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
        let mut body = json!({"credentials": {
            "access": "AKIDEXAMPLE",
            "signature": signature,
            "verb": "GET",
            "host": "iam.amazonaws.com",
            "path": "/",
            "params": {"Action": "ListUsers", "Version": "2010-05-08"},
            "headers": {
                "Host": "iam.amazonaws.com",
                "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
                "X-Amz-Date": "20150830T123600Z",
                "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=5d67"
            },
            "body_hash": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        }});
        let signed = Signed::parse(&body).unwrap();
        assert_eq!(signed.timestamp(), Some("20150830T123600Z"));
        assert!(signed.is_of_ec2(secret));
        assert!(!signed.is_of_ec2("another"));
        body["credentials"]["params"]["Action"] = json!("DeleteUser");
        assert!(!Signed::parse(&body).unwrap().is_of_ec2(secret));
        body["credentials"]["params"]["Action"] = json!("ListUsers");
        body["credentials"]["headers"]["X-Amz-Date"] = json!("20150831T123600Z");
        assert!(!Signed::parse(&body).unwrap().is_of_ec2(secret), "another day than its scope");
    }

    /// AWS's own example: ElasticMapReduce DescribeJobFlows.
    #[test]
    fn version_2_as_amazon_signs_it() {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let mut body = json!({"ec2Credentials": {
            "access": "AKIAIOSFODNN7EXAMPLE",
            "signature": "i91nKc4PWAt0JJIdXwz9HxZCJDdiy6cf/Mj6vPxyYIs=",
            "verb": "GET",
            "host": "elasticmapreduce.amazonaws.com:443",
            "path": "/",
            "params": {"AWSAccessKeyId": "AKIAIOSFODNN7EXAMPLE", "Action": "DescribeJobFlows",
                       "SignatureMethod": "HmacSHA256", "SignatureVersion": "2",
                       "Timestamp": "2011-10-03T15:19:30", "Version": "2009-03-31"}
        }});
        assert!(Signed::parse(&body).unwrap().is_of_ec2(secret), "signed without the port");
        for version in ["0", "1", "3"] {
            body["ec2Credentials"]["params"]["SignatureVersion"] = json!(version);
            assert!(!Signed::parse(&body).unwrap().is_of_ec2(secret), "{version}");
        }
    }

    /// AWS's own examples: S3's REST authentication, and its version 4.
    #[test]
    fn s3_in_both_versions() {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let check = |text: &str, signature: &str| {
            let body = json!({"credentials": {"access": "a", "token": URL_SAFE.encode(text), "signature": signature}});
            Signed::parse(&body).unwrap().is_of_s3(secret)
        };
        let old = "GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/awsexamplebucket1/photos/puppy.jpg";
        assert!(check(old, "qgk2+6Sv9/oM7G3qLEjTH1a1l1g="));
        assert!(!check(old, "qgk2+6Sv9/oM7G3qLEjTH1a1l1G="));
        let new = "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n\
                   7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972";
        assert!(check(new, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"));
        // a key for another service, which somebody else may hold
        let iam = new.replace("/s3/", "/iam/");
        let signature = hex(&hmac_sha256(&signing_key(secret, "20130524", "us-east-1", "iam"), &iam));
        assert!(!check(&iam, &signature));
    }
}
