#!/usr/bin/env python3
"""A change of somebody's role under evidence, with its approval. Standard library only.

    exhibit demo --desk --scenario access-change &      prints the desk's address
    access_change.py SOCKET DESK_URL [PERSON ROLE APPROVAL]
"""

import sys

from evidence import Run, fetch


def main(socket, desk, person="alice", role="Admin", approval="APR-118"):
    page = f"{desk}/people/{person}"
    before = fetch(f"{desk}/api/people/{person}")["role"]
    with Run(
        socket,
        workflow="access-change",
        agent="access_change.py",
        principal="identity-team@example.com",
        subject=person,
    ) as run:
        run.code(__file__)
        run.capture("before", page)
        run.log("The team asks for another role", person=person, old=before, new=role)
        run.log("Approved by the owner of the system", "approval", number=approval)
        run.act(
            [
                {"action": "navigate", "url": f"{page}/role"},
                {"action": "select", "selector": "[name=role]", "value": role},
                {"action": "fill", "selector": "[name=approval]", "value": approval},
                {"action": "screenshot", "name": "the form, filled in"},
                {"action": "click", "selector": "button"},
                {"action": "wait_for", "selector": "[role=status]"},
            ]
        )
        after = fetch(f"{desk}/api/people/{person}")["role"]
        run.log("The desk shows the role", "tool-call", role=after)
        run.capture("after", page)
        done = after == role
        run.seal("succeeded" if done else "failed", f"The role was {before} and is {after}")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 6):
        sys.exit(__doc__)
    main(*sys.argv[1:])
