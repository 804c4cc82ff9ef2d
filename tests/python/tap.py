"""Runs unittest cases and reports them in the Test Anything Protocol, which meson counts case by case."""
import sys
import unittest


class TapResult(unittest.TestResult):
    def __init__(self, out):
        super().__init__()
        self.out = out
        self.number = 0

    def _line(self, ok, test, note=""):
        self.number += 1
        name = test.shortDescription() or test.id()
        if getattr(test, "_message", None):  # a subTest("title")
            name += f": {test._message}"
        name = str(name).replace("#", "")
        print(f"{'ok' if ok else 'not ok'} {self.number} - {name}{note}", file=self.out, flush=True)

    def _trouble(self, test, error):
        for line in self._exc_info_to_string(error, test).splitlines():
            print(f"# {line}", file=self.out)
        self._line(False, test)

    def addSuccess(self, test):
        super().addSuccess(test)
        self._line(True, test)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._trouble(test, error)

    def addError(self, test, error):
        super().addError(test, error)
        self._trouble(test, error)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error:
            self._trouble(subtest, error)
        else:
            self._line(True, subtest)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line(True, test, f" # SKIP {reason}")


def main(module="__main__"):
    """Runs the cases of `module`, or those named on the command line (Class or Class.test_name)."""
    loader = unittest.TestLoader()
    loader.sortTestMethodsUsing = None  # as written in the file
    target = sys.modules[module]
    names = [a for a in sys.argv[1:] if not a.startswith("-")]
    suite = loader.loadTestsFromNames(names, target) if names else loader.loadTestsFromModule(target)
    result = TapResult(sys.stdout)
    suite.run(result)
    print(f"1..{result.number}" if result.number else "Bail out! no case ran", flush=True)
    sys.exit(0 if result.number and result.wasSuccessful() else 1)
