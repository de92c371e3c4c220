"""The people and things that everything else is asked about."""

from .two import ADMIN_PROJECT, delete, get, keep, login, patch, post, project, put, pw


def begin():
    """Administrators, and the ids of what every Keystone has."""
    login(pw("admin", "{adminpw}", ADMIN_PROJECT), "admin")
    login(pw("admin", "{adminpw}", {"system": {"all": True}}), "sysadmin")
    get("/v3/users?name=admin", keep={"admin_id": "users.0.id"})
    get("/v3/projects?name=admin", keep={"admin_project": "projects.0.id"})
    for role in ("admin", "manager", "member", "reader", "service"):
        get(f"/v3/roles?name={role}", keep={f"role_{role}": "roles.0.id"})
    keep(nope="ffffffffffffffffffffffffffffff00")


def world():
    post("/v3/domains", {"domain": {"name": "twdom", "description": "d", "extra1": "x"}}, keep={"twd": "domain.id"})
    post("/v3/projects", {"project": {"name": "twp1"}}, keep={"twp1": "project.id"})
    post(
        "/v3/projects",
        {"project": {"name": "twp2", "parent_id": "{twp1}", "tags": ["a", "b"]}},
        keep={"twp2": "project.id"},
    )
    post(
        "/v3/projects",
        {"project": {"name": "twp3", "parent_id": "{twp2}", "description": "deep", "enabled": True, "foo": {"a": 1}}},
        keep={"twp3": "project.id"},
    )
    post("/v3/projects", {"project": {"name": "twdp", "domain_id": "{twd}"}}, keep={"twdp": "project.id"})
    for u in ("alice", "bob", "carol", "nobody"):
        post(
            "/v3/users",
            {"user": {"name": f"tw{u}", "password": "secretsecret", "email": f"{u}@x", "description": u}},
            keep={f"tw{u}": "user.id"},
        )
    post(
        "/v3/users",
        {"user": {"name": "twdana", "password": "secretsecret", "domain_id": "{twd}"}},
        keep={"twdana": "user.id"},
    )
    post("/v3/groups", {"group": {"name": "twg", "description": "g", "x": 1}}, keep={"twg": "group.id"})
    put("/v3/groups/{twg}/users/{twbob}")
    put("/v3/projects/{twp1}/users/{twalice}/roles/{role_member}")
    put("/v3/projects/{twp1}/groups/{twg}/roles/{role_reader}")
    put("/v3/domains/{twd}/users/{twdana}/roles/{role_manager}")
    put("/v3/system/users/{twcarol}/roles/{role_reader}")
    login(pw("twalice", "secretsecret", project("{twp1}")), "member")
    login(pw("twbob", "secretsecret", project("{twp1}")), "reader")
    login(pw("twcarol", "secretsecret", {"system": {"all": True}}), "sysreader")
    login(pw("twnobody", "secretsecret"), "unscoped")
    login(pw("twdana", "secretsecret", {"domain": {"id": "{twd}"}}, "{twd}"), "domainmanager")


def cleanup():
    for u in ("alice", "bob", "carol", "nobody", "dana"):
        delete("/v3/users/{tw" + u + "}")
    delete("/v3/groups/{twg}")
    for p in (3, 2, 1):
        delete("/v3/projects/{twp%d}" % p)
    patch("/v3/domains/{twd}", {"domain": {"enabled": False}})
    delete("/v3/domains/{twd}")
    get("/v3/projects/{twdp}")
