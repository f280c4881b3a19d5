"""A trace by the current Langfuse SDK, which sends OpenTelemetry's protobuf.

BASE_URL: Tollgate. LANGFUSE_OTEL_COMPRESSION, which the SDK reads: `gzip` or `none`.

The SDK sends from a thread and only logs what came of it, so the log is what is checked.
"""

import logging

from checks import check, keep_log, setting
from langfuse import Langfuse
from langfuse._version import __version__

kept = keep_log()
# The connection's log is the one place that tells the status of a success.
logging.getLogger("urllib3.connectionpool").setLevel(logging.DEBUG)

print(f"langfuse {__version__}")
client = Langfuse(base_url=setting("BASE_URL"), public_key="anything", secret_key="anything", timeout=30)
with client.start_as_current_observation(name="tollgate-test-trace", input={"question": "¿qué?"}) as outer:
    with outer.start_as_current_observation(name="tollgate-test-generation", as_type="generation") as inner:
        inner.update(model="sample-model", output="answer")
client.flush()

lines = [record.getMessage() for record in kept]
print("\n".join(lines))
calls = [line for line in lines if '"POST ' in line]
check(calls, "the SDK called")
check(all('"POST /api/public/otel/v1/traces ' in call for call in calls), "it called /api/public/otel/v1/traces only")
check(all('" 200 ' in call for call in calls), "every answer was 200")
complaints = [record.getMessage() for record in kept if record.levelno >= logging.WARNING]
check(not complaints, f"the SDK complained of nothing {complaints}")
