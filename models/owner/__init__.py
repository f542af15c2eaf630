"""What owners do to campaigns and mailboxes, each order with who gave it; and what people are told of."""
