"""The queues and what waits in them: names an operator meets in RabbitMQ's own pages.

Each has two companions of Dramatiq's: NAME.DQ holds delayed messages until their time, NAME.XQ rejected ones.
"""

DELIVER = "deliver"  # one message an e-mail that is due soon
EVIDENCE = "evidence"  # one message a mailbox whose Sent folder is to be looked into
TICK = "tick"  # one message a minute, on its own queue so that it never waits behind mail
UPKEEP = "upkeep"  # what takes its time and holds nobody up: the examination of all rows, and telling people
