"""Every identity command of openstackclient, each for its effect.

identity_day.py, with OS_CLIENT_CONFIG_FILE and OS_CLOUD set to an administrator. Commands are run inside of this process:
most of a command's time is Python's start.
"""
import contextlib
import importlib.metadata
import io
import json
import shlex

from openstackclient import shell

# what docs/identity.md says is not there; the client's commands for consumers need a library that nothing else does
LEFT_OUT = (
    "access token", "consumer", "federation", "identity provider", "mapping", "request token", "service provider")

used = set()
known = {
    command.name.replace("_", " ")
    for command in importlib.metadata.entry_points(group="openstack.identity.v3")
    if not command.name.replace("_", " ").startswith(LEFT_OUT)
}


def osc(line, fails=False):
    words = shlex.split(line)
    used.add(max((c for c in known if line.startswith(c + " ") or line == c), key=len, default=None))
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = shell.OpenStackShell().run(words)
    assert bool(code) == fails, f"openstack {line}: {code}\n{out.getvalue()}\n{err.getvalue()}"
    return out.getvalue()


def js(line):
    answer = json.loads(osc(line + " -f json"))
    # some commands head their columns as lists do
    return {k.lower().replace(" ", "_"): v for k, v in answer.items()} if isinstance(answer, dict) else answer


def names(line):
    return [row["Name"] for row in js(line)]


def step(name):
    print(f"identity commands: {name}", flush=True)


step("domains, projects, users, groups")
domain = js("domain create --description d day")["id"]
osc("domain set --description e day")
assert js("domain show day")["description"] == "e"
assert "day" in names("domain list")
project = js("project create --domain day --description d --tag red --property size=5 web")["id"]
osc("project set --tag blue --description e web --domain day")
shown = js(f"project show {project}")
assert (shown["description"], sorted(shown["tags"]), shown["size"]) == ("e", ["blue", "red"], "5"), shown
child = js(f"project create --domain day --parent {project} child")["id"]
assert js(f"project show --parents --children {project}")["subtree"] == {child: None}
assert names("project list --domain day --tags red") == ["web"]
user = js(f"user create --domain day --project {project} --password secret-1 --email a@b --description d ann")["id"]
osc(f"user set --description e --ignore-password-expiry {user}")
assert js(f"user show {user}")["options"] == {"ignore_password_expiry": True}
assert names("user list --domain day") == ["ann"]
group = js("group create --domain day --description d staff")["id"]
osc(f"group set --description e {group}")
assert js(f"group show {group}")["description"] == "e"
osc(f"group add user {group} {user}")
assert "in group" in osc(f"group contains user {group} {user}")
assert names(f"group list --user {user}") == ["staff"]
assert names(f"user list --group {group}") == ["ann"]

step("roles, inherited and implied ones, of domains and of the system")
role = js("role create --description d clerk")["id"]
osc("role set --description e clerk")
assert js("role show clerk")["description"] == "e"
own = js("role create --domain day local")["id"]
assert names("role list --domain day") == ["local"]
osc("implied role create --implied-role reader clerk")
assert role in [row["Prior Role ID"] for row in js("implied role list")]
osc(f"role add --project {project} --user {user} clerk")
osc(f"role add --project {project} --group {group} member")
osc(f"role add --domain {domain} --user {user} --inherited reader")
osc(f"role add --system all --user {user} reader")
held = js(f"role assignment list --user {user} --names")
assert sorted((a["Role"], a["Inherited"], a["System"]) for a in held) == [
    ("clerk", False, ""), ("reader", False, "all"), ("reader", True, "")], held
effective = js(f"role assignment list --user {user} --project {child} --effective --names")
assert [a["Role"] for a in effective] == ["reader"], effective
osc(f"role remove --system all --user {user} reader")
osc(f"role remove --domain {domain} --user {user} --inherited reader")
osc(f"role remove --project {project} --group {group} member")
osc("implied role delete --implied-role reader clerk")
assert role not in [row["Prior Role ID"] for row in js("implied role list")]

step("the catalog, and what of it a project sees")
osc("region create --description d north")
osc("region create --parent-region north north-1")
osc("region set --description e north")
assert js("region show north")["description"] == "e"
assert [r["Region"] for r in js("region list --parent-region north")] == ["north-1"]
service = js("service create --name shelf --description d storage-of-books")["id"]
osc(f"service set --description e {service}")
assert js(f"service show {service}")["description"] == "e"
assert service in [s["ID"] for s in js("service list")]
endpoint = js(f"endpoint create --region north {service} public http://books/%(project_id)s")["id"]
osc(f"endpoint set --url http://shelf/%(project_id)s {endpoint}")
assert js(f"endpoint show {endpoint}")["url"] == "http://shelf/%(project_id)s"
assert [e["ID"] for e in js(f"endpoint list --service {service}")] == [endpoint]
assert "http://shelf/" in osc("catalog show storage-of-books")
assert "shelf" in names("catalog list")
as_ann = "--os-username ann --os-user-domain-name day --os-project-name web --os-project-domain-name day --os-password secret-1"
osc(f"endpoint add project {endpoint} {project}")
assert names(f"catalog list {as_ann}") == ["shelf"]
osc(f"endpoint remove project {endpoint} {project}")
with open("filters.json", "w", encoding="utf-8") as file:
    json.dump({"region_id": "north"}, file)
bundle = js("endpoint group create --description d books filters.json")["id"]
osc(f"endpoint group set --name books --description e --filters filters.json {bundle}")
assert js(f"endpoint group show {bundle}")["description"] == "e"
assert names("endpoint group list") == ["books"]
osc(f"endpoint group add project {bundle} {project}")
assert names(f"catalog list {as_ann}") == ["shelf"]
osc(f"endpoint group remove project {bundle} {project}")
assert "keystone" in names(f"catalog list {as_ann}")

step("limits")
registered = js(f"registered limit create --service {service} --region north --default-limit 5 books")["id"]
osc(f"registered limit set --default-limit 6 {registered}")
assert js(f"registered limit show {registered}")["default_limit"] == 6
assert registered in [row["ID"] for row in js("registered limit list")]
limit = js(f"limit create --project {project} --service {service} --region north --resource-limit 7 books")["id"]
osc(f"limit set --resource-limit 8 {limit}")
assert js(f"limit show {limit}")["resource_limit"] == 8
assert limit in [row["ID"] for row in js("limit list")]

step("credentials, application credentials, trusts, tokens")
credential = js(f"credential create --type cert {user} blob-1")["id"]
osc(f"credential set --user {user} --type cert --data blob-2 {credential}", fails=True)
assert js(f"credential show {credential}")["blob"] == "blob-1"
assert credential in [row["ID"] for row in js("credential list")]
key = js("ec2 credentials create")["access"]
assert js(f"ec2 credentials show {key}")["access"] == key
assert key in [row["Access"] for row in js("ec2 credentials list")]
rules = json.dumps([{"service": "compute", "method": "GET", "path": "/v2.1/servers"}])
app = js(f"application credential create --secret s --role reader --access-rules '{rules}' ci")["id"]
assert "reader" in str(js(f"application credential show {app}")["roles"])
assert names("application credential list") == ["ci"]
rule = js("access rule list")[0]["ID"]
assert js(f"access rule show {rule}")["path"] == "/v2.1/servers"
trust = js(f"trust create --project admin --role member admin {user}")["id"]
assert js(f"trust show {trust}")["trustee_user_id"] == user
assert trust in [row["ID"] for row in js("trust list")]
token = js("token issue")["id"]
osc(f"token revoke {token}")

step("policies, which are only kept")
with open("policy.json", "w", encoding="utf-8") as file:
    file.write("{}")
policy = js("policy create --type text/plain policy.json")["id"]
osc(f"policy set --type application/json {policy}")
assert js(f"policy show {policy}")["type"] == "application/json"
assert policy in [row["ID"] for row in js("policy list")]

step("one's own password")
js(f"user create --password secret-1 --project admin --project-domain default bob")
osc("role add --project admin --user bob member")
as_bob = "--os-username bob --os-project-name admin --os-password"
osc(f"user password set --original-password secret-1 --password secret-2 {as_bob} secret-1")
osc(f"token issue {as_bob} secret-1", fails=True)
osc(f"token issue {as_bob} secret-2")

step("and everything goes again")
for line in (
    f"policy delete {policy}", f"trust delete {trust}",
    f"application credential delete {app}", f"access rule delete {rule}", f"ec2 credentials delete {key}",
    f"credential delete {credential}", f"limit delete {limit}", f"registered limit delete {registered}",
    f"endpoint group delete {bundle}", f"endpoint delete {endpoint}", f"service delete {service}",
    "region delete north-1", "region delete north", f"group remove user {group} {user}", f"group delete {group}",
    f"role remove --project {project} --user {user} clerk", "role delete clerk", f"role delete {own}",
    f"user delete {user}", "user delete bob", f"project delete {child}", f"project delete {project}",
    "domain set --disable day", "domain delete day",
):
    osc(line)
assert "day" not in names("domain list")
assert used >= known, f"never tried: {sorted(known - used)}"
