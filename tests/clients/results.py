"""Turns a subunit stream on standard input into lines `test id<TAB>pass|fail|skip<TAB>seconds<TAB>reason`."""
import sys

import subunit
import testtools


class Rows(testtools.StreamToDict):
    def __init__(self):
        super().__init__(self.row)

    def row(self, test):
        status = {"success": "pass", "fail": "fail", "skip": "skip", "xfail": "pass"}.get(test["status"])
        if status is None or test["id"].endswith(".process-returncode"):
            return
        start, stop = test["timestamps"]
        seconds = (stop - start).total_seconds() if start and stop else 0
        details = test["details"]
        reason = details.get("reason") or details.get("traceback")
        text = reason.as_text().strip().splitlines()[-1] if reason else ""
        print(test["id"], status, f"{seconds:.2f}", text.replace("\t", " "), sep="\t")


result = Rows()
result.startTestRun()
subunit.ByteStreamToStreamResult(sys.stdin.buffer, non_subunit_name="stdout").run(result)
result.stopTestRun()
