#!/usr/bin/env python3
"""The checks of a batch of payments under evidence. Standard library only.

    exhibit demo --desk --scenario data-validation &      prints the desk's address
    data_validation.py SOCKET DESK_URL [BATCH]
"""

import sys

from evidence import Run, fetch


def main(socket, desk, batch="2026-11"):
    page = f"{desk}/batches/{batch}"
    with Run(
        socket,
        workflow="data-validation",
        agent="data_validation.py",
        principal="data-team@example.com",
        subject=f"payments {batch}",
    ) as run:
        run.code(__file__)
        run.capture("before", page)
        run.log("The batch has arrived", batch=batch)
        run.act(
            [
                {"action": "navigate", "url": page},
                {"action": "click", "selector": "button"},
                {"action": "wait_for", "selector": ".check"},
                {"action": "screenshot", "name": "the checks"},
            ]
        )
        checks = fetch(f"{desk}/api/batches/{batch}")["checks"]
        failed = [check["name"] for check in checks if not check["passed"]]
        verdict = f"Failed: {', '.join(failed)}" if failed else "Every check passed"
        run.log(verdict, "decision", checks=checks)
        run.capture("after", page)
        run.seal("failed" if failed else "succeeded", verdict)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
