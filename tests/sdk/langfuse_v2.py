"""A trace by the Langfuse SDK 2.x, which carries no usable keys: the pass-through tutorial.

BASE_URL: Tollgate. The SDK sends from a thread and only logs what came of it, so the log is what is checked.
"""

import logging

from checks import check, keep_log, setting
from langfuse import Langfuse
from langfuse.version import __version__

kept = keep_log()

print(f"langfuse {__version__}")
client = Langfuse(host=setting("BASE_URL"), public_key="anything", secret_key="anything")
# The SDK mutes this log, the one place that tells the status of a success.
logging.getLogger("httpx").setLevel(logging.INFO)
trace = client.trace(name="tollgate-test-trace", input={"question": "¿qué?"})
trace.span(name="tollgate-test-span").end(output=["a", "b"])
client.flush()

lines = [record.getMessage() for record in kept]
print("\n".join(lines))
calls = [line for line in lines if line.startswith("HTTP Request:")]
check(calls, "the SDK called")
check(all("POST" in call and "/api/public/ingestion" in call for call in calls), "it called /api/public/ingestion only")
check(all("207 Multi-Status" in call for call in calls), "every answer was 207 Multi-Status")
complaints = [record.getMessage() for record in kept if record.levelno >= logging.WARNING]
check(not complaints, f"the SDK complained of nothing {complaints}")
