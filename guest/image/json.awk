# Flattens a JSON document: one "path=value" a line, the path's parts joined by "/". Control characters and backslashes
# in strings stay escaped as JSON writes them, so that a value is always one line. Ends with status 1 on bad JSON.

{ text = text $0 "\n" }

END {
    length_of_text = length(text)
    at = 1
    value("")
    blank()
    if (at <= length_of_text) bad()
}

function bad() {
    print "json.awk: bad JSON at byte " at > "/dev/stderr"
    exit 1
}

function blank() { while (substr(text, at, 1) ~ /[ \t\r\n]/ && at <= length_of_text) at++ }

function expect(c) {
    blank()
    if (substr(text, at, 1) != c) bad()
    at++
}

function value(path,    c, start, n) {
    blank()
    c = substr(text, at, 1)
    if (c == "{") object(path)
    else if (c == "[") array(path)
    else if (c == "\"") print path "=" string()
    else {
        if (!match(substr(text, at, 400), /^[-+.0-9a-zA-Z]+/)) bad()
        print path "=" substr(text, at, RLENGTH)
        at += RLENGTH
    }
}

function under(path, name) { return path == "" ? name : path "/" name }

function object(path,    name) {
    at++
    blank()
    if (substr(text, at, 1) == "}") { at++; return }
    while (1) {
        blank()
        if (substr(text, at, 1) != "\"") bad()
        name = string()
        expect(":")
        value(under(path, name))
        blank()
        if (substr(text, at, 1) == "}") { at++; return }
        expect(",")
    }
}

function array(path,    n) {
    at++
    blank()
    if (substr(text, at, 1) == "]") { at++; return }
    for (n = 0; ; n++) {
        value(under(path, n))
        blank()
        if (substr(text, at, 1) == "]") { at++; return }
        expect(",")
    }
}

function string(    out, c, code) {
    at++
    out = ""
    while (at <= length_of_text) {
        if (match(substr(text, at, 4096), /^[^"\\]+/)) {
            out = out substr(text, at, RLENGTH)
            at += RLENGTH
            continue
        }
        c = substr(text, at, 1)
        at++
        if (c == "\"") return out
        c = substr(text, at, 1)
        at++
        if (c == "u") {
            code = hex()
            if (code >= 55296 && code < 56320 && substr(text, at, 2) == "\\u") {
                at += 2
                code = 65536 + (code - 55296) * 1024 + hex() - 56320
            }
            out = out utf8(code)
        }
        else if (c == "\"" || c == "/") out = out c
        else out = out "\\" c
    }
    bad()
}

function hex(    n, i, digit) {
    n = 0
    for (i = 0; i < 4; i++) {
        digit = index("0123456789abcdef", tolower(substr(text, at + i, 1)))
        if (digit == 0) bad()
        n = n * 16 + digit - 1
    }
    at += 4
    return n
}

# Bytes, not characters: this awk knows no locale.
function utf8(code) {
    if (code < 32 || code == 127) return sprintf("\\u%04x", code)
    if (code == 92) return "\\\\"
    if (code < 128) return sprintf("%c", code)
    if (code < 2048) return bytes(192 + int(code / 64), tail(code, 1))
    if (code < 65536) return bytes(224 + int(code / 4096), tail(code, 64) tail(code, 1))
    return bytes(240 + int(code / 262144), tail(code, 4096) tail(code, 64) tail(code, 1))
}
function tail(code, unit) { return sprintf("%c", 128 + int(code / unit) % 64) }
function bytes(first, rest) { return sprintf("%c", first) rest }
