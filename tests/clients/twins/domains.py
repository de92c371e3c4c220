"""Domains, and their configurations."""

from .two import ask, delete, get, head, login, patch, post, put, pw


def domains():
    c = lambda b, **k: post("/v3/domains", {"domain": b}, **k)
    c({})
    c({"name": ""})
    c({"name": "twdom"})
    c({"name": "x" * 65})
    c({"name": "twd2", "enabled": "no"})
    c({"name": "twd3", "domain_id": "x"})
    c({"name": "twd4"}, by="member")
    c({"name": "twd4"}, by="sysadmin", keep={"twd4": "domain.id"})
    c({"name": "twd5", "explicit_domain_id": "0123456789abcdef0123456789abcd77"}, keep={"twd5": "domain.id"})
    c({"name": "twd6", "explicit_domain_id": "zz"})
    c({"name": "twd7", "tags": ["a"]}, keep={"twd7": "domain.id"})
    c({"name": "twd8", "options": {"immutable": True}}, keep={"twd8": "domain.id"})
    c({"name": "twd9", "description": None}, keep={"twd9": "domain.id"})
    for by in ("admin", "member", "unscoped", "sysreader", "domainmanager", None):
        get("/v3/domains", by=by, mine="domains")
        get("/v3/domains/{twd}", by=by)
        get("/v3/domains/{nope}", by=by)
        get("/v3/domains/default", by=by)
        patch("/v3/domains/{twd4}", {"domain": {"description": "z"}}, by=by)
        delete("/v3/domains/{twd4}", by=by if by != "admin" else "member")
        head("/v3/domains/{twd}", by=by)
    for q in ("name=twdom", "enabled=1", "enabled=0", "name__contains=twd", "description=d", "tags=a", "limit=x"):
        get(f"/v3/domains?{q}", mine="domains")
    get("/v3/domains/{twp1}")
    get("/v3/projects/{twd}")
    get("/v3/projects?is_domain=true", mine="projects")
    get("/v3/projects?is_domain=1&name=twdom", mine="projects")
    u = lambda b, who="{twd4}", **k: patch(f"/v3/domains/{who}", {"domain": b}, **k)
    u({"name": "twdom"})
    u({"id": "x"})
    u({"name": ""})
    u({})
    u({"tags": ["q"]})
    u({"name": "z"}, who="{twd8}")
    u({"options": {"immutable": False}}, who="{twd8}")
    u({"description": "n"}, who="{twd8}")
    delete("/v3/domains/{twd4}")
    u({"enabled": False})
    delete("/v3/domains/{twd4}")
    delete("/v3/domains/{twd4}")
    delete("/v3/domains/default")
    u({"enabled": False}, who="{twd}")
    get("/v3/domains", by="domainmanager")
    login(pw("twdana", "secretsecret", None, "{twd}"))
    u({"enabled": True}, who="{twd}")
    get("/v3/domains", by="domainmanager")
    login(pw("twdana", "secretsecret", {"domain": {"id": "{twd}"}}, "{twd}"), "domainmanager")
    for d in ("twd5", "twd7", "twd8", "twd9"):
        u({"enabled": False}, who="{" + d + "}")
        delete("/v3/domains/{" + d + "}")


def domain_config():
    D = "/v3/domains/{twd}/config"
    for p in (
        "/v3/domains/config/default",
        "/v3/domains/config/ldap/default",
        "/v3/domains/config/identity/default",
        "/v3/domains/config/ldap/url/default",
        "/v3/domains/config/nope/default",
        "/v3/domains/config/ldap/nope/default",
        "/v3/domains/config/ldap/password/default",
        "/v3/domains/config/identity/list_limit/default",
        "/v3/domains/config/security_compliance/default",
    ):
        for by in ("admin", "member"):
            get(p, by=by)
    for by in ("member", "domainmanager", "sysreader", None):
        for m, b in (
            ("GET", None),
            ("PUT", {"config": {"ldap": {"url": "x"}}}),
            ("PATCH", {"config": {"ldap": {"url": "x"}}}),
            ("DELETE", None),
        ):
            ask(m, D, b, by=by)
    get(D)
    patch(D, {"config": {"ldap": {"url": "x"}}})
    delete(D)
    for b in (
        {},
        {"config": {}},
        {"config": {"nope": {}}},
        {"config": {"ldap": {"nope": 1}}},
        {"config": {"ldap": 5}},
        {
            "config": {
                "identity": {"driver": "ldap"},
                "ldap": {"url": "http://u", "user_tree_dn": "dn", "password": "pw", "user": "cn=%(user)s"},
            }
        },
        {
            "config": {
                "identity": {"driver": "ldap"},
                "ldap": {"url": "http://u", "user_tree_dn": "dn", "password": "pw"},
            }
        },
    ):
        put(D, b)
    put("/v3/domains/{nope}/config", {"config": {"ldap": {"url": "x"}}})
    get("/v3/domains/{nope}/config")
    for p in (
        "",
        "/ldap",
        "/identity",
        "/nope",
        "/ldap/url",
        "/ldap/password",
        "/ldap/nope",
        "/ldap/suffix",
        "/security_compliance",
    ):
        for m in ("GET", "HEAD"):
            ask(m, D + p)
    patch(D, {"config": {"ldap": {"url": "http://v"}}})
    patch(D, {"config": {"ldap": {"password": "pw2"}}})
    patch(D, {"config": {"identity": {"nope": "x"}}})
    patch(D + "/ldap", {"config": {"ldap": {"url": "http://w"}}})
    patch(D + "/ldap", {"config": {"identity": {"driver": "x"}}})
    patch(D + "/ldap/url", {"config": {"url": "http://z"}})
    patch(D + "/ldap/url", {"config": {"user_tree_dn": "http://z"}})
    patch(D + "/ldap/suffix", {"config": {"suffix": "http://z"}})
    patch(D + "/nope", {"config": {"nope": {"a": 1}}})
    patch(D + "/ldap/url", {"config": {"ldap": {"url": "q"}}})
    patch(D + "/ldap/nope", {"config": {"nope": 1}})
    patch(D + "/ldap/password", {"config": {"password": "p"}})
    get(D)
    delete(D + "/ldap/url")
    delete(D + "/ldap/url")
    delete(D + "/ldap")
    delete(D + "/ldap")
    delete(D + "/nope")
    delete(D + "/ldap/nope")
    get(D)
    delete(D)
    delete(D)
    get(D)
