#!/usr/bin/env python3
"""A refund with a screenshot before and after, as written for a hosted screenshot API.

Nothing in here knows Exhibit: the program was moved by changing SCREENSHOT_BASE_URL and
SCREENSHOT_API_KEY. What is new is what the answer's headers say: where the evidence is.

    exhibit demo --desk --scenario refund &      prints the desk's address
    exhibit keys add hosted-api                  prints the key; the daemon serves `daemon.listen`
    SCREENSHOT_API_KEY=exk_… hosted_api.py DESK_URL TRANSACTION AMOUNT

Needs the library requests (apt-get install python3-requests, or pip install requests).
"""

import os
import sys

try:
    import requests
except ImportError:
    sys.exit("requests is missing; apt-get install python3-requests, or pip install requests")

BASE_URL = os.environ.get("SCREENSHOT_BASE_URL", "http://127.0.0.1:8420")
API_KEY = os.environ.get("SCREENSHOT_API_KEY", "")


def screenshot(url, name):
    """Save a screenshot of `url` as `name`.png."""
    answer = requests.post(
        f"{BASE_URL}/api/v1/screenshot",
        headers={"x-api-key": API_KEY},
        json={"url": url, "format": "png"},
        timeout=120,
    )
    answer.raise_for_status()
    with open(f"{name}.png", "wb") as file:
        file.write(answer.content)
    run = answer.headers.get("X-Exhibit-Run", "none")
    print(f"{name}: {len(answer.content)} bytes, evidence in run {run}")


def main(desk, transaction, amount):
    """Process the refund."""
    page = f"{desk}/transactions/{transaction}"
    screenshot(page, "before")
    refund = requests.post(
        f"{desk}/api/transactions/{transaction}/refund",
        json={"amount": amount, "reason": "Duplicate charge"},
        timeout=30,
    )
    refund.raise_for_status()
    print(f"refund: {refund.json()['status']}")
    screenshot(page, "after")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except requests.RequestException as problem:
        answer = problem.response
        sys.exit(f"{problem.request.url}: {problem}" if answer is None else answer.text)
