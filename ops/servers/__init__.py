"""The servers beside Punktual on one machine: RabbitMQ, a private one or another's, and the mail catcher."""
