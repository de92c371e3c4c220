"""Projects, their tree and their tags."""

from .two import delete, get, head, login, patch, post, project, put, pw


def projects():
    c = lambda b, **k: post("/v3/projects", {"project": b}, **k)
    c({})
    c({"name": ""})
    c({"name": "twp1"})
    c({"name": "x" * 65})
    c({"name": "twq", "domain_id": "{nope}"})
    c({"name": "twq", "parent_id": "{nope}"})
    c({"name": "twq", "parent_id": "{twp1}", "domain_id": "{twd}"})
    c({"name": "twq", "parent_id": "{twd}"}, keep={"twq": "project.id"})
    c({"name": "twq1", "is_domain": True}, keep={"twq1": "project.id"})
    c({"name": "twq2", "is_domain": True, "parent_id": "{twp1}"})
    c({"name": "twq3", "tags": ["a", "a"]})
    c({"name": "twq4", "tags": ["a,b"]})
    c({"name": "twq5", "tags": ["x" * 256]})
    c({"name": "twq6", "enabled": "x"})
    c({"name": "twq7", "options": {"immutable": True}}, keep={"twq7": "project.id"})
    c({"name": "twq8", "options": {"x": True}})
    c({"name": "twq9"}, by="member")
    c({"name": "twq99"}, by="domainmanager")
    c({"name": "twq9", "domain_id": "{twd}"}, by="domainmanager", keep={"twq9": "project.id"})
    c({"name": "twqa"}, by="sysreader")
    c({"name": "twqb"}, by="sysadmin", keep={"twqb": "project.id"})
    c({"name": "twqc", "parent_id": None}, keep={"twqc": "project.id"})
    c({"name": "twdom"}, keep={"twqd": "project.id"})
    c({"name": "twqe", "description": None}, keep={"twqe": "project.id"})
    c({"name": "twqf", "id": "abc"}, keep={"twqf": "project.id"})
    for by in ("admin", "member", "reader", "unscoped", "sysreader", "domainmanager", None):
        get("/v3/projects", by=by, mine="projects")
        for p in ("{twp1}", "{twp3}", "{twdp}", "{nope}", "{twd}"):
            get("/v3/projects/" + p, by=by)
            head("/v3/projects/" + p, by=by)
        for q in (
            "subtree_as_list",
            "parents_as_list",
            "subtree_as_ids",
            "parents_as_ids",
            "subtree_as_list&subtree_as_ids",
            "parents_as_list&parents_as_ids",
            "subtree_as_list&parents_as_ids",
            "subtree_as_list=0",
            "subtree_as_ids=True",
        ):
            get("/v3/projects/{twp2}?" + q, by=by)
        get("/v3/projects/{twp2}/tags", by=by)
        get("/v3/projects/{nope}/tags", by=by)
        get("/v3/projects/{twp2}/tags/a", by=by)
        head("/v3/projects/{twp2}/tags/a", by=by)
        get("/v3/projects/{twp2}/tags/zz", by=by)
        put("/v3/projects/{twp2}/tags/c", by=by)
        put("/v3/projects/{nope}/tags/c", by=by)
        delete("/v3/projects/{twp2}/tags/c", by=by)
        delete("/v3/projects/{twp2}/tags/c", by=by)
        put("/v3/projects/{twdp}/tags", {"tags": ["m"]}, by=by)
        delete("/v3/projects/{twdp}/tags", by=by)
        patch("/v3/projects/{twdp}", {"project": {"description": "y"}}, by=by)
        patch("/v3/projects/{nope}", {"project": {"description": "y"}}, by=by)
        delete("/v3/projects/{nope}", by=by)
    for b in (
        {"tags": ["a", "b"]},
        {"tags": "a"},
        {"tags": ["a/b"]},
        {"tags": [""]},
        {"tags": [1]},
        {},
        {"tags": ["a"], "x": 1},
        {"tags": ["a", "b", "a"]},
        {"tags": [str(i) for i in range(81)]},
    ):
        put("/v3/projects/{twp2}/tags", b)
    put("/v3/projects/{twp2}/tags/a,b")
    put("/v3/projects/{twp2}/tags/a")
    put("/v3/projects/{twp2}/tags/" + "x" * 256)
    put("/v3/projects/{twp2}/tags/%C3%A9%20x")
    get("/v3/projects/{twp2}/tags/%C3%A9%20x")
    get("/v3/projects/{twp2}")
    put("/v3/projects/{twp2}/tags", {"tags": ["a", "b"]})
    for q in (
        "name=twp1",
        "domain_id={twd}",
        "parent_id={twp1}",
        "enabled=0",
        "enabled=x",
        "tags=a",
        "tags=a,b",
        "tags-any=a,z",
        "not-tags=a",
        "not-tags-any=a,b",
        "tags=z",
        "name__contains=twp",
        "is_domain=0",
        "is_domain=false",
        "is_domain=x",
        "description=deep",
        "nope=1",
        "foo=1",
        "parent_id={nope}",
        "parent_id=",
        "domain_id={nope}",
        "limit=0",
        "marker={twp1}",
        "id={twp1}",
    ):
        get(f"/v3/projects?{q}", mine="projects")
    u = lambda b, who="{twp3}", **k: patch(f"/v3/projects/{who}", {"project": b}, **k)
    u({"name": "twp2"})
    u({"name": ""})
    u({"name": None})
    u({"domain_id": "{twd}"})
    u({"domain_id": "default"})
    u({"parent_id": "{twp1}"})
    u({"parent_id": "{twp2}"})
    u({"is_domain": True})
    u({"is_domain": False})
    u({"id": "x"})
    u({})
    u({"tags": ["x", "y"]})
    u({"tags": []})
    u({"description": None})
    u({"enabled": None})
    u({"foo": None})
    u({"a": 5})
    u({"description": "q"}, who="{twq7}")
    u({"options": {"immutable": None}}, who="{twq7}")
    u({"description": "q"}, who="{twq7}")
    u({"options": {"immutable": True}, "description": "w"}, who="{twq7}")
    delete("/v3/projects/{twq7}")
    u({"options": {"immutable": False}}, who="{twq7}")
    delete("/v3/projects/{twq7}")
    u({"enabled": False}, who="{twp1}")
    u({"enabled": False}, who="{twp3}")
    u({"enabled": False}, who="{twp2}")
    u({"enabled": False}, who="{twp1}")
    login(pw("twalice", "secretsecret", project("{twp1}")))
    get("/v3/auth/tokens", headers={"X-Subject-Token": "@member"})
    u({"enabled": True}, who="{twp2}")
    u({"enabled": True}, who="{twp1}")
    u({"enabled": True}, who="{twp2}")
    u({"enabled": True}, who="{twp3}")
    get("/v3/auth/tokens", headers={"X-Subject-Token": "@member"})
    login(pw("twalice", "secretsecret", project("{twp1}")), "member")
    login(pw("twbob", "secretsecret", project("{twp1}")), "reader")
    delete("/v3/projects/{twp2}")
    delete("/v3/projects/{twd}")
    delete("/v3/projects/{twp3}", by="member")
    u({"enabled": False}, who="{twq1}")
    delete("/v3/projects/{twq1}?cascade")
    delete("/v3/domains/{twq1}")
    c({"name": "twc1"}, keep={"twc1": "project.id"})
    c({"name": "twc2", "parent_id": "{twc1}"}, keep={"twc2": "project.id"})
    c({"name": "twc3", "parent_id": "{twc2}"}, keep={"twc3": "project.id"})
    delete("/v3/projects/{twc1}")
    delete("/v3/projects/{twc1}?cascade")
    for m in (1, 2, 3):
        get("/v3/projects/{twc%d}" % m)
    parent = "{twp3}"
    for n in range(4):
        c({"name": f"twdeep{n}", "parent_id": parent}, keep={f"twdeep{n}": "project.id"})
        parent = "{twdeep%d}" % n
    for n in (3, 2, 1, 0):
        delete("/v3/projects/{twdeep%d}" % n)
    for p in ("twq", "twq9", "twqb", "twqc", "twqd", "twqe", "twqf"):
        delete("/v3/projects/{" + p + "}")
