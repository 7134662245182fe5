# What the demo's stub agents share. Real agents read the same lines from their instructions.
# Each is a process of its own with RALLY_TOOL set; nothing here knows of the others.
set -u

say() { printf '%-8s %s\n' "$RALLY_TOOL" "$*"; }
quiet() { "$@" >/dev/null 2>&1; }

# may_write PATH…: ask before writing; a strict check answers 4 when somebody else holds the path.
may_write() {
    set -- $(printf -- '--path %s ' "$@")
    quiet rally check before-write --strict "$@"
}

# land STEP FILE VALIDATION…: run the validation for real, and post what it said as evidence.
land() {
    step=$1 file=$2
    shift 2
    if ! evidence=$("$@" 2>&1 | tail -n 1); then
        quiet rally say blocker --run demo --step "$step" --subject "validation failed: $evidence"
        say "validation failed, posted a blocker"
        exit 1
    fi
    quiet rally say artifact --run demo --step "$step" --path "$file" --uri "$file" \
        --subject "$step is done" --evidence "$*: $evidence" --release
    say "landed $step ($evidence)"
}
