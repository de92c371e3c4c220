"""Users and their passwords."""

from .two import ask, delete, get, head, login, patch, post, project, pw


def users():
    c = lambda b, **k: post("/v3/users", {"user": b}, **k)
    c({})
    c({"name": ""})
    c({"name": "x" * 256})
    c({"name": 1})
    c({"name": "twx", "password": 1})
    c({"name": "twx", "enabled": "x"})
    c({"name": "twx0", "enabled": "false"}, keep={"twx0": "user.id"})
    c({"name": "twalice"})
    c({"name": "twx", "domain_id": "{nope}"})
    c({"name": "twx", "default_project_id": "{nope}"}, keep={"twx1": "user.id"})
    c({"name": "twy", "default_project_id": "{twd}"})
    c({"name": "twy", "options": {"nope": True}})
    c({"name": "twy", "options": {"lock_password": "x"}})
    c(
        {
            "name": "twy",
            "options": {
                "lock_password": True,
                "ignore_password_expiry": True,
                "multi_factor_auth_rules": [["password", "totp"]],
                "multi_factor_auth_enabled": True,
                "ignore_user_inactivity": True,
                "ignore_lockout_failure_attempts": False,
                "ignore_change_password_upon_first_use": False,
            },
        },
        keep={"twy": "user.id"},
    )
    c({"name": "twz", "options": {"multi_factor_auth_rules": [["password", "nope"]]}})
    c({"name": "twz1", "options": {"multi_factor_auth_rules": ["password"]}})
    c({"name": "twz2", "options": {"multi_factor_auth_rules": [["password", "password"]]}})
    c({"name": "twz3", "password": None}, keep={"twz3": "user.id"})
    c({"name": "twz4", "federated": []})
    c({"name": "twz5", "id": "abc"}, keep={"twz5": "user.id"})
    c({"name": "twz6", "password_expires_at": "2030-01-01T00:00:00"})
    c({"name": " twpad "}, keep={"twpad": "user.id"})
    c({"name": "twz7", "password": "x"}, by="member")
    c({"name": "twz7"}, by="domainmanager")
    c({"name": "twz8", "domain_id": "default"}, by="domainmanager")
    c({"name": "twz9"}, by=None)
    c({"name": "twz9"}, by="sysadmin", keep={"twz9": "user.id"})
    c({"name": "twza"}, by="sysreader")
    for raw in ("", "{", "[]", "{}", '{"user": []}', '{"user": null}', '{"users": {}}'):
        post("/v3/users", raw=raw)
        patch("/v3/users/{twalice}", raw=raw)
    post("/v3/users", raw='{"user": {"name": "a"}}', headers={"Content-Type": "text/plain"})
    for by in ("admin", "member", "reader", "unscoped", "sysreader", "domainmanager", None):
        for m in ("GET", "HEAD"):
            ask(m, "/v3/users/{twalice}", by=by)
            ask(m, "/v3/users/{twdana}", by=by)
            ask(m, "/v3/users/{nope}", by=by)
            ask(m, "/v3/users", by=by, mine="users")
            ask(m, "/v3/users?domain_id={twd}", by=by, mine="users")
        get("/v3/users/{twalice}/groups", by=by)
        get("/v3/users/{twalice}/projects", by=by)
        get("/v3/users/{twbob}/groups", by=by)
        get("/v3/users/{twbob}/projects", by=by)
        head("/v3/users/{twalice}/groups", by=by)
    for q in (
        "name=twalice",
        "name=nope",
        "enabled=true",
        "enabled",
        "enabled=0",
        "enabled=false",
        "enabled=maybe",
        "domain_id=default",
        "name__contains=tw",
        "name__startswith=twa",
        "name__icontains=TWA",
        "name__endswith=ce",
        "name__nope=x",
        "description=alice",
        "email=alice@x",
        "nope=1",
        "password_expires_at=lt:2030-01-01T00:00:00Z",
        "password_expires_at=x",
        "idp_id=x",
        "protocol_id=x",
        "unique_id=x",
        "default_project_id={nope}",
        "id={twalice}",
        "domain_id=",
        "name=",
        "sort_key=name",
        "limit=x",
        "limit=-1",
        "marker={nope}",
        "name=twalice&name=twbob",
    ):
        get(f"/v3/users?{q}", mine="users")
    u = lambda b, who="{twalice}", **k: patch(f"/v3/users/{who}", {"user": b}, **k)
    u({"description": "new"})
    u({"email": None})
    u({"name": "twbob"})
    u({"name": None})
    u({"name": ""})
    u({"domain_id": "{twd}"})
    u({"domain_id": "default"})
    u({"id": "x"})
    u({"default_project_id": "{twp1}"})
    u({"default_project_id": None})
    u({"default_project_id": "{twd}"})
    u({"options": {"lock_password": True}})
    u({"options": {"ignore_password_expiry": True}})
    u({"options": {"lock_password": None, "ignore_password_expiry": None}})
    u({"options": {}})
    u({"options": None})
    u({"enabled": None})
    u({"enabled": "x"})
    u({"password": ""})
    u({"foo": "bar", "x": [1]})
    u({"foo": None, "x": None})
    u({"description": "x"}, by="member")
    u({"description": "x"}, by="sysreader")
    u({"description": "x"}, by="domainmanager")
    u({"description": "x"}, who="{twdana}", by="domainmanager")
    u({"description": "x"}, who="{nope}")
    u({}, who="{twalice}")
    cp = lambda b, who="{twalice}", **k: post(f"/v3/users/{who}/password", {"user": b}, **k)
    cp({"original_password": "wrong", "password": "n"}, by=None)
    cp({"password": "n"}, by=None)
    cp({"original_password": "secretsecret"}, by=None)
    cp({"original_password": "x", "password": "y"}, who="{nope}", by=None)
    cp({"original_password": "secretsecret", "password": "secretsecret2"}, by=None)
    cp({"original_password": "secretsecret2", "password": "secretsecret2"}, by=None)
    cp({"original_password": "secretsecret2", "password": "secretsecret"}, by="admin")
    cp({"original_password": 1, "password": "x"}, by=None)
    cp({"original_password": "x", "password": "y"}, who="{twz3}", by=None)
    get("/v3/users", by="member")
    login(pw("twalice", "secretsecret", project("{twp1}")), "member")
    u({"options": {"lock_password": True}}, who="{twx1}")
    u({"password": "abcabc"}, who="{twx1}")
    cp({"original_password": "abcabc", "password": "d"}, who="{twx1}", by=None)
    login(pw("twx", "abcabc"))
    u({"enabled": False}, who="{twx1}")
    login(pw("twx", "abcabc"))
    delete("/v3/users/{twx1}", by="member")
    delete("/v3/users/{twx1}", by="domainmanager")
    delete("/v3/users/{twx1}")
    delete("/v3/users/{twx1}")
    get("/v3/users/{twx1}")
    for x in ("twx0", "twy", "twz3", "twz9", "twpad", "twz5"):
        delete("/v3/users/{" + x + "}")
