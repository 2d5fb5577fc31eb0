"""A simulated Linked API in a process of its own, until its standard input ends.

python -m bench.simulated CUSTOMERS ACCOUNTS [frozen]

It prints its address. The customers are c0, c1, … with the tokens linked_0, linked_1, …; all
accounts are active, or *frozen*.
"""

import asyncio
import sys

from monitor.simulator import Simulator, serve


async def main() -> None:
    """Serve."""
    customers, accounts = map(int, sys.argv[1:3])
    simulator = Simulator()
    for number in range(customers):
        simulator.add_customer(f"c{number}", f"linked_{number}")
        simulator.add_accounts(f"c{number}", accounts)
        if sys.argv[3:] == ["frozen"]:
            simulator.freeze(f"c{number}", "*")
    async with serve(simulator) as address:
        sys.stdout.write(f"{address}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
