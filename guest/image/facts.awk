# From the flat lines of meta_data.json to the guest's facts.

function say(words) { print "skyiron-guest: " words }

{
    split_at = index($0, "=")
    path = substr($0, 1, split_at - 1)
    text = substr($0, split_at + 1)
}
path == "random_seed" { say("random-seed-length=" length(text)); next }
path ~ /^public_keys\// { sub(/(\\n)+$/, "", text); say("key=" substr(path, 13) " " text); next }
path == "admin_pass" { next }
path ~ /^meta\// { say("meta." substr(path, 6) "=" text); next }
path !~ /\// { gsub(/_/, "-", path); say(path "=" text) }
