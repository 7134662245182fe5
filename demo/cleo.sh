#!/bin/sh
# cleo writes a page of documentation.
. "$(dirname "$0")/agents.sh"
quiet rally enter --role writer --path docs
quiet rally say claim --path docs/faq.md --run demo --step faq --subject "a first FAQ"
say "claimed docs/faq.md"
may_write docs/faq.md || exit 1
printf '# Questions\n\n**Who may write?** Whoever holds the claim.\n' >docs/faq.md
land faq docs/faq.md grep -c '^\*\*' docs/faq.md
quiet rally leave
