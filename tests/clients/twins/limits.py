"""Registered limits, limits, pages of lists."""

from .two import delete, get, head, patch, post


def limits():
    s = lambda: post("/v3/services", {"service": {"type": "twlim", "name": "twlims"}}, keep={"twls": "service.id"})
    s()
    post("/v3/regions", {"region": {"id": "twlreg"}})
    R = "/v3/registered_limits"
    r = lambda b, **k: post(R, {"registered_limits": b}, **k)
    r([])
    r({})
    r([{}])
    r(
        [{"service_id": "{twls}", "resource_name": "cores", "default_limit": 10}],
        keep={"twrl": "registered_limits.0.id"},
    )
    r([{"service_id": "{twls}", "resource_name": "cores", "default_limit": 10}])
    r(
        [
            {
                "service_id": "{twls}",
                "region_id": "twlreg",
                "resource_name": "cores",
                "default_limit": 5,
                "description": "d",
            }
        ],
        keep={"twrl2": "registered_limits.0.id"},
    )
    r([{"service_id": "{nope}", "resource_name": "x", "default_limit": 1}])
    r([{"service_id": "{twls}", "resource_name": "x", "default_limit": 1, "region_id": "nope"}])
    r([{"service_id": "{twls}", "resource_name": "x", "default_limit": -2}])
    r([{"service_id": "{twls}", "resource_name": "x", "default_limit": -1}], keep={"twrl3": "registered_limits.0.id"})
    r([{"service_id": "{twls}", "resource_name": "", "default_limit": 1}])
    r([{"service_id": "{twls}", "resource_name": "y", "default_limit": "1"}])
    r([{"service_id": "{twls}", "resource_name": "y", "default_limit": 2147483648}])
    r([{"service_id": "{twls}", "resource_name": "y", "default_limit": 1, "foo": 1}])
    r([{"service_id": "{twls}", "resource_name": "z", "default_limit": 1}], by="member")
    r(
        [
            {"service_id": "{twls}", "resource_name": "a", "default_limit": 1},
            {"service_id": "{twls}", "resource_name": "b", "default_limit": 1},
        ],
        keep={"twrl4": "registered_limits.0.id", "twrl5": "registered_limits.1.id"},
    )
    for by in ("admin", "member", "unscoped", "sysreader", "domainmanager", None):
        get(R + "?service_id={twls}", by=by)
        get(R + "/{twrl}", by=by)
        get(R + "/{nope}", by=by)
        patch(R + "/{twrl3}", {"registered_limit": {"description": "e"}}, by=by)
        delete(R + "/{nope}", by=by)
        head(R, by=by)
        get("/v3/limits/model", by=by)
        head("/v3/limits/model", by=by)
    for q in ("resource_name=cores", "region_id=twlreg", "service_id={nope}", "resource_name=nope"):
        get(R + "?" + q, mine="registered_limits")
    u = lambda b, who="{twrl}", **k: patch(R + "/" + who, {"registered_limit": b}, **k)
    u({})
    u({"default_limit": 20})
    u({"default_limit": "x"})
    u({"resource_name": "b"})
    u({"region_id": "twlreg"})
    u({"service_id": "{nope}"})
    u({"foo": 1})
    u({"region_id": None})
    u({"region_id": "nope"})
    u({"description": None})
    L = "/v3/limits"
    l = lambda b, **k: post(L, {"limits": b}, **k)
    B = {"project_id": "{twp1}", "service_id": "{twls}", "resource_name": "cores", "resource_limit": 7}
    l([])
    l([{}])
    l([B], keep={"twl1": "limits.0.id"})
    l([B])
    l([{**B, "project_id": "{nope}"}])
    l([{**B, "resource_name": "nope"}])
    l([{**B, "service_id": "{nope}"}])
    l([{**B, "region_id": "nope"}])
    l([{**B, "region_id": "twlreg", "description": "q"}], keep={"twl2": "limits.0.id"})
    l([{k: v for k, v in B.items() if k != "project_id"}])
    l([{**{k: v for k, v in B.items() if k != "project_id"}, "domain_id": "{twd}"}], keep={"twl3": "limits.0.id"})
    l([{**B, "domain_id": "{twd}"}])
    l([{**B, "project_id": "{twp2}", "resource_limit": -1}], keep={"twl4": "limits.0.id"})
    l([{**B, "resource_limit": "x"}])
    l([{**B, "project_id": "{twp3}"}], by="member")
    l([{**B, "foo": 1}])
    l([{**{k: v for k, v in B.items() if k != "project_id"}, "domain_id": "{nope}"}])
    l([{**B, "project_id": "{twd}"}], keep={"twl5": "limits.0.id"})
    l([{**B, "project_id": "{twdp}", "resource_limit": 9}], keep={"twl6": "limits.0.id"})
    for by in ("admin", "member", "reader", "unscoped", "sysreader", "domainmanager", None):
        get(L, by=by, mine="limits")
        get(L + "?service_id={twls}", by=by)
        get(L + "/{twl1}", by=by)
        get(L + "/{twl3}", by=by)
        get(L + "/{twl6}", by=by)
        get(L + "/{nope}", by=by)
        patch(L + "/{twl1}", {"limit": {"description": "z"}}, by=by)
        delete(L + "/{nope}", by=by)
        head(L + "/{twl1}", by=by)
    for q in (
        "resource_name=cores",
        "project_id={twp1}",
        "domain_id={twd}",
        "region_id=twlreg",
        "project_id={nope}",
        "service_id={twls}&resource_name=nope",
    ):
        get(L + "?" + q, mine="limits")
    u = lambda b, who="{twl1}", **k: patch(L + "/" + who, {"limit": b}, **k)
    u({})
    u({"resource_limit": 3})
    u({"resource_limit": "x"})
    u({"resource_name": "x"})
    u({"foo": 1})
    u({"resource_limit": -2})
    delete(R + "/{twrl}")
    patch(R + "/{twrl}", {"registered_limit": {"resource_name": "q"}})
    delete("/v3/services/{twls}")
    delete("/v3/regions/twlreg")
    delete(L + "/{twl1}", by="member")
    for x in range(1, 7):
        delete(L + "/{twl%d}" % x)
    delete(R + "/{twrl}")
    delete(R + "/{twrl}")
    for x in range(2, 6):
        delete(R + "/{twrl%d}" % x)
    delete("/v3/services/{twls}")
    delete("/v3/regions/twlreg")


def paging():
    for q in ("limit=2", "limit=1"):
        for c, f in (
            ("users", "name__startswith=tw"),
            ("projects", "name__startswith=tw"),
            ("groups", "name__startswith=tw"),
            ("roles", ""),
            ("services", ""),
            ("regions", ""),
            ("endpoints", ""),
            ("domains", ""),
            ("credentials", ""),
            ("role_assignments", ""),
            ("registered_limits", ""),
            ("policies", ""),
        ):
            get(f"/v3/{c}?{f}&{q}", mine="-")
    get("/v3/users?limit=2&sort_key=name")
    get("/v3/users?limit=2&sort_key=name&sort_dir=desc")
    get("/v3/users?limit=2&sort_key=nope")
    get("/v3/users?limit=2&sort_key=name:desc")
