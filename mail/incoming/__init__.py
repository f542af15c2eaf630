"""What a message in an inbox is: a bounce, a complaint, an automatic reply, an unsubscribe request, a person's reply."""
