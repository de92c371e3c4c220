"""Application credentials and their access rules."""

import time

from .two import ask, by_token, delete, get, login, patch, post, project, put, pw


def app_creds():
    A = "/v3/users/{twalice}/application_credentials"
    c = lambda b, **k: post(A, {"application_credential": b}, by=k.pop("by", "member"), **k)
    c({})
    c({"name": ""})
    c({"name": "twa1"}, keep={"twa1": "application_credential.id", "twa1s": "application_credential.secret"})
    c({"name": "twa1"})
    c(
        {
            "name": "twa2",
            "secret": "mysecret",
            "description": "d",
            "roles": [{"name": "reader"}],
            "expires_at": "2099-01-01T00:00:00.000000Z",
        },
        keep={"twa2": "application_credential.id"},
    )
    c({"name": "twa3", "roles": [{"name": "admin"}]})
    c({"name": "twa3", "roles": [{"id": "{role_admin}"}]})
    c({"name": "twa3", "roles": [{"name": "nope"}]})
    c({"name": "twa3", "roles": [{"id": "{nope}"}]})
    c({"name": "twa3", "roles": []}, keep={"twa3x": "application_credential.id"})
    c({"name": "twa4", "roles": [{}]})
    c({"name": "twa4", "expires_at": "2001-01-01T00:00:00Z"})
    c({"name": "twa4", "expires_at": "x"})
    c({"name": "twa4", "expires_at": None}, keep={"twa4x": "application_credential.id"})
    c(
        {"name": "twa5", "unrestricted": True},
        keep={"twa5": "application_credential.id", "twa5s": "application_credential.secret"},
    )
    c({"name": "twa6", "unrestricted": "x"})
    c(
        {"name": "twa7", "access_rules": [{"service": "compute", "method": "GET", "path": "/v2.1/servers"}]},
        keep={
            "twa7": "application_credential.id",
            "twa7s": "application_credential.secret",
            "twrule": "application_credential.access_rules.0.id",
        },
    )
    c({"name": "twa8", "access_rules": [{"id": "{twrule}"}]}, keep={"twa8": "application_credential.id"})
    c({"name": "twa9", "access_rules": [{"id": "{nope}"}]})
    c({"name": "twa9", "access_rules": [{"service": "compute"}]})
    c({"name": "twa9", "access_rules": [{"service": "compute", "method": "X", "path": "/x"}]})
    c(
        {"name": "twa9", "access_rules": [{"service": "nope", "method": "GET", "path": "/x"}]},
        keep={"twa9": "application_credential.id", "twrule2": "application_credential.access_rules.0.id"},
    )
    c({"name": "twaa", "access_rules": []}, keep={"twaa": "application_credential.id"})
    c({"name": "twab"}, by="admin")
    c({"name": "twab"}, by="unscoped")
    c({"name": "twab"}, by=None)
    c({"name": "twab", "project_id": "x"})
    c({"name": "twac", "system": "all"})
    c({"name": "twad", "secret": ""})
    c({"name": "x" * 256})
    post("/v3/users/{twbob}/application_credentials", {"application_credential": {"name": "z"}}, by="member")
    post("/v3/users/{twcarol}/application_credentials", {"application_credential": {"name": "z"}}, by="sysreader")
    post("/v3/users/{nope}/application_credentials", {"application_credential": {"name": "z"}}, by="admin")
    for by in ("member", "admin", "reader", "unscoped", "sysreader", "domainmanager", None):
        for m in ("GET", "HEAD"):
            ask(m, A, by=by)
            ask(m, A + "/{twa2}", by=by)
            ask(m, A + "/{nope}", by=by)
            ask(m, "/v3/users/{twalice}/access_rules", by=by)
            ask(m, "/v3/users/{twalice}/access_rules/{twrule}", by=by)
            ask(m, "/v3/users/{twalice}/access_rules/{nope}", by=by)
        delete(A + "/{nope}", by=by)
        delete("/v3/users/{twalice}/access_rules/{nope}", by=by)
        if by not in ("member", "admin"):
            delete(A + "/{twa2}", by=by)
    get(A + "?name=twa2", by="member")
    get(A + "?name=nope", by="member")
    get(A + "?nope=x&name=twa2", by="member")
    get("/v3/users/{nope}/application_credentials", by="admin")
    patch(A + "/{twa2}", {"application_credential": {"name": "z"}}, by="member")
    get("/v3/users/{twbob}/application_credentials/{twa2}", by="admin")
    get("/v3/users/{twbob}/application_credentials/{twa2}", by="reader")
    get("/v3/users/{twalice}/access_rules?service=compute", by="member")
    delete("/v3/users/{twalice}/access_rules/{twrule}", by="member")
    ac = lambda b, scope=None, **k: login(
        {
            "auth": {
                "identity": {"methods": ["application_credential"], "application_credential": b},
                **({"scope": scope} if scope else {}),
            }
        },
        **k,
    )
    ac({"id": "{twa1}", "secret": "{twa1s}"}, keep="ac1")
    ac({"id": "{twa1}", "secret": "wrong"})
    ac({"id": "{nope}", "secret": "wrong"})
    ac({"name": "twa2", "user": {"name": "twalice", "domain": {"id": "default"}}, "secret": "mysecret"}, keep="ac2")
    ac({"name": "twa2", "user": {"id": "{twalice}"}, "secret": "mysecret"})
    ac({"name": "twa2", "secret": "mysecret"})
    ac({"id": "{twa1}"})
    ac({})
    ac({"id": "{twa1}", "secret": "{twa1s}"}, {"project": {"id": "{twp1}"}})
    ac({"id": "{twa1}", "secret": "{twa1s}"}, {"project": {"id": "{twp2}"}})
    ac({"id": "{twa5}", "secret": "{twa5s}"}, keep="ac5")
    ac({"id": "{twa7}", "secret": "{twa7s}"}, keep="ac7")
    ac({"id": "{twa1}", "secret": "{twa1s}"}, "unscoped")
    ac({"id": "{twa1}", "secret": "{twa1s}"}, {"system": {"all": True}})
    get("/v3/auth/tokens", headers={"X-Subject-Token": "@ac2"})
    get("/v3/auth/tokens", headers={"X-Subject-Token": "@ac7"})
    get("/v3/auth/tokens", headers={"X-Subject-Token": "@ac7", "OpenStack-Identity-Access-Rules": "1.0"})
    for by in ("ac1", "ac2", "ac5", "ac7"):
        c({"name": f"twby{by}"}, by=by, keep={f"twby{by}": "application_credential.id"})
        get(A, by=by)
        get(A + "/{twa2}", by=by)
        delete(A + "/{twby" + by + "}", by=by)
        post(
            "/v3/OS-TRUST/trusts",
            {
                "trust": {
                    "trustor_user_id": "{twalice}",
                    "trustee_user_id": "{twbob}",
                    "impersonation": False,
                    "project_id": "{twp1}",
                    "roles": [{"name": "reader"}],
                }
            },
            by=by,
            keep={"twt" + by: "trust.id"},
        )
        get("/v3/auth/catalog", by=by, mine="catalog")
        get("/v3/auth/projects", by=by)
        get("/v3/users/{twalice}", by=by)
        delete("/v3/users/{twalice}/access_rules/{twrule2}", by=by) if by == "ac1" else None
        login(by_token(by))
        login(by_token(by, project("{twp1}")))
        login(by_token(by, project("{twp2}")))
    c({"name": "twwide", "roles": [{"name": "member"}]}, by="ac2")
    delete(A + "/{twa1}", by="member")
    get("/v3/auth/tokens", headers={"X-Subject-Token": "@ac1"})
    ac({"id": "{twa1}", "secret": "{twa1s}"})
    for x in ("twa3x", "twa4x", "twa5", "twa7", "twa8", "twaa"):
        delete(A + "/{" + x + "}", by="member")
    delete(A + "/{twa9}", by="admin")
    delete("/v3/users/{twalice}/access_rules/{twrule}", by="member")
    delete("/v3/users/{twalice}/access_rules/{twrule2}", by="admin")
    delete("/v3/projects/{twp1}/users/{twalice}/roles/{role_member}")
    ac({"name": "twa2", "user": {"id": "{twalice}"}, "secret": "mysecret"})
    get(A, by="admin")
    put("/v3/projects/{twp1}/users/{twalice}/roles/{role_member}")
    time.sleep(1.1)
    login(pw("twalice", "secretsecret", project("{twp1}")), "member")
