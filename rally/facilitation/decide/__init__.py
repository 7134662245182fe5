"""Pure decisions: (state, request, now) to the facts to append, or a refusal."""
