"""Checks of the tree: prints PASS, FAIL and SKIPPED lines, and the sum as the last one."""
import sys


class Report:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, name, complaints):
        """One check: passes when there is nothing to complain about."""
        complaints = list(complaints)
        if complaints:
            self.failed += 1
            print(f"FAIL {name}")
            for complaint in complaints:
                print(f"  {complaint}")
        else:
            self.passed += 1
            print(f"PASS {name}")

    def skip(self, name, reason):
        self.skipped += 1
        print(f'SKIPPED "{name}": {reason}')

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        sys.exit(1 if self.failed else 0)
