#!/usr/bin/env python3
"""A refund under evidence: log, code and pictures in one sealed folder. Standard library only.

    exhibit demo --desk --scenario refund &      prints the desk's address
    refund.py SOCKET DESK_URL [TRANSACTION AMOUNT]
"""

import sys

from evidence import Run, fetch


def main(socket, desk, transaction="TX-1042", amount="48.50"):
    page = f"{desk}/transactions/{transaction}"
    with Run(
        socket,
        workflow="refund",
        agent="refund.py",
        principal="support-lead@example.com",
        subject=transaction,
    ) as run:
        run.code(__file__)
        run.capture("before", page)
        run.log("Refund approved: the charge is a duplicate", "decision", amount=amount)
        run.act(
            [
                {"action": "navigate", "url": f"{page}/refund"},
                {"action": "fill", "selector": "[name=amount]", "value": amount},
                {"action": "fill", "selector": "[name=reason]", "value": "Duplicate charge"},
                {"action": "click", "selector": "button"},
                {"action": "wait_for", "selector": ".done"},
                {"action": "screenshot", "name": "the confirmation"},
            ]
        )
        status = fetch(f"{desk}/api/transactions/{transaction}")
        run.log("The desk shows the refund", "tool-call", status=status["status"])
        run.capture("after", page)
        run.seal("succeeded", "The duplicate charge was refunded")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:])
