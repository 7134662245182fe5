#!/bin/sh
# ben wants the same file. Called again with "resume" by the watch runner when it is free.
. "$(dirname "$0")/agents.sh"
file=rally/model/durations.py
if [ "${1:-}" != resume ]; then
    quiet rally enter --role builder --path rally/model
    if may_write "$file"; then
        say "nobody in the way?"
        exit 1
    fi
    say "stopped: $file is claimed; going on standby until it is free"
    quiet rally say standby --run demo --step docstring --path "$file" --until "free:$file" \
        --reason "waiting for $file"
    exit 0
fi
say "woken by watch: $file is free"
quiet rally say wake --ref-standby "$RALLY_STANDBY_ID"
quiet rally say claim --path "$file" --run demo --step docstring --parent-step weeks --subject "say weeks in the docs"
may_write "$file" || exit 1
sed -i.bak 's/`90s`, `30m`, `2h`, `1d`, with/`90s`, `30m`, `2h`, `1d`, `2w`, with/' "$file" && rm "$file.bak"
land docstring "$file" python3 -m compileall -f "$file"
quiet rally leave
