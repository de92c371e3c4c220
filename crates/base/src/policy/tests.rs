use super::*;
use crate::context::TokenFacts;
use crate::ids::RequestId;
use crate::time::Timestamp;
use proptest::prelude::*;
use std::sync::Arc;

fn caller(scope: Scope, roles: &[&str]) -> RequestContext {
    let token = TokenFacts {
        user_id: "u1".into(),
        user_name: "alice".into(),
        user_domain_id: "default".into(),
        user_domain_name: "Default".into(),
        scope,
        roles: roles.iter().map(|r| (*r).to_owned()).collect(),
        issued_at: Timestamp(0),
        expires_at: Timestamp(1),
        audit_ids: Vec::new(),
    };
    RequestContext { request_id: RequestId::fresh(), token: Some(Arc::new(token)) }
}

fn in_project(roles: &[&str]) -> RequestContext {
    let scope =
        Scope::Project { id: "p1".into(), name: "demo".into(), domain_id: "d1".into(), domain_name: "D".into() };
    caller(scope, roles)
}

fn in_domain(roles: &[&str]) -> RequestContext {
    caller(Scope::Domain { id: "d1".into(), name: "D".into() }, roles)
}

fn says(check: &str, cx: &RequestContext, target: &Target) -> bool {
    Enforcer::from_pairs(&[("r", check)]).unwrap().allows("r", cx, target)
}

#[test]
fn every_kind_of_check() {
    let row = Target::new()
        .with("project_id", "p1")
        .with("user_id", "someone")
        .with("visibility", "public")
        .with("enabled", true)
        .with("target.user.id", "u1")
        .with("target.role.domain_id", None::<&str>)
        .with("shared", false)
        .with("device_owner", "network:dhcp")
        .with("kind", "Mem")
        .with("router:external", true);
    for (check, want) in [
        ("", true),
        ("   ", true),
        ("@", true),
        ("!", false),
        ("role:member", true),
        ("role:MEMBER", true),
        ("role:admin", false),
        ("role:%(kind)sber", true),
        ("not role:admin", true),
        ("NOT role:member", false),
        ("not not role:member", true),
        ("project_id:%(project_id)s", true),
        ("tenant_id:%(project_id)s", true),
        ("user_id:%(user_id)s", false),
        ("user_id:%(target.user.id)s", true),
        ("user_id:u1", true),
        ("user_id:%(missing)s", false),
        ("'public':%(visibility)s", true),
        ("'private':%(visibility)s", false),
        ("\"public\":%(visibility)s", true),
        ("True:%(enabled)s", true),
        ("False:%(enabled)s", false),
        ("None:%(target.role.domain_id)s", true),
        ("None:%(project_id)s", false),
        ("None:%(missing)s", false),
        ("domain_id:%(target.role.domain_id)s", false), // None is not equal to None
        ("domain_id:None", true),
        ("system_scope:all", false),
        ("is_admin:True", false),
        ("is_admin:False", true),
        ("nonsense:None", false),
        ("nonsense:%(project_id)s", false),
        ("token.project.domain.id:d1", true),
        ("project_domain_id:d1", true),
        ("field:networks:shared=True", false),
        ("field:networks:shared=False", true),
        ("field:networks:router:external=True", true),
        ("field:port:device_owner=~^network:", true),
        ("field:port:device_owner=~dhcp", false), // from the start, as re.match
        ("role:admin or role:member", true),
        ("role:admin and role:member", false),
        ("role:admin and role:member or role:reader", true), // and before or
        ("role:reader or role:member and role:admin", true),
        ("(role:reader or role:member) and role:admin", false),
        ("((role:reader) and (not (role:admin)))", true),
        ("not role:admin and role:member", true),
        ("not (role:admin or role:member)", false),
    ] {
        assert_eq!(says(check, &in_project(&["member", "reader"]), &row), want, "{check:?}");
    }
}

#[test]
fn other_scopes() {
    let none = Target::new();
    assert!(says("system_scope:all", &caller(Scope::System, &["admin"]), &none));
    assert!(says("domain_id:%(d)s", &in_domain(&[]), &Target::new().with("d", "d1")));
    assert!(!says("domain_id:None", &in_domain(&[]), &none));
    assert!(!says("project_id:%(project_id)s", &caller(Scope::Unscoped, &[]), &Target::new().with("project_id", "p1")));
    assert!(says("is_admin:True", &in_project(&["Admin"]), &none));
    let nobody = RequestContext::internal();
    assert!(says("@", &nobody, &none));
    for check in ["role:admin", "user_id:None", "domain_id:None", "is_admin:True", "is_admin:False"] {
        assert!(!says(check, &nobody, &none), "{check}");
    }
}

#[test]
fn scope_types_are_enforced_on_the_rule_asked_only() {
    let e = Enforcer::from_json(
        r#"[{"name": "alias", "check": "role:admin", "scope_types": ["domain"]},
            {"name": "act", "check": "rule:alias", "scope_types": ["project"], "operations": ["POST /x"]},
            {"name": "any", "check": "rule:alias"}]"#,
    )
    .unwrap();
    let target = Target::new();
    assert!(e.allows("act", &in_project(&["admin"]), &target));
    assert!(e.allows("act", &caller(Scope::Unscoped, &["admin"]), &target));
    assert!(!e.allows("act", &caller(Scope::System, &["admin"]), &target));
    assert!(!e.allows("act", &in_domain(&["admin"]), &target));
    assert!(e.allows("any", &caller(Scope::System, &["admin"]), &target));
    assert!(e.allows("alias", &in_domain(&["admin"]), &target));
    assert_eq!(e.operations("act"), ["POST /x"]);
    assert_eq!(e.rule_names().collect::<Vec<_>>(), ["alias", "act", "any"]);
}

#[test]
fn unknown_rules_fall_to_default_or_are_denied() {
    let admin = in_project(&["admin"]);
    let target = Target::new();
    let strict = Enforcer::from_pairs(&[("a", "rule:nowhere")]).unwrap();
    assert!(!strict.allows("missing", &admin, &target));
    assert!(!strict.allows("a", &admin, &target));
    assert_eq!(strict.undefined().collect::<Vec<_>>(), ["nowhere"]);
    let lenient = Enforcer::from_pairs(&[("default", "role:admin"), ("a", "rule:nowhere")]).unwrap();
    assert!(lenient.allows("missing", &admin, &target));
    assert!(lenient.allows("a", &admin, &target));
    assert!(!lenient.allows("missing", &in_project(&["member"]), &target));
}

#[test]
fn overriding_replaces_checks_and_keeps_scope_types() {
    let mut e = Enforcer::from_json(
        r#"[{"name": "owner", "check": "project_id:%(project_id)s"},
            {"name": "stop", "check": "rule:owner", "scope_types": ["project"]}]"#,
    )
    .unwrap();
    let target = Target::project(&"other".into());
    let boss = in_project(&["boss"]);
    assert!(!e.allows("stop", &boss, &target));
    e.override_with("\"owner\": \"rule:bosses or project_id:%(project_id)s\"\n\"bosses\": \"role:boss\"\n").unwrap();
    assert!(e.allows("stop", &boss, &target));
    assert!(!e.allows("stop", &caller(Scope::System, &["boss"]), &target));

    let bad = e.override_with("\"owner\": \"!\"\n\"stop\": \"role:a or\"\n").unwrap_err();
    assert_eq!(bad.to_string(), "line 2: rule \"stop\": expected a check, found the end");
    assert!(e.allows("stop", &boss, &target), "a refused file changes nothing");
}

#[test]
fn cycles_are_found_at_load() {
    let cycle = |pairs: &[(&str, &str)]| Enforcer::from_pairs(pairs).unwrap_err().to_string();
    assert!(cycle(&[("a", "rule:a")]).ends_with("a -> a"));
    let three = [("a", "role:x or rule:b"), ("b", "not (rule:c and role:y)"), ("c", "rule:a")];
    assert!(cycle(&three).ends_with("a -> b -> c -> a"));
    assert!(cycle(&[("default", "rule:lost")]).contains("default -> lost -> default"));
    let mut e = Enforcer::from_pairs(&[("a", "rule:b"), ("b", "@")]).unwrap();
    assert!(matches!(e.override_with("b: rule:a"), Err(PolicyError::Cycle(_))));
    assert!(Enforcer::from_pairs(&[("a", "rule:c or rule:b"), ("b", "rule:c"), ("c", "@")]).is_ok());
}

#[test]
fn what_is_no_check_is_refused() {
    let deep = format!("{}role:a{}", "(".repeat(10_000), ")".repeat(10_000));
    for (check, why) in [
        ("admin", "kind:match"),
        ("role:a role:b", "expected \"and\""),
        ("role:a or", "the end"),
        ("or role:a", "\"or\""),
        ("(role:a", "instead of"),
        ("role:a)", "found \")\""),
        ("()", "\")\""),
        ("not", "the end"),
        ("'public:%(visibility)s", "quote"),
        ("user_id:%(user_id)d", "neither"),
        ("user_id:%user_id", "neither"),
        ("http://host/check", "not supported"),
        ("field:networks", "field:resource"),
        (&deep, "deep"),
        (&"not ".repeat(10_000), "deep"),
    ] {
        let error = Enforcer::from_pairs(&[("r", check)]).unwrap_err().to_string();
        assert!(error.contains(why), "{}: {error}", &check[..check.len().min(40)]);
    }
}

/// A check with its truth, for a caller with role `yes` only.
fn known_checks() -> impl Strategy<Value = (String, bool)> {
    let leaf = prop_oneof![
        Just(("role:yes".to_owned(), true)),
        Just(("role:no".to_owned(), false)),
        Just(("@".to_owned(), true)),
        Just(("!".to_owned(), false)),
        Just(("rule:yes".to_owned(), true)),
        Just(("'x':%(x)s".to_owned(), true)),
    ];
    leaf.prop_recursive(5, 40, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|(t, v)| (format!("not ({t})"), !v)),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|c| { (join(&c, " and "), c.iter().all(|(_, v)| *v)) }),
            prop::collection::vec(inner, 1..4).prop_map(|c| (join(&c, " OR "), c.iter().any(|(_, v)| *v))),
        ]
    })
}

fn join(checks: &[(String, bool)], word: &str) -> String {
    checks.iter().map(|(t, _)| format!("({t})")).collect::<Vec<_>>().join(word)
}

proptest! {
    #[test]
    fn boolean_algebra_holds((text, truth) in known_checks()) {
        let e = Enforcer::from_pairs(&[("yes", "role:yes"), ("r", &text)]).unwrap();
        prop_assert_eq!(e.allows("r", &in_project(&["yes"]), &Target::new().with("x", "x")), truth);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-z:%()@! '\"#\n{}-]{0,60}") {
        let mut e = Enforcer::from_pairs(&[("r", "!")]).unwrap();
        let _ = e.override_with(&text);
        let _ = Enforcer::from_pairs(&[("r", &text)]);
        // whatever was loaded, a caller's role named in no rule gives an answer, not a crash
        e.allows("r", &in_project(&["yes"]), &Target::new());
    }

    #[test]
    fn a_written_file_reads_back(name in "[a-z_:]{1,20}[a-z]", check in "role:[a-z]{1,8}( or role:[a-z]{1,8}){0,3}") {
        for text in [format!("{name:?}: {check:?}"), format!("'{name}': '{check}'"), format!("{name}: {check}")] {
            let got = file::entries(&text).unwrap();
            prop_assert_eq!((&got[0].name, &got[0].check), (&name, &check));
        }
    }
}
