"""Rotates every key that is older than a limit. Run from cron on the operations host, daily at 05:15."""

import argparse
import datetime as dt
import sys

from lanternpy import Lantern, LanternSealed

# The security policy (SP-14) allows no signing key to be older than this.
MAX_AGE_DAYS = 90
# Rotating wakes up every client; more than this many at once has caused a thundering herd.
MAX_ROTATIONS_PER_RUN = 12


def stale_keys(lantern, now):
    """Yields (age in days, name) of keys whose primary version is older than MAX_AGE_DAYS."""
    for key in lantern.keys():
        age = (now - key.primary.created).days
        if age > MAX_AGE_DAYS and not key.labels.get("rotation") == "manual":
            yield age, key.name


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry-run", action="store_true")
    args = parser.parse_args()
    now = dt.datetime.now(dt.timezone.utc)
    with Lantern.from_env() as lantern:
        oldest_first = sorted(stale_keys(lantern, now), reverse=True)
        for age, name in oldest_first[:MAX_ROTATIONS_PER_RUN]:
            print(f"{name}: {age} days")
            if not args.dry_run:
                lantern.rotate(name)
    left = len(oldest_first) - MAX_ROTATIONS_PER_RUN
    return 3 if left > 0 else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LanternSealed as error:
        sys.exit(f"sealed: {error}")
