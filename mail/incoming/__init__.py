"""What a message in an inbox is: a bounce, complaint, automatic reply, unsubscribe request or person's reply."""
