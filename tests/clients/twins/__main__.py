"""The same requests to this cloud's identity and to the real Keystone: what do they answer differently?

python -m twins OURS OUR_PASSWORD THEIRS THEIR_PASSWORD [PART…]    URLs without /v3, passwords of `admin`

Fails if they differ in anything that `known` does not give a reason for. Login limits must be off.
"""
import sys

from . import application_credentials, catalog, credentials, domains, groups, known, limits, projects, roles, tokens, trusts
from . import two, users, world

PARTS = {
    "tokens": tokens.tokens,
    "versions": tokens.versions,
    "users": users.users,
    "groups": groups.groups,
    "domains": domains.domains,
    "domain_config": domains.domain_config,
    "projects": projects.projects,
    "roles": roles.roles,
    "grants": roles.grants,
    "assignments": roles.assignments,
    "catalog": catalog.catalog,
    "application_credentials": application_credentials.app_creds,
    "credentials": credentials.credentials,
    "misc": credentials.misc,
    "trusts": trusts.trusts,
    "limits": limits.limits,
}

ours, our_password, theirs, their_password, *chosen = sys.argv[1:]
two.sides += [two.Side(ours, our_password), two.Side(theirs, their_password)]
world.begin()
for part in chosen or PARTS:
    world.world()
    PARTS[part]()
    world.cleanup()
unexplained = 0
for kind, what, one, other in two.differences:
    if not known.reason(kind, what, one, other):
        unexplained += 1
        print(f"{kind}: {what}\n    ours:     {one[:500]}\n    Keystone: {other[:500]}")
print(f"{len(two.asked)} requests, {len(two.differences)} differences, {unexplained} of them unexplained")
sys.exit(unexplained != 0)
