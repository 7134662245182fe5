#!/bin/sh
# ada changes the durations module; she is the one in the way.
. "$(dirname "$0")/agents.sh"
quiet rally enter --role builder --path rally/model
quiet rally say claim --path rally/model/durations.py --run demo --step weeks --subject "weeks in durations"
say "claimed rally/model/durations.py"
may_write rally/model/durations.py || exit 1
sed -i.bak 's/"d": 86_400_000}/"d": 86_400_000, "w": 604_800_000}/' rally/model/durations.py && rm rally/model/durations.py.bak
read -r _ <"$DEMO_GATE" # keeps the file until the collision has been seen
land weeks rally/model/durations.py \
    python3 -c 'from rally.model.durations import parse_duration_ms as p; print("2w is", p("2w"), "ms")'
quiet rally leave
