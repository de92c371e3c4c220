//! The options a domain may set, with their defaults: Keystone's.

/// (group, option, default as JSON). All of them may be shown.
pub(super) const DEFAULTS: &[(&str, &str, &str)] = &[
    ("identity", "driver", r#""sql""#),
    ("identity", "list_limit", "null"),
    ("ldap", "url", r#""ldap://localhost""#),
    ("ldap", "user", "null"),
    ("ldap", "suffix", r#""cn=example,cn=com""#),
    ("ldap", "query_scope", r#""one""#),
    ("ldap", "page_size", "0"),
    ("ldap", "alias_dereferencing", r#""default""#),
    ("ldap", "debug_level", "null"),
    ("ldap", "chase_referrals", "null"),
    ("ldap", "user_tree_dn", "null"),
    ("ldap", "user_filter", "null"),
    ("ldap", "user_objectclass", r#""inetOrgPerson""#),
    ("ldap", "user_id_attribute", r#""cn""#),
    ("ldap", "user_name_attribute", r#""sn""#),
    ("ldap", "user_mail_attribute", r#""mail""#),
    ("ldap", "user_description_attribute", r#""description""#),
    ("ldap", "user_pass_attribute", r#""userPassword""#),
    ("ldap", "user_enabled_attribute", r#""enabled""#),
    ("ldap", "user_enabled_invert", "false"),
    ("ldap", "user_enabled_mask", "0"),
    ("ldap", "user_enabled_default", r#""True""#),
    ("ldap", "user_attribute_ignore", r#"["default_project_id"]"#),
    ("ldap", "user_default_project_id_attribute", "null"),
    ("ldap", "user_enabled_emulation", "false"),
    ("ldap", "user_enabled_emulation_dn", "null"),
    ("ldap", "user_enabled_emulation_use_group_config", "false"),
    ("ldap", "user_additional_attribute_mapping", "[]"),
    ("ldap", "group_tree_dn", "null"),
    ("ldap", "group_filter", "null"),
    ("ldap", "group_objectclass", r#""groupOfNames""#),
    ("ldap", "group_id_attribute", r#""cn""#),
    ("ldap", "group_name_attribute", r#""ou""#),
    ("ldap", "group_members_are_ids", "false"),
    ("ldap", "group_member_attribute", r#""member""#),
    ("ldap", "group_desc_attribute", r#""description""#),
    ("ldap", "group_attribute_ignore", "[]"),
    ("ldap", "group_additional_attribute_mapping", "[]"),
    ("ldap", "tls_cacertfile", "null"),
    ("ldap", "tls_cacertdir", "null"),
    ("ldap", "use_tls", "false"),
    ("ldap", "tls_req_cert", r#""demand""#),
    ("ldap", "use_pool", "true"),
    ("ldap", "pool_size", "10"),
    ("ldap", "pool_retry_max", "3"),
    ("ldap", "pool_retry_delay", "0.1"),
    ("ldap", "pool_connection_timeout", "-1"),
    ("ldap", "pool_connection_lifetime", "600"),
    ("ldap", "use_auth_pool", "true"),
    ("ldap", "auth_pool_size", "100"),
    ("ldap", "auth_pool_connection_lifetime", "60"),
];

/// May be set, and are never shown.
const SENSITIVE: &[(&str, &str)] = &[("ldap", "password")];

pub(super) fn is_sensitive(group: &str, option: &str) -> bool {
    SENSITIVE.contains(&(group, option))
}

/// A group we know, and if an option is named, one of its options.
pub(super) fn is_known(group: &str, option: Option<&str>) -> bool {
    let open = DEFAULTS.iter().map(|(g, o, _)| (*g, *o));
    open.chain(SENSITIVE.iter().copied()).any(|(g, o)| g == group && option.is_none_or(|want| o == want))
}
