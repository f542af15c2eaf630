"""What operators need: logging, services for a machine without docker, process supervision, the mail catcher."""
