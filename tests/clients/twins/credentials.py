"""Credentials, EC2 keys, OAuth consumers."""

from .two import delete, get, head, patch, post


def credentials():
    C = "/v3/credentials"
    c = lambda b, **k: post(C, {"credential": b}, **k)
    c({})
    c({"blob": "x", "type": "cert", "user_id": "{twalice}"}, keep={"twc1": "credential.id"})
    c({"blob": "x", "type": "cert", "user_id": "{twalice}"}, by="member", keep={"twc2": "credential.id"})
    c({"blob": "x", "type": "cert", "user_id": "{twbob}"}, by="member")
    c({"blob": "x", "type": "cert"}, by="member", keep={"twc3": "credential.id"})
    c(
        {"blob": '{"access":"twacc1","secret":"s"}', "type": "ec2", "user_id": "{twalice}", "project_id": "{twp1}"},
        by="member",
        keep={"twc4": "credential.id"},
    )
    c(
        {"blob": '{"access":"twacc1","secret":"s"}', "type": "ec2", "user_id": "{twalice}", "project_id": "{twp1}"},
        by="member",
    )
    c({"blob": '{"access":"twacc2","secret":"s"}', "type": "ec2", "user_id": "{twalice}"})
    c({"blob": "x", "type": "ec2", "user_id": "{twalice}", "project_id": "{twp1}"})
    c(
        {"blob": {"access": "twacc3", "secret": "s"}, "type": "ec2", "user_id": "{twalice}", "project_id": "{twp1}"},
        keep={"twc5": "credential.id"},
    )
    c({"blob": "x", "type": "totp", "user_id": "{twalice}"}, keep={"twc6": "credential.id"})
    c({"blob": "x", "type": "cert", "user_id": "{nope}"})
    c({"blob": "x", "type": "cert", "user_id": "{twalice}", "project_id": "{nope}"}, keep={"twc7": "credential.id"})
    c({"blob": 5, "type": "cert", "user_id": "{twalice}"})
    c({"blob": "x", "type": "", "user_id": "{twalice}"})
    c({"blob": "x", "type": "cert", "user_id": "{twalice}", "foo": 1}, keep={"twc8": "credential.id"})
    c({"blob": "x", "type": "cert"}, by=None)
    c({"blob": "x", "type": "cert", "user_id": "{twcarol}"}, by="sysreader")
    for by in ("admin", "member", "reader", "sysreader", "domainmanager", None):
        get(C, by=by, mine="credentials")
        get(C + "?user_id={twalice}", by=by, mine="credentials")
        get(C + "/{twc1}", by=by)
        get(C + "/{nope}", by=by)
        head(C + "/{twc1}", by=by)
        patch(C + "/{twc1}", {"credential": {"blob": "z"}}, by=by)
        patch(C + "/{nope}", {"credential": {"blob": "z"}}, by=by)
        delete(C + "/{nope}", by=by)
        if by not in ("admin", "member"):
            delete(C + "/{twc1}", by=by)
    for q in ("type=ec2", "type=cert&user_id={twalice}", "user_id={nope}", "type=nope", "project_id={twp1}"):
        get(C + "?" + q, mine="credentials")
    u = lambda b, who="{twc1}", **k: patch(C + "/" + who, {"credential": b}, **k)
    u({})
    u({"id": "x"})
    u({"type": "ec2"})
    u({"type": "ec2", "project_id": "{twp1}", "blob": '{"access":"a","secret":"b"}'})
    u({"project_id": "{twp1}"})
    u({"user_id": "{twbob}"}, by="member")
    u({"user_id": "{twbob}"}, who="{twc2}", by="member")
    u({"blob": '{"access":"q","secret":"b"}'}, who="{twc4}")
    u({"blob": '{"access":"q","secret":"b"}'}, who="{twc4}", by="member")
    u({"project_id": None}, who="{twc7}")
    u({"type": None})
    for x in range(1, 9):
        delete(C + "/{twc%d}" % x)
    delete(C + "/{twc1}")
    E = "/v3/users/{twalice}/credentials/OS-EC2"
    e = lambda b, by="member", **k: post(E, b, by=by, **k)
    e({"tenant_id": "{twp1}"}, keep={"twec": "credential.access"})
    e({"project_id": "{twp1}"})
    e({})
    e({"tenant_id": "{nope}"})
    e({"tenant_id": "{twp2}"})
    e({"tenant_id": "{twp1}"}, by="admin", keep={"twec2": "credential.access"})
    e({"tenant_id": "{twp1}"}, by="reader")
    e({"tenant_id": "{twp1}"}, by=None)
    for by in ("admin", "member", "reader", "sysreader", None):
        get(E, by=by)
        get(E + "/{twec}", by=by)
        get(E + "/nope", by=by)
        delete(E + "/nope", by=by)
        head(E, by=by)
    get("/v3/users/{nope}/credentials/OS-EC2")
    delete(E + "/{twec}", by="reader")
    delete(E + "/{twec}", by="member")
    delete(E + "/{twec2}")
    post("/v3/ec2tokens", {}, by=None)
    post("/v3/ec2tokens", {"credentials": {"access": "nope"}}, by="member")
    post("/v3/ec2tokens", {"credentials": {"access": "nope", "signature": "x"}}, by="admin")
    post("/v3/s3tokens", {"credentials": {"access": "nope", "signature": "x", "token": "x"}}, by="admin")
    post("/v3/s3tokens", {}, by="admin")
    post("/v3/ec2tokens", {}, by="admin")


def misc():
    get("/v3/OS-OAUTH1/consumers", mine="consumers")
    post("/v3/OS-OAUTH1/consumers", {"consumer": {"description": "d"}}, keep={"twcons": "consumer.id"})
    get("/v3/OS-OAUTH1/consumers/{twcons}")
    patch("/v3/OS-OAUTH1/consumers/{twcons}", {"consumer": {"description": "e"}})
    patch("/v3/OS-OAUTH1/consumers/{twcons}", {"consumer": {"secret": "e"}})
    post("/v3/OS-OAUTH1/consumers", {"consumer": {}}, by="member")
    get("/v3/OS-OAUTH1/consumers", by="member")
    delete("/v3/OS-OAUTH1/consumers/{twcons}")
    get("/v3/OS-OAUTH1/consumers/{twcons}")
    get("/v3/OS-FEDERATION/identity_providers")
    get("/v3/OS-FEDERATION/projects")
