"""What people would build instead: Celery, BullMQ and a bare loop, sending the same letter to the same receiver.

Two kinds of Celery and BullMQ. "short": three commits a mail (claim, hand-over before the dot, record), and no gates.
"gated": Punktual's tables, locks, gates, tokens, guarded updates and history, as an engineer who has them in mind would
write them: gated.sql is prepared once a connection, and judges all gates in one statement. Neither keeps a journal or
hand-over log on disk, closes mailboxes, or plans again.
"""
