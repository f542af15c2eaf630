"""Which suppression keeps an address from being written to, in SQL: its own, or that of its domain or of one above it.

An entry is an address, or "@" with a domain; suppression_keys(address) lists those that concern an address.
"""

# {address}: an expression. Its entry, the most specific first; no row if it is not suppressed.
ENTRY = """
(SELECT entry.* FROM suppression entry WHERE entry.address = ANY(suppression_keys({address}))
 ORDER BY length(entry.address) DESC LIMIT 1)
"""
IS_SUPPRESSED = "EXISTS (SELECT FROM suppression entry WHERE entry.address = ANY(suppression_keys({address})))"
DOMAIN = "@"
# Of an entry.
IS_DOMAIN = "address LIKE '@%%'"
