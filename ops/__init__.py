"""What operators need: logging, metrics, services without docker, process supervision, the mail catcher."""
