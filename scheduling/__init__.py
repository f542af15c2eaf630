"""When e-mails are sent: pure functions, and periodiq's timetable."""
