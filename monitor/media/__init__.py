"""Text out of pictures and documents: bytes go in, text comes out, everything is bounded.

The libraries are heavy and come with `pantau[media]`; each is imported when the first file of its kind is read. `read`
works in this process; a `Worker` does the same in one of its own, which may be ended.
"""

from monitor.media.kinds import read
from monitor.media.limits import MOST_BYTES, Reading, Unreadable
from monitor.media.worker import Stopped, Worker, WorkerDown, shared

__all__ = ["MOST_BYTES", "Reading", "Stopped", "Unreadable", "Worker", "WorkerDown", "read", "shared"]
