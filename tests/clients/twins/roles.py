"""Roles, what implies what, and who has which where."""

from .two import ask, delete, get, head, login, patch, post, project, put, pw


def roles():
    c = lambda b, **k: post("/v3/roles", {"role": b}, **k)
    c({})
    c({"name": ""})
    c({"name": "x" * 256})
    c({"name": "member"})
    c({"name": "twr1", "description": "r", "z": 1}, keep={"twr1": "role.id"})
    c({"name": "twr2", "domain_id": "{twd}"}, keep={"twr2": "role.id"})
    c({"name": "twr3", "domain_id": "{nope}"})
    c({"name": "twr4", "options": {"immutable": True}}, keep={"twr4": "role.id"})
    c({"name": "twr5"}, by="member")
    c({"name": "twr1", "domain_id": "{twd}"}, keep={"twr5": "role.id"})
    c({"name": "twr6", "domain_id": None}, keep={"twr6": "role.id"})
    c({"name": "twr7"}, by="domainmanager")
    c({"name": "twr8", "description": "d" * 256})
    for by in ("admin", "member", "unscoped", "sysreader", "domainmanager", None):
        get("/v3/roles", by=by, mine="roles")
        get("/v3/roles?domain_id={twd}", by=by)
        for r in ("{twr1}", "{twr2}", "{nope}", "{role_admin}", "{role_member}"):
            get("/v3/roles/" + r, by=by)
            head("/v3/roles/" + r, by=by)
        patch("/v3/roles/{twr1}", {"role": {"description": "n"}}, by=by)
        patch("/v3/roles/{twr2}", {"role": {"description": "n"}}, by=by)
        delete("/v3/roles/{nope}", by=by)
        get("/v3/role_inferences", by=by, mine="role_inferences")
        get("/v3/roles/{role_admin}/implies", by=by)
        get("/v3/roles/{nope}/implies", by=by)
        get("/v3/roles/{role_admin}/implies/{role_manager}", by=by)
        head("/v3/roles/{role_admin}/implies/{role_manager}", by=by)
        head("/v3/roles/{role_member}/implies/{role_admin}", by=by)
        get("/v3/roles/{role_member}/implies/{role_admin}", by=by)
        put("/v3/roles/{twr1}/implies/{twr6}", by=by)
        delete("/v3/roles/{twr1}/implies/{twr6}", by=by)
        delete("/v3/roles/{twr1}/implies/{twr6}", by=by)
        head("/v3/role_inferences", by=by)
        head("/v3/roles/{role_admin}/implies", by=by)
    for q in ("name=twr1", "domain_id=default", "name__contains=twr", "description=n", "nope=1", "domain_id="):
        get(f"/v3/roles?{q}", mine="roles")
    put("/v3/roles/{twr1}/implies/{twr6}")
    put("/v3/roles/{twr1}/implies/{twr6}")
    put("/v3/roles/{twr6}/implies/{twr1}")
    put("/v3/roles/{twr1}/implies/{twr1}")
    put("/v3/roles/{twr6}/implies/{role_admin}")
    put("/v3/roles/{twr1}/implies/{nope}")
    put("/v3/roles/{nope}/implies/{twr1}")
    put("/v3/roles/{twr2}/implies/{twr6}")
    put("/v3/roles/{twr1}/implies/{twr2}")
    get("/v3/role_inferences", mine="role_inferences")
    get("/v3/roles/{twr1}/implies")
    get("/v3/roles/{twr2}/implies")
    delete("/v3/roles/{twr2}/implies/{twr6}")
    u = lambda b, who="{twr1}", **k: patch(f"/v3/roles/{who}", {"role": b}, **k)
    u({"name": "member"})
    u({"name": ""})
    u({"domain_id": "{twd}"})
    u({"domain_id": None})
    u({"id": "x"})
    u({})
    u({"description": "q"}, who="{twr4}")
    u({"options": {"immutable": False}}, who="{twr4}")
    u({"description": None})
    u({"name": "twr1b"}, who="{twr2}")
    delete("/v3/roles/{role_admin}")
    patch("/v3/roles/{role_admin}", {"role": {"name": "x"}})
    put("/v3/projects/{twp1}/users/{twalice}/roles/{twr2}")
    put("/v3/projects/{twdp}/users/{twalice}/roles/{twr2}")
    put("/v3/domains/{twd}/users/{twalice}/roles/{twr2}")
    put("/v3/domains/default/users/{twalice}/roles/{twr2}")
    put("/v3/system/users/{twalice}/roles/{twr2}")
    delete("/v3/system/users/{twalice}/roles/{twr2}")
    for r in ("twr1", "twr2", "twr4", "twr5", "twr6"):
        delete("/v3/roles/{" + r + "}")
    get("/v3/projects/{twdp}/users/{twalice}/roles")


def grants():
    T = [("/v3/projects/{twp2}", True), ("/v3/domains/{twd}", True), ("/v3/system", False)]
    for target, inherit in T:
        for actor in ("users/{twnobody}", "groups/{twg}"):
            base = f"{target}/{actor}/roles"
            for by in ("admin", "member", "sysreader", "domainmanager", None):
                get(base, by=by)
                head(base, by=by)
                for m in ("HEAD", "GET", "PUT", "PUT", "HEAD", "GET", "DELETE", "DELETE"):
                    ask(m, base + "/{role_member}", by=by)
                put(base + "/{nope}", by=by)
                head(base + "/{nope}", by=by)
                delete(base + "/{nope}", by=by)
            if inherit:
                ib = "/v3/OS-INHERIT" + base[3:]
                for by in ("admin", "member", "domainmanager", None):
                    get(ib + "/inherited_to_projects", by=by)
                    for m in ("HEAD", "GET", "PUT", "PUT", "HEAD", "GET", "DELETE", "DELETE"):
                        ask(m, ib + "/{role_member}/inherited_to_projects", by=by)
                put(ib + "/{role_member}/inherited_to_projects")
                get(ib + "/inherited_to_projects")
                get(base)
                head(base + "/{role_member}")
                delete(ib + "/{role_member}/inherited_to_projects")
    for base in (
        "/v3/projects/{nope}/users/{twalice}/roles",
        "/v3/projects/{twp1}/users/{nope}/roles",
        "/v3/domains/{nope}/users/{twalice}/roles",
        "/v3/projects/{twp1}/groups/{nope}/roles",
        "/v3/system/users/{nope}/roles",
        "/v3/system/groups/{nope}/roles",
    ):
        get(base)
        for m in ("HEAD", "GET", "PUT", "DELETE"):
            ask(m, base + "/{role_member}")
    put("/v3/projects/{twd}/users/{twalice}/roles/{role_member}")
    delete("/v3/projects/{twd}/users/{twalice}/roles/{role_member}")


def assignments():
    put("/v3/OS-INHERIT/projects/{twp1}/users/{twbob}/roles/{role_member}/inherited_to_projects")
    put("/v3/OS-INHERIT/domains/{twd}/groups/{twg}/roles/{role_reader}/inherited_to_projects")
    put("/v3/system/groups/{twg}/roles/{role_reader}")
    put("/v3/projects/{twp3}/users/{twbob}/roles/{role_manager}")
    qs = [
        "",
        "effective",
        "include_names",
        "include_names=1&effective",
        "user.id={twbob}",
        "user.id={twbob}&effective",
        "user.id={twbob}&effective&include_names",
        "group.id={twg}",
        "group.id={twg}&include_names",
        "role.id={role_member}&user.id={twbob}",
        "role.id={role_reader}&user.id={twbob}&effective",
        "scope.project.id={twp2}",
        "scope.project.id={twp2}&effective",
        "scope.project.id={twp1}&include_subtree",
        "scope.project.id={twp1}&include_subtree&effective",
        "scope.domain.id={twd}",
        "scope.domain.id={twd}&effective",
        "scope.domain.id={twd}&include_names",
        "scope.OS-INHERIT:inherited_to=projects",
        "scope.OS-INHERIT:inherited_to=projects&effective",
        "scope.OS-INHERIT:inherited_to=x",
        "scope.OS-INHERIT:inherited_to",
        "scope.system=all",
        "scope.system",
        "scope.system=all&user.id={twcarol}",
        "scope.system=all&effective",
        "user.id={twbob}&group.id={twg}",
        "scope.project.id={twp1}&scope.domain.id={twd}",
        "scope.system=all&scope.project.id={twp1}",
        "effective&group.id={twg}",
        "effective&scope.domain.id={twd}&scope.OS-INHERIT:inherited_to=projects",
        "include_subtree",
        "include_subtree&scope.domain.id={twd}",
        "user.id={nope}",
        "group.id={nope}",
        "role.id={nope}",
        "scope.project.id={nope}",
        "scope.domain.id={nope}",
        "user.id=",
        "effective=0&user.id={twbob}",
        "include_names=0&user.id={twbob}",
        "nope=1&user.id={twbob}",
        "user.id={twbob}&user.id={twalice}",
        "effective=true&user.id={twnobody}",
        "user.id={twbob}&scope.project.id={twp3}&effective&include_names",
    ]
    for q in qs:
        get("/v3/role_assignments?" + q, mine="role_assignments")
    for by in ("member", "reader", "unscoped", "sysreader", "domainmanager", None):
        for q in (
            "",
            "scope.project.id={twp1}",
            "scope.domain.id={twd}",
            "scope.project.id={twdp}",
            "scope.project.id={twp1}&include_subtree",
            "scope.project.id={twdp}&include_subtree",
            "user.id={twalice}",
            "user.id={twdana}",
            "effective",
        ):
            get("/v3/role_assignments?" + q, by=by, mine="role_assignments")
        head("/v3/role_assignments", by=by)
    login(pw("twbob", "secretsecret", project("{twp3}")))
    login(pw("twbob", "secretsecret", project("{twp2}")))
    login(pw("twbob", "secretsecret", project("{twdp}")))
    login(pw("twbob", "secretsecret", {"system": {"all": True}}))
    get("/v3/users/{twbob}/projects")
    login(pw("twbob", "secretsecret", project("{twp1}")), "reader")
    get("/v3/auth/projects", by="reader")
    get("/v3/auth/system", by="reader")
    delete("/v3/system/groups/{twg}/roles/{role_reader}")
