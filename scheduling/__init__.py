"""When: the rules of time, all pure, and the timetable that asks for them every minute."""
