"""Images that come in other ways than by upload, with the clients as they come from PyPI.

import_day.py, with OS_CLIENT_CONFIG_FILE and OS_CLOUD set to a fresh cloud with the stores `file` and `second`, every
import method, and fetches from loopback allowed.
"""
import contextlib
import http.server
import os
import tempfile
import threading

import glanceclient
import openstack

from commands import glance, js, osc, wait

DATA = os.urandom(3 << 20)


def step(name):
    print(f"imports: {name}", flush=True)


def task_of(image):
    """The image's newest task, once it has ended."""
    def ended():
        tasks = conn.image.get(f"/images/{image}/tasks").json()["tasks"]
        return tasks and tasks[-1]["status"] in ("success", "failure") and tasks[-1]
    return wait("the end of the task", ended)


def is_whole(image, stores):
    shown = conn.image.get(f"/images/{image}").json()
    assert shown["status"] == "active" and shown["size"] == len(DATA), shown
    assert set(shown["stores"].split(",")) == set(stores), shown
    assert shown["os_glance_importing_to_stores"] == "" and "os_glance_import_task" not in shown, shown
    assert conn.image.get(f"/images/{image}/file").content == DATA, "the download differs"


def queued(name, disk="raw", container="bare"):
    """An image without data. openstackclient would take whatever stands on its standard input for it."""
    return client.images.create(name=name, disk_format=disk, container_format=container)["id"]


class Files(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/image.raw")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/image.raw":
            self.send_response(200)
            self.send_header("Content-Length", str(len(DATA)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(DATA)
        else:
            self.send_error(404)

    def log_message(self, *_):
        pass


web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
threading.Thread(target=web.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{web.server_port}"
conn = openstack.connect()
client = glanceclient.Client("2", session=conn.session)
BARE = ["--disk-format", "raw", "--container-format", "bare"]
local = tempfile.NamedTemporaryFile()
local.write(DATA)
local.flush()

step("what there is")
methods = client.images.get_import_info()["import-methods"]["value"]
assert set(methods) == {"glance-direct", "web-download", "copy-image", "glance-download"}, methods
assert set(methods) <= set(osc("image", "import", "info").stdout.replace(",", " ").replace("'", " ").split()), methods

step("glance-direct, openstackclient")
one = queued("one")
osc("image", "stage", "--file", local.name, one)
assert js("image", "show", one)["status"] == "uploading"
osc("image", "import", "--method", "glance-direct", "--wait", one)
is_whole(one, ["file"])
assert task_of(one)["status"] == "success"

step("glance-direct, glanceclient, to all stores")
two = queued("two")
client.images.stage(two, open(local.name, "rb"))
client.images.image_import(two, "glance-direct", all_stores=True)
task_of(two)
is_whole(two, ["file", "second"])

step("glance-direct, glanceclient's command")
glance(conn, "image-create-via-import", "--name", "three", *BARE, "--file", local.name)
three = next(i.id for i in conn.image.images(name="three"))
task_of(three)
is_whole(three, ["file"])

step("glance-direct, openstacksdk")
four = conn.image.create_image("four", filename=local.name, disk_format="raw", container_format="bare", use_import=True)
task_of(four.id)
is_whole(four.id, ["file"])

step("web-download by each")
five = queued("five")
osc("image", "import", "--method", "web-download", "--uri", f"{base}/moved", "--wait", five, "--store", "second")
is_whole(five, ["second"])
six = queued("six")
client.images.image_import(six, "web-download", uri=f"{base}/image.raw")
task_of(six)
is_whole(six, ["file"])
glance(conn, "image-create-via-import", "--name", "seven", *BARE, "--import-method", "web-download", "--uri", f"{base}/image.raw")
seven = next(i.id for i in conn.image.images(name="seven"))
task_of(seven)
is_whole(seven, ["file"])
eight = conn.image.create_image("eight", disk_format="raw", container_format="bare", wait=False)
conn.image.import_image(eight, method="web-download", uri=f"{base}/image.raw")
task_of(eight.id)
is_whole(eight.id, ["file"])

step("copy-image")
osc("image", "import", "--method", "copy-image", one, "--store", "second")
task_of(one)
wait("a second copy", lambda: "second" in conn.image.get(f"/images/{one}").json()["stores"])
is_whole(one, ["file", "second"])
client.images.image_import(six, "copy-image", all_stores=True)
wait("a second copy", lambda: "second" in conn.image.get(f"/images/{six}").json()["stores"])
is_whole(six, ["file", "second"])

step("glance-download from this very cloud")
osc("image", "set", "--property", "os_distro=debian", "--property", "speed=88mph", one)
nine = queued("nine", "iso", "ovf")
region = conn.config.get_region_name() or "RegionOne"
osc("image", "import", "--method", "glance-download", "--remote-image", one, "--remote-region", region,
    "--remote-service-interface", "public", "--wait", nine)
is_whole(nine, ["file"])
shown = conn.image.get(f"/images/{nine}").json()
assert (shown["disk_format"], shown["container_format"], shown["os_distro"]) == ("raw", "bare", "debian"), shown
assert "speed" not in shown, shown

step("failures are queued again, with the reason")
ten = queued("ten")
for uri, words in [(f"{base}/missing", "404"), ("http://10.255.255.1/x", "may not be fetched from")]:
    client.images.image_import(ten, "web-download", uri=uri)
    task = task_of(ten)
    assert task["status"] == "failure" and words in task["message"], task
    shown = client.images.get(ten)
    assert shown["status"] == "queued" and shown["os_glance_failed_import"] == "file", shown
    assert "os_glance_import_task" not in shown, shown
listed = js("image", "task", "list")
assert any(t["Status"] == "failure" for t in listed), listed
try:
    client.images.image_import(ten, "web-download", uri="http://2130706433/x")
    raise AssertionError("an odd way to write 127.0.0.1 was not refused")
except glanceclient.exc.HTTPBadRequest as refusal:
    assert "does not pass filtering" in str(refusal), refusal
osc("image", "import", "--method", "web-download", "--uri", f"{base}/image.raw", "--wait", ten)
is_whole(ten, ["file"])

step("the old way: tasks")
made = client.tasks.create(type="import", input={
    "import_from": f"{base}/image.raw", "import_from_format": "raw",
    "image_properties": {"name": "eleven", "disk_format": "raw", "container_format": "bare"}})
done = wait("the task", lambda: (t := client.tasks.get(made["id"]))["status"] in ("success", "failure") and t)
assert done["status"] == "success", done
is_whole(done["result"]["image_id"], ["file"])

step("delete")
for image in [i.id for i in conn.image.images()]:
    osc("image", "delete", image)
assert js("image", "list") == []
print("imports: all as it should be")
