"""A cloud whose users are those of another Keystone: tokens, roles, access rules, revocation, and that Keystone away.

keystone.py KEYSTONE_PID, with OS_CLIENT_CONFIG_FILE and OS_CLOUD set to an administrator of that Keystone. The cloud is in
its catalog, believes what it was told for 2 s, and has simulated hosts.
"""
import os
import signal
import sys
import time

import openstack
import requests

KEYSTONE = int(sys.argv[1])
BELIEVED_SECONDS = 2


def step(name):
    print(f"another Keystone: {name}", flush=True)


def answer(token, path="/servers", method="GET", json=None):
    url = compute + path
    return requests.request(method, url, headers={"X-Auth-Token": token}, json=json, timeout=30).status_code


def connected(auth_type="password", **auth):
    return openstack.connect(
        load_envvars=False, load_yaml_config=False, auth_type=auth_type, auth={"auth_url": auth_url, **auth},
        region_name=admin.config.get_region_name(), identity_api_version="3")


def user(name):
    return connected(
        username=name, password="secret", project_name=name, user_domain_id="default", project_domain_id="default")


admin = openstack.connect()
auth_url = admin.config.get_auth_args()["auth_url"]
compute = admin.session.get_endpoint(service_type="compute").rstrip("/")

step("the catalog has the services, once")
services = [(s.type, s.name) for s in admin.identity.services()]
for wanted in [("compute", "nova"), ("image", "glance"), ("placement", "placement")]:
    assert services.count(wanted) == 1, services
assert auth_url.split("/v3")[0] not in compute

step("a member builds in his project, and sees no other")
member_role = admin.identity.find_role("member", ignore_missing=False)
users = {}
for name in ("alice", "bob"):
    project = admin.identity.create_project(name=name, domain_id="default")
    made = admin.identity.create_user(name=name, password="secret", domain_id="default")
    admin.identity.assign_project_role_to_user(project, made, member_role)
    users[name] = user(name)
image = admin.image.create_image(
    name="blank", data=b"\0" * 65536, disk_format="raw", container_format="bare", visibility="public")
flavor = admin.compute.create_flavor(name="tiny", vcpus=1, ram=64, disk=1)
server = users["alice"].compute.create_server(name="a", image_id=image.id, flavor_id=flavor.id, networks="none")
server = users["alice"].compute.wait_for_server(server, wait=60)
assert server.status == "ACTIVE" and server.project_id == users["alice"].current_project_id, server
assert [s.id for s in users["alice"].compute.servers()] == [server.id]
assert list(users["bob"].compute.servers()) == []
assert [s.id for s in admin.compute.servers(all_projects=True)] == [server.id]

step("a member is no administrator")
assert answer(users["bob"].auth_token, "/flavors", "POST", {"flavor": {"name": "x", "vcpus": 1, "ram": 1, "disk": 0}}) == 403
assert answer("forged") == 401

step("an application credential is good for what its access rules say")
alice = users["alice"]
credential = alice.identity.create_application_credential(
    user=alice.current_user_id, name="reads",
    access_rules=[{"service": "compute", "method": "GET", "path": "/v2.1/servers"}])
limited = connected(
    "v3applicationcredential", application_credential_id=credential.id, application_credential_secret=credential.secret)
assert answer(limited.auth_token) == 200
assert answer(limited.auth_token, "/flavors") == 401
assert answer(limited.auth_token, f"/servers/{server.id}", "DELETE") == 401

step("a revoked token is refused once it is no longer believed")
token = users["bob"].auth_token
assert answer(token) == 200
gone = requests.delete(f"{auth_url}/auth/tokens", headers={"X-Auth-Token": admin.auth_token, "X-Subject-Token": token}, timeout=30)
assert gone.status_code == 204, gone.text
time.sleep(BELIEVED_SECONDS + 0.5)
assert answer(token) == 401

step("while it is away, unknown tokens are answered 503, and all is well again afterwards")
fresh = user("bob").auth_token
os.kill(KEYSTONE, signal.SIGSTOP)
try:
    assert answer(fresh) == 503
finally:
    os.kill(KEYSTONE, signal.SIGCONT)
assert answer(fresh) == 200
