"""A server of its own for an example, and the command line that talks to it."""

import argparse
import contextlib
import pathlib
import re
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN_FOLDER = ROOT / "build" / "bin"


def arguments(doc, steps):
    """The command line of an example that draws a picture."""
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("picture", metavar="PICTURE.png")
    parser.add_argument("bin_folder", metavar="BIN_FOLDER", nargs="?",
                        default=BIN_FOLDER)
    parser.add_argument("--steps", type=int, default=steps,
                        help=f"of each chain that count (default: {steps})")
    return parser.parse_args()


class Demo:
    """A running server. `folder` is a temporary one for files."""

    def __init__(self, bin_folder, address, folder):
        self.folder = pathlib.Path(folder)
        self._command = [f"{bin_folder}/basin", "--server", address]

    def basin(self, *words):
        """Runs `basin WORDS...`, shows and returns what it says."""
        words = [str(word) for word in words]
        print("$ basin", *words)
        done = subprocess.run(self._command + words, check=True, text=True,
                              stdout=subprocess.PIPE)
        print(done.stdout)
        return done.stdout


def wait_for_address(server, log):
    """The server names its port, which it chose itself, in its log."""
    while server.poll() is None:
        found = re.search(r"listening on (127\.0\.0\.1:\d+)",
                          pathlib.Path(log).read_text())
        if found:
            return found.group(1)
        time.sleep(0.1)
    raise SystemExit("basin_server did not start:\n" +
                     pathlib.Path(log).read_text())


@contextlib.contextmanager
def serve(models, bin_folder=BIN_FOLDER):
    """Serves the repository `models` on a free port while the context lasts."""
    with tempfile.TemporaryDirectory() as folder:
        # The log goes to a file: nobody would read a pipe.
        with open(f"{folder}/log", "w") as log:
            server = subprocess.Popen(
                [f"{bin_folder}/basin_server", f"--models={models}",
                 f"--state={folder}/state", "--listen=127.0.0.1:0",
                 "--metrics_listen=127.0.0.1:0"], stdout=log, stderr=log)
        try:
            demo = Demo(bin_folder, wait_for_address(server, f"{folder}/log"),
                        folder)
            demo.basin("status", "--wait", 60)
            yield demo
        finally:
            server.terminate()
            server.wait()
