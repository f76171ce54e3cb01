"""The bodies of successful answers: which members they have, in which order, of which kind."""
from .answers import TIME

NUMBER, TEXT, TRUTH = (int,), (str,), (bool,)
STATUSES = {"SCHEDULED": "Scheduled", "QUEUED": "Queued", "IN_PROGRESS": "In Progress",
            "COMPLETED": "Completed", "FAILED": "Failed", "CANCELLED": "Cancelled",
            "SUSPENDED": "Suspended"}
SCHEDULES = {"immediately": "Immediately", "once": "Once", "recurring": "Recurring"}


def members(value, /, **kinds):
    """An object with exactly these members, in this order."""
    assert list(value) == list(kinds), f"{list(value)} are not {list(kinds)}"
    for name, kind in kinds.items():
        if kind == "time":
            assert TIME.match(value[name]), f"{name}: {value[name]!r}"
        elif kind == "time or null":
            assert value[name] is None or TIME.match(value[name]), f"{name}: {value[name]!r}"
        else:
            assert type(value[name]) in kind, f"{name}: {value[name]!r}"


def job_info(version, value):
    kinds = {"id": NUMBER, "type": TEXT, "source": TEXT, "title": TEXT, "fileSplitSize": TEXT,
             "fileName": (str, type(None)), "fileSize": NUMBER, "status": TEXT, "createdDate": "time",
             "dateFrom": "time or null", "dateTo": "time or null", "description": TEXT,
             "media": (list,), "progress": NUMBER, "parentId": NUMBER}
    if version == "v10":
        kinds["exportAttachments"] = TRUTH
    reason = value.get("statusReason")
    members({k: v for k, v in value.items() if k != "statusReason"}, **kinds)
    assert value["status"] in STATUSES
    if "statusReason" in value:
        assert value["status"] != "COMPLETED" and reason
    assert 0 <= value["progress"] <= 100
    assert all(isinstance(m, str) for m in value["media"])


def job(version, value):
    job_info(version, value)
    assert value["parentId"] == 0


def run(version, value):
    job_info(version, value)
    assert 0 < value["parentId"] < value["id"]


def file_item(value):
    members(value, id=NUMBER, name=TEXT, size=NUMBER, type=TEXT, source=TEXT, jobTitle=TEXT,
            jobId=NUMBER, historyId=NUMBER, createdDate="time", expirationDate="time",
            remainingDays=NUMBER, sha256=TEXT)


def page(item):
    def check(version, value):
        members(value, **{"count": NUMBER, "from": NUMBER, "items": (list,), "size": NUMBER})
        assert (value["from"], value["size"]) == (0, 999999999)
        assert value["count"] == len(value["items"]) > 0
        for one in value["items"]:
            item(version, one)
    return check


def words(_version, value):
    assert value
    for one in value:
        members(one, label=TEXT, value=TEXT)


def definition(_version, value):
    members(value, id=NUMBER, source=TEXT, title=TEXT, timeFrame=(dict,), fileSplitSize=TEXT,
            description=TEXT, schedulerParam=(dict,), jobParams=(dict,), suspended=TEXT)
    assert value["suspended"] in ("true", "false")
    assert value["timeFrame"]["all"] in (True, False)
    assert set(value["timeFrame"]) <= {"all", "dateFrom", "dateTo"}
    assert list(value["jobParams"]) == ["fileSplitSize", "type", "media"]


def labels(_version, value):
    members(value, statuses=(dict,), types=(dict,), sources=(dict,), media=(dict,),
            scheduleTypes=(dict,))
    assert value["statuses"] == STATUSES and value["scheduleTypes"] == SCHEDULES


def each(**kinds):
    def check(_version, value):
        assert value and isinstance(value, list)
        for one in value:
            members(one, **kinds)
    return check


def progress(_version, value):
    members(value, progress=NUMBER, status=TEXT)
    assert value["status"] in STATUSES and 0 <= value["progress"] <= 100


def name(_version, value):
    assert isinstance(value, str) and value


def success(_version, value):
    assert value == {"status": {"code": 0, "detail": {}, "message": "successful"}}


SHAPES = {
    "certificate": lambda _, v: members(v, ccid=TEXT, name=TEXT, size=NUMBER, lastModified="time"),
    "name": name,
    "attributes": each(name=TEXT, displayName=TEXT, type=TEXT, entity=TEXT),
    "words": words,
    "types": each(name=TEXT, source=TEXT),
    "sub-types": each(name=TEXT, displayName=TEXT, source=TEXT, dataType=TEXT, enabled=TRUTH),
    "job": job, "run": run, "jobs": page(job), "runs": page(run),
    "files": page(lambda _, v: file_item(v)),
    "progress": progress, "definition": definition, "links": each(path=TEXT), "labels": labels,
    "version": lambda _, v: members(v, version=TEXT, buildNumber=TEXT, changeset=TEXT, name=TEXT),
    "success": success,
}


def check_shape(shape, version, value):
    SHAPES[shape](version, value)
