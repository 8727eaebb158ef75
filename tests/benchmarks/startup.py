"""Start-up: `adapterxfer --help` and `tasks list` as whole processes, beside a bare Python, medians of 11.

python tests/benchmarks/startup.py
"""

import statistics
import subprocess
import sys
import time

START = "from adapterxfer.cli.main import main; main()"
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "adapterxfer --help": [sys.executable, "-c", START, "--help"],
    "adapterxfer tasks list": [sys.executable, "-c", START, "tasks", "list"],
}


def main():
    times = {name: [] for name in COMMANDS}
    for _ in range(11):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times[name].append(time.perf_counter() - start)
    for name, seconds in times.items():
        print(f"{name:24} median {statistics.median(seconds):.3f} s, worst {max(seconds):.3f} s")


if __name__ == "__main__":
    main()
