"""Trusts, and trusts handed on."""

import time

from .two import ask, by_token, delete, get, login, patch, post, project, put, pw


def trusts():
    T = "/v3/OS-TRUST/trusts"
    B = {
        "trustor_user_id": "{twalice}",
        "trustee_user_id": "{twbob}",
        "impersonation": False,
        "project_id": "{twp1}",
        "roles": [{"name": "member"}],
    }
    c = lambda b, by="member", **k: post(T, {"trust": b}, by=by, **k)
    c({})
    c(B, keep={"twt1": "trust.id"})
    c(
        {
            **B,
            "roles": [{"id": "{role_reader}"}],
            "impersonation": True,
            "expires_at": "2099-01-01T00:00:00.000000Z",
            "remaining_uses": 2,
        },
        keep={"twt2": "trust.id"},
    )
    c({**B, "trustee_user_id": "{nope}"})
    c({**B, "trustor_user_id": "{twbob}"})
    c({**B, "roles": [{"name": "admin"}]})
    c({**B, "roles": [{"name": "nope"}]})
    c({**B, "roles": [{"id": "{nope}"}]})
    c({**B, "roles": []})
    c({k: v for k, v in B.items() if k != "roles"})
    c({**B, "project_id": "{nope}"})
    c({**B, "project_id": "{twp2}"})
    c({**B, "project_id": None, "roles": []}, keep={"twt3": "trust.id"})
    c({k: v for k, v in B.items() if k not in ("project_id", "roles")}, keep={"twt4": "trust.id"})
    c({**B, "project_id": None})
    c({**B, "impersonation": "x"})
    c({k: v for k, v in B.items() if k != "impersonation"})
    c({**B, "expires_at": "2001-01-01T00:00:00Z"})
    c({**B, "expires_at": "x"})
    c({**B, "remaining_uses": 0})
    c({**B, "remaining_uses": -1})
    c({**B, "remaining_uses": "x"})
    c({**B, "allow_redelegation": True}, keep={"twt5": "trust.id"})
    c({**B, "allow_redelegation": True, "redelegation_count": 2, "impersonation": True}, keep={"twt6": "trust.id"})
    c({**B, "allow_redelegation": True, "redelegation_count": 9})
    c({**B, "allow_redelegation": True, "remaining_uses": 5})
    c({**B, "allow_redelegation": False, "redelegation_count": 1}, keep={"twt7": "trust.id"})
    c(B, by="admin")
    c(B, by="reader")
    c(B, by="unscoped")
    c(B, by=None)
    c({**B, "foo": 1}, keep={"twt8": "trust.id"})
    c({**B, "expires_at": None}, keep={"twt9": "trust.id"})
    c({**B, "roles": [{"name": "reader", "id": "{role_reader}"}]}, keep={"twta": "trust.id"})
    for by in ("member", "reader", "admin", "unscoped", "sysreader", "domainmanager", None):
        for m in ("GET", "HEAD"):
            ask(m, T + "/{twt2}", by=by)
            ask(m, T + "/{nope}", by=by)
            ask(m, T + "/{twt2}/roles", by=by)
            ask(m, T + "/{twt2}/roles/{role_reader}", by=by)
            ask(m, T + "/{twt2}/roles/{role_admin}", by=by)
            ask(m, T, by=by, mine="trusts")
            ask(m, T + "?trustor_user_id={twalice}", by=by)
            ask(m, T + "?trustee_user_id={twbob}", by=by)
        delete(T + "/{nope}", by=by)
        if by not in ("member",):
            delete(T + "/{twt9}", by=by)
    get(T + "?trustor_user_id={nope}")
    get(T + "?trustor_user_id={twalice}&trustee_user_id={twbob}")
    patch(T + "/{twt2}", {"trust": {}}, by="member")
    get(T + "/{nope}/roles/x")
    tl = lambda who, trust, keep=None, **k: login(pw(who, "secretsecret", {"OS-TRUST:trust": {"id": trust}}), keep, **k)
    tl("twbob", "{twt1}", "tt1")
    tl("twbob", "{twt2}", "tt2")
    get(T + "/{twt2}", by="member")
    tl("twbob", "{twt2}")
    tl("twbob", "{twt2}")
    get(T + "/{twt2}", by="member")
    tl("twalice", "{twt1}")
    tl("twnobody", "{twt1}")
    tl("twbob", "{nope}")
    tl("twbob", "{twt3}", "tt3")
    tl("twbob", "{twt5}", "tt5")
    tl("twbob", "{twt6}", "tt6")
    for by in ("tt1", "tt2", "tt3"):
        get("/v3/auth/tokens", headers={"X-Subject-Token": "@" + by})
        get("/v3/auth/projects", by=by)
        get("/v3/auth/domains", by=by)
        get("/v3/auth/catalog", by=by, mine="catalog")
        get(T, by=by, mine="trusts")
        get(T + "/{twt1}", by=by)
        login(by_token(by))
        login(by_token(by, project("{twp1}")))
        post("/v3/users/{twbob}/application_credentials", {"application_credential": {"name": "viatrust" + by}}, by=by)
        post(
            "/v3/users/{twalice}/application_credentials", {"application_credential": {"name": "viatrust" + by}}, by=by
        )
        post("/v3/users/{twalice}/credentials/OS-EC2", {"tenant_id": "{twp1}"}, by=by)
        post("/v3/users/{twbob}/credentials/OS-EC2", {"tenant_id": "{twp1}"}, by=by)
        c(B, by=by)
    R = {**B, "trustor_user_id": "{twbob}", "trustee_user_id": "{twcarol}"}
    c(R, by="tt5", keep={"twr5": "trust.id"})
    c({**R, "trustor_user_id": "{twalice}"}, by="tt5")
    c({**R, "trustor_user_id": "{twalice}", "impersonation": True}, by="tt6", keep={"twr6": "trust.id"})
    c({**R, "impersonation": True}, by="tt6")
    c({**R, "impersonation": True}, by="tt5")
    c({**R, "roles": [{"name": "admin"}]}, by="tt5")
    c({**R, "redelegation_count": 3, "allow_redelegation": True}, by="tt5")
    c({**R, "expires_at": "2099-01-01T00:00:00Z"}, by="tt5", keep={"twr7": "trust.id"})
    c({**R, "allow_redelegation": True}, by="tt5", keep={"twr8": "trust.id"})
    c(
        {
            **R,
            "trustor_user_id": "{twalice}",
            "impersonation": True,
            "allow_redelegation": True,
            "redelegation_count": 1,
        },
        by="tt6",
        keep={"twr9": "trust.id"},
    )
    c(
        {**R, "trustor_user_id": "{twalice}", "impersonation": True, "allow_redelegation": True},
        by="tt6",
        keep={"twra": "trust.id"},
    )
    tl("twcarol", "{twr5}", "ttr5")
    tl("twcarol", "{twr8}", "ttr8")
    c({**R, "trustor_user_id": "{twcarol}", "trustee_user_id": "{twnobody}"}, by="ttr8")
    tl("twcarol", "{twr9}", "ttr9")
    get(T + "/{twr5}", by="reader")
    get(T + "/{twr6}", by="member")
    delete(T + "/{twr6}", by="reader")
    delete(T + "/{twt5}", by="member")
    get(T + "/{twr5}", by="admin")
    get("/v3/auth/tokens", headers={"X-Subject-Token": "@ttr5"})
    tl("twcarol", "{twr5}")
    delete(T + "/{twt1}", by="member")
    get("/v3/auth/tokens", headers={"X-Subject-Token": "@tt1"})
    delete(T + "/{twt1}", by="member")
    tl("twbob", "{twt7}", "tt7")
    delete("/v3/projects/{twp1}/users/{twalice}/roles/{role_member}")
    tl("twbob", "{twt7}")
    get("/v3/auth/tokens", headers={"X-Subject-Token": "@tt7"})
    put("/v3/projects/{twp1}/users/{twalice}/roles/{role_member}")
    time.sleep(1.1)
    login(pw("twalice", "secretsecret", project("{twp1}")), "member")
    login(pw("twbob", "secretsecret", project("{twp1}")), "reader")
    for x in ("twt3", "twt4", "twt6", "twt7", "twt8", "twt9", "twta"):
        delete(T + "/{" + x + "}", by="member")
