"""Every metric of Punktual, declared here and nowhere else.

prometheus_client decides when it is imported whether its values are shared by several processes: where they are to be,
ops/metrics_folder.py prepares the environment before the process begins.
"""

from prometheus_client import Counter, Gauge

HINTS_PUBLISHED = Counter("punktual_hints_published_total", "Hints that the broker has confirmed.")
HINT_FAILURES = Counter("punktual_hint_failures_total", "Hints that could not be published.")
TICK_STEP_FAILURES = Counter("punktual_tick_step_failures_total", "Steps of the tick that failed.", ["step"])
TICK_COMPLETED = Gauge(
    "punktual_tick_completed_timestamp_seconds",
    "When a tick last came to its end with every step done.",
    multiprocess_mode="max",
)
