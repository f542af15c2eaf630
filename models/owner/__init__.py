"""What owners do: to campaigns, leads, mailboxes and suppressions, each with who did it."""
