"""A second implementation of docs/events.md, "How a consumer keeps a copy" and "Digests", written from that text alone.

Reads events from standard input, one JSON object a line: the attributes, and data. Writes one JSON object: for each source and
stream what the copy holds in the end ("objects": uid to resourceVersion), every full snapshot that arrived whole ("completed", with
"digests" match, differ or unknown), those whose end came without all of its items ("incomplete"), and the digests of what is held.

It favours being plainly right over being fast: every id is remembered, every count and every digest is made anew.
"""

import hashlib
import json
import sys

OBJECT = ("io.deltawire.object.added.v1", "io.deltawire.object.updated.v1", "io.deltawire.snapshot.item.v1")
ITEM = "io.deltawire.snapshot.item.v1"
DELETED = "io.deltawire.object.deleted.v1"
BEGIN = "io.deltawire.snapshot.begin.v1"
END = "io.deltawire.snapshot.end.v1"
ABORTED = "io.deltawire.snapshot.aborted.v1"
GAP = "io.deltawire.stream.gap.v1"


def digest(texts):
    total = sum(int.from_bytes(hashlib.sha256(text.encode()).digest(), "big") for text in texts)
    return format(total % 2**256, "064x")


class Copy:
    """Of one stream of a cluster."""

    def __init__(self):
        self.source = None  # of the last event
        self.objects = {}  # uid: the event that put it
        self.ids = set()
        self.last = {}  # uid: (sequence, epoch) last applied
        self.final = set()
        self.shown = set()  # (uid, sequence, snapshot) of every item
        self.begun = None
        self.ended = None
        self.newest = ""
        self.completed = []
        self.incomplete = []

    def apply(self, event):
        self.source = event["source"]
        # rule 1; the gap of a restored server is not remembered: read once more, it starts everything anew once more
        if event["id"] in self.ids:
            return
        self.ids.add(event["id"])
        if event["type"] in OBJECT or event["type"] == DELETED:
            self.about_object(event)
        elif event["type"] == BEGIN:
            if self.ended:
                self.incomplete.append(self.ended["snapshotid"])
            self.begun, self.ended = event, None
        elif event["type"] == END and self.begun and self.begun["snapshotid"] == event["snapshotid"]:
            self.ended = event
        elif event["type"] == ABORTED and self.begun and self.begun["snapshotid"] == event["snapshotid"]:
            self.begun = self.ended = None
        elif event["type"] == GAP and event["data"]["gap"]["cause"] == "restored":
            self.ids, self.last, self.final, self.shown = set(), {}, set(), set()
            self.begun, self.ended, self.newest = None, None, ""
        if self.begun and self.ended:
            self.complete()

    def about_object(self, event):
        uid, sequence, epoch = event["uid"], event["sequence"], int(event.get("epoch", "0"))
        gone = event["id"] == uid + ":deleted"
        last, last_epoch = self.last.get(uid, ("", 0))
        # rule 2, and the epochs of replicas
        if uid in self.final or epoch < last_epoch or (sequence < last and not gone):
            return
        self.last[uid] = (max(sequence, last), epoch)
        self.newest = max(sequence, self.newest)
        if gone:
            self.final.add(uid)
        # rule 3
        if event["type"] == DELETED:
            self.objects.pop(uid, None)
        else:
            self.objects[uid] = event
        if event["type"] == ITEM:
            self.shown.add((uid, sequence, event["snapshotid"]))

    def at(self, uid):
        return self.last.get(uid, ("", 0))[0]

    def complete(self):
        """Rule 4."""
        begun, ended, snapshot = self.begun, self.ended, self.ended["data"]["snapshot"]
        if snapshot["mode"] != "full":
            self.begun = self.ended = None
            return
        held = {
            uid: event
            for uid, event in self.objects.items()
            if (uid, self.at(uid), begun["snapshotid"]) in self.shown or self.at(uid) > begun["sequence"]
        }
        if len(held) < snapshot["items"] - snapshot["deadLettered"]:
            return
        removed = len(self.objects) - len(held)
        self.objects = held
        self.begun = self.ended = None
        self.completed.append({"snapshotId": ended["snapshotid"], "removed": removed, "digests": self.compare(ended)})

    def compare(self, ended):
        snapshot = ended["data"]["snapshot"]
        if "members" not in snapshot or self.newest > ended["sequence"]:
            return "unknown"
        if snapshot["members"] == self.members() and snapshot.get("state", self.state()) == self.state():
            return "match"
        return "differ" if snapshot["deadLettered"] == 0 else "unknown"

    def members(self):
        return digest(f"{event['subject']}:{uid}" for uid, event in self.objects.items())

    def state(self):
        return digest(f"{event['subject']}:{uid}:{event['resourceversion']}" for uid, event in self.objects.items())


copies = {}
for line in sys.stdin.buffer:
    event = json.loads(line)
    copies.setdefault((event["cluster"], event["stream"]), Copy()).apply(event)

json.dump(
    [
        {
            "source": copy.source,
            "stream": stream,
            "objects": {uid: event["resourceversion"] for uid, event in copy.objects.items()},
            "completed": copy.completed,
            "incomplete": copy.incomplete + ([copy.ended["snapshotid"]] if copy.ended else []),
            "members": copy.members(),
            "state": copy.state(),
        }
        for (_, stream), copy in copies.items()
    ],
    sys.stdout,
)
