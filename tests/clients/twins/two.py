"""Two Keystones that are asked the same, and what they answered differently.

Texts of requests may hold `{name}`: the id that the answer of an earlier request gave, each side its own. What must differ
(ids, times, addresses, secrets) is taken out of answers before they are compared.
"""
import json
import re

import requests

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+0000)?")
HEX = re.compile(r"\b[0-9a-f]{32}\b|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
ADMIN_PROJECT = {"project": {"name": "admin", "domain": {"id": "default"}}}

sides = []
asked = []
differences = []


class Side:
    """One Keystone: its address, what things are called there, and the tokens of who asks."""

    def __init__(self, url, password):
        self.url = url.rstrip("/")
        self.ids, self.tokens = {"adminpw": password}, {}
        self.http = requests.Session()

    def filled(self, value):
        if isinstance(value, str):
            return re.sub(r"\{(\w+)\}", lambda m: str(self.ids.get(m[1], m[0])), value)
        if isinstance(value, dict):
            return {self.filled(k): self.filled(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.filled(v) for v in value]
        return value

    def send(self, method, path, body, by, headers, raw):
        head = {"Accept": "application/json"}
        if by:
            head["X-Auth-Token"] = self.tokens[by]
        for name, text in (headers or {}).items():
            head[name] = self.tokens[text[1:]] if text.startswith("@") else self.filled(text)
        data = raw if raw is not None else None if body is None else json.dumps(self.filled(body))
        if data is not None:
            head.setdefault("Content-Type", "application/json")
        url = self.url + self.filled(path)
        answer = self.http.request(method, url, headers=head, data=data, timeout=60, allow_redirects=False)
        try:
            return answer, answer.json() if answer.content else None
        except ValueError:
            return answer, "no JSON"

    def keep(self, names, answer, body):
        for name, where in names.items():
            if where == "token":
                self.tokens[name] = answer.headers.get("X-Subject-Token", "")
                continue
            value = body
            for part in where.split("."):
                try:
                    value = value[int(part)] if part.isdigit() else value[part]
                except (KeyError, TypeError, IndexError):
                    value = "missing-" + name
            self.ids[name] = value

    def plain(self, value, key=None):
        """The answer without what must differ."""
        if isinstance(value, dict):
            return {self.plain(k): self.plain(v, k) for k, v in value.items()}
        if key == "audit_ids":
            return len(value)
        if key == "catalog" and isinstance(value, list):
            value = [service for service in value if "tw" in str(service.get("type"))]
        if isinstance(value, list):
            return [self.plain(v) for v in value]
        if not isinstance(value, str):
            return value
        if key in ("audit_id", "audit_chain_id", "secret", "access"):
            return "<secret>"
        value = value.replace(self.url, "<url>")
        for name, text in sorted(self.ids.items(), key=lambda kv: -len(str(kv[1]))):
            if isinstance(text, str) and len(text) > 6:
                value = value.replace(text, f"<{name}>")
        return HEX.sub("<id>", TIME.sub("<time>", value))


def ask(method, path, body=None, by="admin", keep=None, headers=None, mine=None, raw=None):
    """Asks both. `keep`: names for parts of the answer, as `{"ann": "user.id"}`. `mine`: the list of which only what these
    tests made is compared."""
    asked.append(path)
    shown = []
    answers = [side.send(method, path, body, by, headers, raw) for side in sides]
    for side, (answer, parsed) in zip(sides, answers):
        side.keep(keep or {}, answer, parsed)
    for side, (answer, parsed) in zip(sides, answers):
        plain = side.plain(parsed)
        if mine and isinstance(plain, dict) and isinstance(plain.get(mine), list):
            plain[mine] = [item for item in plain[mine] if "<tw" in json.dumps(item)]
        shown.append({
            "status": answer.status_code,
            "body": plain,
            "vary": answer.headers.get("Vary"),
            "type": (answer.headers.get("Content-Type") or "").split(";")[0] if answer.content else None,
            "www": "WWW-Authenticate" in answer.headers,
            "subject": "X-Subject-Token" in answer.headers,
        })
    compare(f"{method} {path} by {by}" + (f" {json.dumps(body)}" if body else f" {raw}" if raw else ""), *shown)


def delete(path, **more):
    ask("DELETE", path, **more)


def get(path, **more):
    ask("GET", path, **more)


def head(path, **more):
    ask("HEAD", path, **more)


def patch(path, body=None, **more):
    ask("PATCH", path, body, **more)


def post(path, body=None, **more):
    ask("POST", path, body, **more)


def put(path, body=None, **more):
    ask("PUT", path, body, **more)


def keep(**ids):
    for side in sides:
        side.ids.update(ids)


def pw(user, password, scope=None, user_domain="default"):
    who = {"name": user, "domain": {"id": user_domain}, "password": password}
    auth = {"identity": {"methods": ["password"], "password": {"user": who}}}
    if scope is not None:
        auth["scope"] = scope
    return {"auth": auth}


def by_token(token, scope=None):
    """A login with the token of this name."""
    for side in sides:
        side.ids["tok"] = side.tokens[token]
    return {"auth": {"identity": {"methods": ["token"], "token": {"id": "{tok}"}}, **({"scope": scope} if scope else {})}}


def project(name="{twp1}"):
    return {"project": {"id": name}}


def login(body, keep=None, q="", **more):
    post("/v3/auth/tokens" + q, body, by=None, keep={keep: "token"} if keep else None, **more)


def compare(what, ours, theirs):
    if ours["status"] != theirs["status"]:
        found = [("status", f"{ours['status']} {said(ours)}", f"{theirs['status']} {said(theirs)}")]
    else:
        one, other = ours["body"], theirs["body"]
        found = []
        if is_fault(one) and is_fault(other):
            if said(ours) != said(theirs):
                found.append(("words", said(ours), said(theirs)))
            one, other = [{**fault["error"], "message": ""} for fault in (one, other)]
        found += [(f"body {at}", a, b) for at, a, b in differing(one, other)]
        found += [(f"header {h}", ours[h], theirs[h]) for h in ("vary", "type", "www", "subject") if ours[h] != theirs[h]]
    differences.extend((kind, what, str(a), str(b)) for kind, a, b in found)


def is_fault(body):
    return isinstance(body, dict) and isinstance(body.get("error"), dict)


def said(answer):
    body = answer["body"]
    return body["error"].get("message") if is_fault(body) else body


def differing(a, b, at=""):
    """Where two JSON values differ. The order of lists is nobody's promise."""
    if isinstance(a, dict) and isinstance(b, dict):
        for k in sorted(set(a) | set(b)):
            yield from differing(a.get(k, "(absent)"), b.get(k, "(absent)"), f"{at}.{k}")
    elif isinstance(a, list) and isinstance(b, list):
        texts = [sorted(json.dumps(v, sort_keys=True) for v in values) for values in (a, b)]
        only = [[t for t in texts[i] if t not in texts[1 - i]] for i in (0, 1)]
        if len(only[0]) == len(only[1]) == 1:
            yield from differing(json.loads(only[0][0]), json.loads(only[1][0]), f"{at}[]")
        elif only[0] or only[1]:
            yield at, f"only {', '.join(only[0])}", f"only {', '.join(only[1])}"
    elif a != b:
        yield at, a, b
