//! oslo.policy rules of compute: who may do what. Asked with the token and the stored row, never the request's body.

use crate::ComputeApi;
use base::RequestContext;
use base::policy::{Enforcer, PolicyError, Target};
use platform_http::Fault;

/// Nova's defaults. The operator's `policy.yaml` is laid over them with [`Enforcer::override_with`].
pub fn default_policy() -> Result<Enforcer, PolicyError> {
    Enforcer::from_json(include_str!("../policies/compute.json"))
}

/// The caller's own project and user: what rules are asked about where no stored row is meant.
pub(crate) fn own(cx: &RequestContext) -> Target {
    let (project, user) = (cx.project_id().map(|p| p.0.as_str()), cx.user_id().map(|u| u.0.as_str()));
    Target::new().with("project_id", project).with("user_id", user)
}

impl ComputeApi {
    pub(crate) fn allows(&self, cx: &RequestContext, rule: &str, target: &Target) -> bool {
        self.enforcer.allows(rule, cx, target)
    }

    /// 403 in Nova's words if the rule says no.
    pub(crate) fn allow(&self, cx: &RequestContext, rule: &str, target: &Target) -> Result<(), Fault> {
        if self.allows(cx, rule, target) {
            return Ok(());
        }
        Err(Fault::forbidden(format!("Policy doesn't allow {rule} to be performed.")))
    }

    /// [`ComputeApi::allow`] for what is about no stored row.
    pub(crate) fn allow_own(&self, cx: &RequestContext, rule: &str) -> Result<(), Fault> {
        self.allow(cx, rule, &own(cx))
    }
}
