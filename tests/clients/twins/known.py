"""Differences there may be, and why. Each as narrow as it can be: a pattern for what the kind of difference, the request and
the two answers begin with."""
import re

SAFE = "who may not know does not learn it"
BROKEN = "Keystone breaks"
WORDS = "other words for the same"
SERVER = "an answer of the web server that Keystone runs in"
OLDER = "schemas that Keystone has not moved to its newer words"

KNOWN = [
    ("status", "", "403", "404", SAFE),
    ("status", "POST /v3/auth/tokens .*application_credential", "401", "404", SAFE),
    ("status", "", "401", "404 (Unable to validate token|Could not find)", SAFE),
    ("words", "", "Failed to validate token", "", SAFE),
    ("status", "GET /v3/users/{twbob}/application_credentials/{twa2}", "404", "(200|403)", "found under its own user only"),
    ("status", "POST /v3/credentials by None", "401", "400", "no token is said before what is wrong with the body"),
    ("status", "GET /v3/role_assignments.* by domainmanager", "403", r"200 \{'role_assignments': \[\]", SAFE),
    # what was switched off stays off
    ("status", "GET /v3/domains by domainmanager", "401", "200", "tokens of a disabled domain do not come back"),
    ("status", "GET /v3/auth/tokens by admin", "404", "200", "tokens of a disabled project do not come back"),
    # what Keystone makes void that is not
    ("status", "by domainmanager", "(200|204|403|404)", "401", "who leaves a group keeps what the group did not give"),
    ("status", "(by tt2|tokens by admin)", "", "404 Could not find trust", "the last use of a trust makes a token that is good"),
    ("status", "POST /v3/auth/tokens", "403 Using trust|403 You", "401", "the same token, exchanged"),
    ("status", "POST /v3/auth/tokens .*OS-TRUST", "403 No remaining uses", "401", "what is wrong is said to the trustee"),
    # trusts without a project, and what hangs on them
    ("status", "POST /v3/auth/tokens .*(OS-TRUST|twbob)", "201", "404 Could not find project: None", "a trust without a project is of use"),
    ("status", "(by tt3|POST /v3/auth/tokens|GET /v3/auth/tokens by admin)", "", "(401|404 No token in the request)", "a token that Keystone does not make"),
    ("words", "GET /v3/auth/tokens by admin", "Failed", "No token in the request", "a token that Keystone does not make"),
    # whose roles a trust hands on
    ("status", "by (tt5|ttr8|reader)|OS-TRUST", "(201|200|403)", "(401|404)", "roles of a trust handed on are those of its first trustor"),
    ("status", "credentials/OS-EC2 ?.*by tt1", "201", "403", "an EC2 key of a trust is bound to it"),
    ("body .token.roles", "OS-TRUST", "", "", "roles of a trust's token are shown as those of any token"),
    ("body .token.roles", "GET /v3/auth/tokens", "", "", "roles of a trust's token are shown as those of any token"),
    # lists
    ("body .users", "", "only .*twx0", "", "made where Keystone breaks"),
    ("body .users", "idp_id|protocol_id|unique_id|name=twalice&name=twbob", "", "only $", "federation; the last of a repeated parameter counts"),
    ("body .role_assignments", "user.id={twbob}&user.id={twalice}", "", "", "the last of a repeated parameter counts"),
    ("body .role_assignments", "(effective|inherited_to)", "", "", "Keystone leaves roles on the system out, or takes them for inherited"),
    ("body .system", "/v3/auth/system by reader", "", "", "Keystone leaves out what a group gives"),
    ("body .(links.next|truncated)", "limit=", "", "", "Keystone says that there is more when there is just as much"),
    ("body .projects", "marker=", "", "", "ids differ, and with them the order"),
    ("status", "GET /v3/users.limit=-1", "400", "200", "no number of things"),
    ("body .endpoints", "OS-EP-FILTER/.*/endpoints", "", "", "this cloud has more endpoints of its own"),
    ("body .links.self", "role_assignments.user.id= ", "", "", "a parameter without a value"),
    # attributes
    (r"body .\w+.extra", "PATCH", r"\(absent\)", "", "made-up attributes are shown once"),
    (r"body .\w+(\[\])?.description", "", "(|None|.absent.)$", "None", "no description is an empty one"),
    ("body .(projects|groups|domains)", "", "only .*\"description\": \"\"", "only .*\"description\": null", "no description is an empty one"),
    ("body .*unrestricted", "application_credentials", "False", "None", "a flag is a flag"),
    ("body .application_credential.system", "", "None", "all", "application credentials are for projects"),
    ("body .(application_credentials|access_rules)$", "", "", "only .*<url>/v3/(application_credentials|access_rules)/", "links lead somewhere"),
    ("body .*links", "", "", r"(<url>/v3/(application_credentials|access_rules|<tw\w+>/roles)|<url>/v3$|/OS-EP-FILTER|\(absent\))", "links lead somewhere"),
    ("body .identity", "POST /v3/auth/tokens", "", "", "which methods there are is in the documents"),
    ("header www", "POST /v3/auth/tokens", "False", "True", "it is here that one logs in"),
    ("header vary", "GET /(v3)? by None", "Accept", "", "it does"),
    ("body .events", "OS-REVOKE", "", "", "tokens are void by their own id"),
    # what Keystone lets pass
    ("status", "PATCH /v3/domains/{twd4}.*\"id\": \"x\"", "400", "200", "ids do not change"),
    ("status", "PATCH /v3/endpoints", "400 Cannot create an endpoint with an invalid URL", "200", "nor do URLs become invalid by a change"),
    ("body .endpoint.url", "PATCH /v3/endpoints/{twe1}", "", "", "nor do URLs become invalid by a change"),
    ("body .*catalog", "", "only .*twe1", "only $", "nor do URLs become invalid by a change"),
    ("status", "POST /v3/(roles|credentials)", "404", "201", "what it is of must be there"),
    ("status", "(services/{twls}|regions/twlreg)", "(403|204)", "(204|404)", "limits must be of something"),
    ("status", "tags/a by admin", "201", "400", "a tag that is there may be put there"),
    ("status", "PATCH /v3/registered_limits.*\"region_id\": null", "200", "409", "a limit is no duplicate of itself"),
    ("status", "POST /v3/auth/tokens", "400 Expecting to find (password|secret)", "401", "what is missing is said"),
    ("status", "OS-EC2 by member", "400", "404 Could not find project: None", WORDS),
    ("status", "POST /v3/(ec2|s3)tokens by admin", "401", "400", WORDS),
    # Keystone, not its API
    ("", "", "", "500", BROKEN),
    ("status", "DELETE", "204", "404 Could not find user: <twx0>", BROKEN),
    ("status", "", "", "(404|405) no JSON", SERVER),
    ("(body|header type)", "", "", r"(no JSON|text/html)", SERVER),
    (r"body .(error|message)", "", "", "", SERVER),
    ("status", "(POST / |OPTIONS|GET /healthcheck)", "", "", SERVER),
    ("status", "OS-FEDERATION", "404", "200", "left out"),
    ("body .resources", "", r"\(absent\)", ".*(OS-FEDERATION|OS-OAUTH[12]|OS-ENDPOINT-POLICY|{user_id}/tokens)", "left out"),
    # words
    ("words", "", "Invalid input for field/attribute", "(Invalid input for field '|'|{)", OLDER),
    ("words", "", ".*does not match", ".*should be non-empty", WORDS),
    ("words", "", "", "(String length exceeded|.*is too long)", WORDS),
    ("words", "/v3/endpoints .*xxx", "", "", WORDS),
    ("words", "", ".*(is a required property|under any of the given schemas)", ".*(were|was) unexpected|.*is a required property", WORDS),
    ("words", "tags", "", "", WORDS),
    ("words", "", "Conflict occurred", "Conflict occurred", WORDS),
    ("words", "", "Invalid domain specific configuration", "Invalid domain specific configuration", WORDS),
    ("words", "GET /v3/role_assignments", "", "", WORDS),
    ("words", "", "(User is not a trustee|Trustee has no|Requested redelegation|Cannot manage application|A project-scoped token)", "You are not authorized", WORDS),
    ("words", "by ac", "You are not authorized", "You are not authorized", WORDS),
    ("words", "/v3/regions", "", "", WORDS),
    ("words", "(domains/{nope}/config|OS-EC2/nope|OS-OAUTH1|OS-REVOKE|policies|password_expires_at)", "", "", WORDS),
    ("words", "POST /v3/auth/tokens by None null|POST /v3/users by admin .x|by admin \\[\\]", "", "", WORDS),
]


def reason(kind, what, ours, theirs):
    for kinds, requests, one, other, why in KNOWN:
        if re.match(kinds, kind) and re.search(requests, what) and re.match(one, ours) and re.match(other, theirs):
            return why
    return None
