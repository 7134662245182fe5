"""The answers for people: data in, text out, nothing else read.

Agents wrote much of what is in the data. Every function here passes every piece of it through
`model.visible` (contract O5).
"""
