"""A user's first day, with the clients as they come from PyPI; each step is checked for its effect.

first_day.py IMAGE.qcow2, with OS_CLIENT_CONFIG_FILE and OS_CLOUD set to a fresh cloud with real hosts.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import openstack
from novaclient import client as novaclient

IMAGE_FILE = sys.argv[1]
BOOT_SECONDS = 180


def step(name):
    print(f"first day: {name}", flush=True)


def osc(*arguments, check=True):
    """One openstackclient call; its JSON answer, or None where it prints nothing."""
    done = subprocess.run(["openstack", *arguments], capture_output=True, text=True)
    if check and done.returncode:
        raise AssertionError(f"openstack {' '.join(arguments)}: {done.stderr}")
    if not check:
        return done
    return json.loads(done.stdout) if "json" in arguments else done.stdout


def js(*arguments):
    return osc(*arguments, "-f", "json")


def wait(what, ask, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ask():
            return
        time.sleep(0.5)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def status_of(server):
    shown = js("server", "show", server)
    assert shown["status"] != "ERROR", shown
    return shown["status"]


step("log in, catalog")
token = js("token", "issue")
assert token["id"] and token["project_id"], token
types = {s["Type"] for s in js("catalog", "list")}
assert {"identity", "compute", "image", "placement"} <= types, types

step("projects, users, roles")
js("project", "create", "team")
js("user", "create", "--password", "secret-1", "ann")
osc("role", "add", "--project", "team", "--user", "ann", "member")
assert [a["Role"] for a in js("role", "assignment", "list", "--names", "--user", "ann")] == ["member"]

step("image from a file")
made = js("image", "create", "--disk-format", "qcow2", "--container-format", "bare", "--file", IMAGE_FILE, "--public", "guest")
image = js("image", "show", made["id"])
assert image["status"] == "active" and image["size"] == os.path.getsize(IMAGE_FILE), image
with tempfile.NamedTemporaryFile() as back:
    osc("image", "save", "--file", back.name, made["id"])
    assert open(back.name, "rb").read() == open(IMAGE_FILE, "rb").read(), "the download differs"
osc("image", "set", "--property", "os_distro=debian", "--tag", "first", made["id"])
image = js("image", "show", made["id"])
assert image["properties"]["os_distro"] == "debian" and image["tags"] == ["first"], image

step("flavor, keypair")
flavor = js("flavor", "create", "--ram", "128", "--disk", "1", "--vcpus", "1", "--property", "hw:boot_menu=false", "first.tiny")
assert flavor["ram"] == 128, flavor
with tempfile.TemporaryDirectory() as folder:
    key = os.path.join(folder, "key")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key, "-C", "ann@example"], check=True)
    public = open(key + ".pub").read().strip()
    osc("keypair", "create", "--public-key", key + ".pub", "ann-key")
assert js("keypair", "list")[0]["Name"] == "ann-key"

step("server")
with tempfile.NamedTemporaryFile("w", suffix=".sh") as user_data:
    user_data.write("#!/bin/sh\necho hello from user data\n")
    user_data.flush()
    server = js("server", "create", "--image", "guest", "--flavor", "first.tiny", "--key-name", "ann-key", "--no-network",
                "--config-drive", "True", "--user-data", user_data.name, "--property", "role=web", "--wait", "web-1")
assert server["status"] == "ACTIVE", server
sid = server["id"]
assert [s["Name"] for s in js("server", "list")] == ["web-1"]
assert status_of(sid) == "ACTIVE"

step("its console")
log = lambda: osc("console", "log", "show", sid)
wait("the guest's last milestone", lambda: "milestone ready" in log(), BOOT_SECONDS)
wait("user data", lambda: "hello from user data" in log(), BOOT_SECONDS)
said = log()
assert "Linux version" in said, said
assert "hostname=web-1" in said, said
assert public.split()[1] in said, "the key did not reach the guest"
assert "meta.role=web" in said, said

step("stop, start, reboot, pause, suspend")
osc("server", "stop", sid)
wait("SHUTOFF", lambda: status_of(sid) == "SHUTOFF")
osc("server", "start", sid)
wait("ACTIVE", lambda: status_of(sid) == "ACTIVE")
wait("a second boot", lambda: len(re.findall("Linux version", log())) >= 2, BOOT_SECONDS)
wait("the guest is up again", lambda: len(re.findall("milestone ready", log())) >= 2, BOOT_SECONDS)
osc("server", "reboot", "--hard", "--wait", sid)
wait("a third boot", lambda: len(re.findall("Linux version", log())) >= 3, BOOT_SECONDS)
osc("server", "pause", sid)
wait("PAUSED", lambda: status_of(sid) == "PAUSED")
osc("server", "unpause", sid)
wait("ACTIVE", lambda: status_of(sid) == "ACTIVE")
osc("server", "suspend", sid)
wait("SUSPENDED", lambda: status_of(sid) == "SUSPENDED")
osc("server", "resume", sid)
wait("ACTIVE", lambda: status_of(sid) == "ACTIVE")

step("instance actions, hypervisor, services, limits")
actions = [e["Action"] for e in js("server", "event", "list", sid)]
assert {"create", "stop", "start", "reboot", "pause", "suspend", "resume"} <= set(actions), actions
assert js("hypervisor", "list")[0]["State"] == "up"
assert {s["Binary"] for s in js("compute", "service", "list")} >= {"nova-compute"}
limits = {l["Name"]: l["Value"] for l in js("limits", "show", "--absolute")}
assert limits["instances_used"] == 1, limits
assert "nova" in {z["Zone Name"] for z in js("availability", "zone", "list", "--compute")}

step("placement")
node = js("server", "show", sid)["OS-EXT-SRV-ATTR:hypervisor_hostname"]
provider = js("resource", "provider", "list", "--name", node)[0]["uuid"]
usage = {u["resource_class"]: u["usage"] for u in js("resource", "provider", "usage", "show", provider)}
assert usage["VCPU"] == 1 and usage["MEMORY_MB"] == 128 and usage["DISK_GB"] == 1, usage
assert js("resource", "provider", "allocation", "show", sid), "the server's allocation"
assert js("allocation", "candidate", "list", "--resource", "VCPU=1", "--os-placement-api-version", "1.39")

step("refusals")
for refused in (["server", "create", "--image", "guest", "--flavor", "no-such", "--no-network", "x"],
                ["server", "create", "--image", "guest", "--flavor", "first.tiny", "--no-network", "--min", "20", "x"]):
    done = osc(*refused, check=False)
    assert done.returncode != 0 and done.stderr.strip(), refused

step("openstacksdk")
conn = openstack.connect()
assert conn.compute.get_server(sid).status == "ACTIVE"
assert conn.image.find_image("guest").id == made["id"]
other = conn.compute.create_server(name="web-2", image_id=made["id"], flavor_id=flavor["id"], networks="none")
other = conn.compute.wait_for_server(other, wait=60)
assert other.status == "ACTIVE"
conn.compute.delete_server(other)
conn.compute.wait_for_delete(other, wait=60)

step("novaclient")
nova = novaclient.Client("2.93", session=conn.session)
assert [s.name for s in nova.servers.list()] == ["web-1"]
assert nova.servers.get(sid).status == "ACTIVE"

step("delete")
osc("server", "delete", "--wait", sid)
assert js("server", "list") == []
usage = {u["resource_class"]: u["usage"] for u in js("resource", "provider", "usage", "show", provider)}
assert set(usage.values()) == {0}, usage
osc("keypair", "delete", "ann-key")
osc("flavor", "delete", "first.tiny")
osc("image", "delete", made["id"])
assert js("image", "list") == []
print("first day: all as it should be")
