//! What every handler shares.

use crate::cache::Cache;
use crate::fault;
use crate::import::Imports;
use crate::policy;
use base::policy::Enforcer;
use base::{Clock, ImageId, RequestContext};
use image_model::{Image, Limits, Registry, Stores, Viewer};
use image_signatures::Certificates;
use platform_http::{Fault, ProjectLimits};
use std::sync::Arc;

/// What an image-api is made of.
pub struct ImageApi {
    pub registry: Arc<dyn Registry>,
    pub stores: Stores,
    /// [`crate::default_policy`], with the operator's file over it.
    pub enforcer: Arc<Enforcer>,
    pub limits: Limits,
    /// Asked what projects may have (Glance's `use_keystone_limits`). `None`: as much as they like.
    pub unified_limits: Option<Arc<dyn ProjectLimits>>,
    /// Data registered by its location is read and hashed before the image is active.
    pub do_secure_hash: bool,
    /// This node's copies of images. `None`: it keeps none.
    pub cache: Option<Cache>,
    pub imports: Imports,
    /// What signed images are verified with.
    pub certificates: Arc<dyn Certificates>,
    pub clock: Arc<dyn Clock>,
}

/// A running image-api. Cheap to clone.
#[derive(Clone)]
pub struct Glance(pub(crate) Arc<ImageApi>);

impl std::ops::Deref for Glance {
    type Target = ImageApi;
    fn deref(&self) -> &ImageApi {
        &self.0
    }
}

impl Glance {
    pub fn new(parts: ImageApi) -> Self {
        Self(Arc::new(parts))
    }

    /// The image, if the caller may know of it; else a 404 in the words `missing` makes of the id.
    pub(crate) async fn find(
        &self,
        cx: &RequestContext,
        id: &str,
        missing: impl Fn(&str) -> String,
    ) -> Result<Image, Fault> {
        let not_found = || Fault::not_found(missing(id));
        let parsed: ImageId = id.parse().map_err(|_| not_found())?;
        let found = self.registry.image_show(parsed, Viewer::of(cx)).await.map_err(fault::of_registry)?;
        let image = found.ok_or_else(not_found)?;
        if !self.allows(cx, policy::GET_IMAGE, &image) {
            return Err(not_found());
        }
        Ok(image)
    }

    /// [`Glance::find`] in the words most calls use.
    pub(crate) async fn image(&self, cx: &RequestContext, id: &str) -> Result<Image, Fault> {
        self.find(cx, id, |id| format!("No image found with ID {id}")).await
    }

    pub(crate) fn allows(&self, cx: &RequestContext, rule: &str, image: &Image) -> bool {
        self.enforcer.allows(rule, cx, &policy::target(cx, image))
    }

    /// 403 if policy says no. Only for images that the caller may know of: [`Glance::find`] has seen to that.
    pub(crate) fn allow(&self, cx: &RequestContext, rule: &str, image: &Image) -> Result<(), Fault> {
        if self.allows(cx, rule, image) { Ok(()) } else { Err(policy::denied(rule)) }
    }
}
