//! What compute needs of the other services, and the simulation does not try: who asks, and one image.

use async_trait::async_trait;
use base::{Gib, ImageId, Mib, RequestContext, Scope, Timestamp, TokenFacts};
use image_model::{
    ByteStream, ContainerFormat, DiskFormat, Image, ImageProxy, ImageSource, ListQuery, ProxyError, SourceError,
    Status, Visibility,
};
use platform_http::{AuthError, Authenticate};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// A token is a project's id; whoever has one is an administrator in it.
pub(crate) struct Tokens;

#[async_trait]
impl Authenticate for Tokens {
    async fn authenticate(&self, token: &str) -> Result<Arc<TokenFacts>, AuthError> {
        Ok(Arc::new(TokenFacts {
            user_id: "u".into(),
            user_name: "u".into(),
            user_domain_id: "default".into(),
            user_domain_name: "Default".into(),
            scope: Scope::Project {
                id: token.into(),
                name: token.into(),
                domain_id: "default".into(),
                domain_name: "Default".into(),
            },
            roles: ["admin", "manager", "member", "reader"].map(str::to_owned).into(),
            issued_at: Timestamp(0),
            expires_at: Timestamp(i64::MAX),
            audit_ids: vec![],
        }))
    }
}

pub(crate) struct OneImage;

pub(crate) const IMAGE: &str = "11111111-1111-4111-8111-111111111111";

#[async_trait]
impl ImageSource for OneImage {
    async fn show(&self, _: &RequestContext, id: ImageId) -> Result<Image, SourceError> {
        if id.to_string() != IMAGE {
            return Err(SourceError::NotFound(id));
        }
        Ok(Image {
            id,
            name: Some("tiny".into()),
            status: Status::Active,
            visibility: Visibility::Public,
            owner: None,
            disk_format: Some(DiskFormat::Qcow2),
            container_format: Some(ContainerFormat::Bare),
            min_disk: Gib(0),
            min_ram: Mib(0),
            size: Some(1 << 20),
            virtual_size: Some(1 << 20),
            checksum: None,
            os_hash_algo: Some("sha512".into()),
            os_hash_value: Some("00".into()),
            protected: false,
            os_hidden: false,
            tags: Default::default(),
            properties: BTreeMap::new(),
            locations: Vec::new(),
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            revision: 0,
        })
    }
    /// Simulated hosts have no disks to write it to.
    async fn open(&self, _: &RequestContext, id: ImageId, _: Option<Range<u64>>) -> Result<ByteStream, SourceError> {
        Err(SourceError::NotFound(id))
    }
}

#[async_trait]
impl ImageProxy for OneImage {
    async fn list(&self, _: &RequestContext, _: ListQuery) -> Result<Vec<Image>, ProxyError> {
        Ok(Vec::new())
    }
    async fn delete(&self, _: &RequestContext, _: ImageId) -> Result<(), ProxyError> {
        Err(ProxyError::NotFound)
    }
    async fn change_properties(
        &self,
        _: &RequestContext,
        _: ImageId,
        _: BTreeMap<String, Option<String>>,
    ) -> Result<Image, ProxyError> {
        Err(ProxyError::NotFound)
    }
}
