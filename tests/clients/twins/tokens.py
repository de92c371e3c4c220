"""Logging in, asking what tokens mean, and the documents that need none."""

from .two import ADMIN_PROJECT, ask, by_token, delete, get, head, login, post, project, pw


def tokens():
    for q in ("", "?nocatalog", "?nocatalog=1", "?allow_expired=1"):
        login(pw("twalice", "secretsecret", project("{twp1}")), q=q)
        get("/v3/auth/tokens" + q, by="admin", headers={"X-Subject-Token": "@member"})
    login(pw("twalice", "secretsecret"), "tmp")
    get("/v3/auth/tokens", by="tmp", headers={"X-Subject-Token": "@tmp"})
    get("/v3/auth/catalog", by="tmp")
    get("/v3/auth/catalog", by="member")
    head("/v3/auth/catalog", by="member")
    get("/v3/auth/catalog", by="sysadmin")
    get("/v3/auth/catalog", by="domainmanager")
    login(pw("twalice", "secretsecret", {"unscoped": {}}))
    login(pw("twalice", "secretsecret", "unscoped"))
    login(pw("twalice", "secretsecret", {"system": {"all": True}}))
    login(pw("twalice", "secretsecret", {"system": {"all": False}}))
    login(pw("twalice", "secretsecret", {"system": {}}))
    login(pw("twcarol", "secretsecret", {"system": {"all": True}}))
    login(pw("twalice", "secretsecret", {"domain": {"id": "default"}}))
    login(pw("twalice", "secretsecret", {"domain": {"id": "{nope}"}}))
    login(pw("twalice", "secretsecret", {"project": {"id": "{nope}"}}))
    login(pw("twalice", "secretsecret", {"project": {"name": "twp1"}}))
    login(pw("twalice", "secretsecret", {"project": {"name": "twp1", "domain": {"name": "Default"}}}))
    login(pw("twalice", "secretsecret", {"project": {"name": "twp1", "domain": {"name": "Nope"}}}))
    login(pw("twalice", "secretsecret", {"project": {"id": "{twp1}"}, "domain": {"id": "default"}}))
    login(pw("twalice", "secretsecret", {"project": {"id": "{twp2}"}}))
    login(pw("twalice", "secretsecret", {}))
    login(pw("twalice", "secretsecret", {"foo": {}}))
    login(pw("twalice", "secretsecret", []))
    login(pw("twalice", "wrong"))
    login(pw("twnone", "wrong"))
    login(pw("twalice", "secretsecret", None, "{nope}"))
    login({})
    login({"auth": {}})
    login({"auth": {"identity": {}}})
    login({"auth": {"identity": {"methods": []}}})
    login({"auth": {"identity": {"methods": ["password"]}}})
    login({"auth": {"identity": {"methods": ["nope"], "nope": {}}}})
    login({"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "twalice", "password": "x"}}}}})
    login(
        {
            "auth": {
                "identity": {
                    "methods": ["password"],
                    "password": {"user": {"id": "{twalice}", "password": "secretsecret"}},
                }
            }
        }
    )
    login({"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "{twalice}"}}}}})
    login({"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": 1, "password": "x"}}}}})
    login(
        {
            "auth": {
                "identity": {
                    "methods": ["password"],
                    "password": {
                        "user": {"name": "twalice", "domain": {"name": "Default"}, "password": "secretsecret"}
                    },
                }
            }
        }
    )
    login(
        {
            "auth": {
                "identity": {
                    "methods": ["password", "password"],
                    "password": {"user": {"id": "{twalice}", "password": "secretsecret"}},
                }
            }
        }
    )
    login({"auth": {"identity": {"methods": ["token"], "token": {"id": "nonsense"}}}})
    login({"auth": {"identity": {"methods": ["token"], "token": {}}}})
    login({"auth": {"identity": {"methods": ["external"]}}})
    for raw in ("", "{", "[]", "null", '"x"'):
        post("/v3/auth/tokens", raw=raw, by=None)
    login(by_token("member", project("{twp1}")), "re1")
    login(by_token("member"), "re2")
    login(by_token("tmp"), "re3")
    login(by_token("tmp", project("{twp1}")), "re4")
    login(by_token("member", {"system": {"all": True}}))
    login(by_token("sysreader"))
    login(by_token("sysadmin", {"system": {"all": True}}))
    login(by_token("sysadmin", ADMIN_PROJECT))
    login(by_token("sysadmin", {"domain": {"id": "default"}}))
    for by in ("member", "reader", "unscoped", "sysreader", "domainmanager", None):
        get("/v3/auth/tokens", by=by, headers={"X-Subject-Token": "@admin"})
        head("/v3/auth/tokens", by=by, headers={"X-Subject-Token": "@admin"})
        delete("/v3/auth/tokens", by=by, headers={"X-Subject-Token": "@admin"})
    login(pw("admin", "{adminpw}", ADMIN_PROJECT), "admin")
    get("/v3/auth/tokens", by="member", headers={"X-Subject-Token": "@member"})
    get("/v3/auth/tokens", by="admin")
    head("/v3/auth/tokens", by="admin")
    delete("/v3/auth/tokens", by="admin")
    get("/v3/auth/tokens", by="admin", headers={"X-Subject-Token": "nonsense"})
    get("/v3/auth/tokens", by="admin", headers={"X-Subject-Token": ""})
    delete("/v3/auth/tokens", by="re4", headers={"X-Subject-Token": "@re4"})
    get("/v3/auth/tokens", by="admin", headers={"X-Subject-Token": "@re4"})
    get("/v3/auth/tokens", by="admin", headers={"X-Subject-Token": "@tmp"})
    get("/v3/users", by=None)
    get("/v3/users", by=None, headers={"X-Auth-Token": "nonsense"})
    for p in ("projects", "domains", "system"):
        for by in ("member", "unscoped", "sysreader", "domainmanager", "admin"):
            get(f"/v3/auth/{p}", by=by, mine=p if by == "admin" else None)
        head(f"/v3/auth/{p}", by="member")
        get(f"/v3/auth/{p}", by=None)
    get("/v3/auth/tokens/OS-PKI/revoked")
    head("/v3/auth/tokens/OS-PKI/revoked")
    get("/v3/OS-SIMPLE-CERT/ca", by=None)
    get("/v3/OS-SIMPLE-CERT/certificates", by=None)
    get("/v3/OS-REVOKE/events")
    get("/v3/OS-REVOKE/events", by="member")
    get("/v3/OS-REVOKE/events?since=2099-01-01T00:00:00Z")
    get("/v3/OS-REVOKE/events?since=x")


def versions():
    for p in ("/", "/v3", "/v3/"):
        for m in ("GET", "HEAD", "POST"):
            ask(m, p, by=None)
    get("/v3", by=None, headers={"Accept": "application/json-home"})
    get("/", by=None, headers={"Accept": "application/json-home"})
    get("/v3", by=None, headers={"Accept": "text/html"})
    for p in ("/v2.0", "/v3/nope", "/nope", "/v3/users/x/y/z", "/v3/users/", "/healthcheck"):
        get(p)
    for m, p in (
        ("PUT", "/v3/users"),
        ("POST", "/v3/users/x"),
        ("DELETE", "/v3/users"),
        ("PATCH", "/v3/auth/tokens"),
        ("OPTIONS", "/v3/users"),
    ):
        ask(m, p)
