"""`rally loop`: one task, carried out by any agent, and landed only when the evidence says so.

choosing    which task, and with what program
holding     the task in the ledger: taken, kept, landed, given back
prompt      the plan, and what the agent reads
programs    the agent, the validation and the judge, as processes
snapshot    what changed, according to git
rules       what git goes by, as it was before the agent came
report      what the agent says it did
judging     five checks of one against the other
work        the order of it all
"""
