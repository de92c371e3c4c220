"""An image-api's cache, with the clients as they come from PyPI.

cache_day.py WEB_ADDRESS, with OS_CLIENT_CONFIG_FILE and OS_CLOUD set to a fresh cloud that has a cache, fetches queued images
after some seconds, and has everything below http://WEB_ADDRESS/ as a store. The server there is this script.
"""
import contextlib
import http.server
import os
import sys
import threading

import glanceclient
import openstack

from commands import glance, js, osc, wait

DATA = os.urandom(3 << 20)
host, port = sys.argv[1].split(":")


def step(name):
    print(f"cache: {name}", flush=True)


class Files(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    whole = 0

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()

    def do_GET(self):
        wanted = self.headers.get("Range")
        first, last = 0, len(DATA) - 1
        if wanted:
            ends = wanted.removeprefix("bytes=").split("-")
            first, last = int(ends[0]), min(int(ends[1] or last), last)
        if (first, last) == (0, len(DATA) - 1):
            Files.whole += 1
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(DATA)}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(DATA[first:last + 1])

    def log_message(self, *_):
        pass


web = http.server.ThreadingHTTPServer((host, int(port)), Files)
threading.Thread(target=web.serve_forever, daemon=True).start()
conn = openstack.connect()
client = glanceclient.Client("2", session=conn.session)
endpoint = conn.session.get_endpoint(service_type="image").removesuffix("/").removesuffix("/v2")


def direct(command, *arguments):
    """glanceclient wants the node itself for these, not what the catalog has."""
    return glance(conn, "--os-image-url", endpoint, command, *arguments)


def far(name):
    """An image whose data is on the web server."""
    image = client.images.create(name=name, disk_format="raw", container_format="bare")["id"]
    client.images.add_image_location(image, f"http://{sys.argv[1]}/{name}.raw", {})
    wait(f"{name} is active", lambda: client.images.get(image)["status"] == "active")
    return image


def states():
    """What each client says of each image must be the same."""
    listed = {i["ID"]: i["State"] for i in js("cached", "image", "list")}
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in direct("cache-list").splitlines()]
    by_glance = {cells[0]: cells[1] for cells in lines if len(cells) == 6 and cells[0] != "ID"}
    raw = conn.image.get_image_cache()
    by_sdk = {**{i["image_id"]: "cached" for i in raw.cached_images}, **{i: "queued" for i in raw.queued_images}}
    # an image may become cached from one to the next
    return listed if listed == by_glance == by_sdk else states()


def until(want):
    wait(f"the cache has {want}", lambda: states() == want)


step("a download fills it")
assert states() == {}
one, two, three = far("one"), far("two"), far("three")
assert conn.image.get(f"/images/{one}/file").content == DATA, "the download differs"
until({one: "cached"})
before = Files.whole
assert conn.image.get(f"/images/{one}/file").content == DATA, "the download out of the cache differs"
assert Files.whole == before, "it was fetched again"
shown = next(i for i in js("cached", "image", "list") if i["ID"] == one)
assert shown["Size"] == len(DATA) and shown["Hits"] >= 1, shown

step("the queue, by each client")
osc("cached", "image", "queue", "two")
direct("cache-queue", three)
assert states() == {one: "cached", two: "queued", three: "queued"}, states()
until({one: "cached", two: "cached", three: "cached"})
before = Files.whole
assert conn.image.get(f"/images/{three}/file").content == DATA, "what was queued differs"
assert Files.whole == before, "it was fetched again"

step("out of it, by each client")
osc("cached", "image", "delete", "one")
direct("cache-delete", two)
assert states() == {three: "cached"}, states()
direct("cache-queue", one)
osc("cached", "image", "clear", "--queue")
assert states() == {three: "cached"}, states()
osc("cached", "image", "queue", one)
direct("cache-clear", "--target", "cache")
assert states() == {one: "queued"}, states()
direct("cache-clear")
assert states() == {}, states()
osc("cached", "image", "queue", one, two)
osc("cached", "image", "clear")
assert states() == {}, states()

step("clean, prune, and what is deleted")
assert "Pruned 0 file(s), 0 byte(s)." in direct("cache-prune")
direct("cache-clean")
osc("cached", "image", "queue", one)
until({one: "cached"})
osc("image", "delete", one)
assert states() == {}, states()

step("who may")
conn.identity.create_project(name="plain")
conn.identity.create_user(name="ann", password="secret-1")
osc("role", "add", "--project", "plain", "--user", "ann", "member")
ann = ["--os-username", "ann", "--os-password", "secret-1", "--os-project-name", "plain"]
refused = osc(*ann, "cached", "image", "list", check=False)
assert refused.returncode and "403" in refused.stderr, refused
print("cache: all as it should be")
