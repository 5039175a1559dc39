"""The floor of a scalar push: a C function of four arguments, compiled when it is needed.

`floor_call.c` says what it does. It needs a C compiler and Python's headers.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType

from benches.harness import Missing

NAME = "empty C call"


def build() -> ModuleType | Missing:
    """The compiled module, or why there is none."""
    source = Path(__file__).with_suffix(".c")
    compiler = shlex.split(os.environ.get("CC") or "cc")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"floor_call{sysconfig.get_config_var('EXT_SUFFIX')}"
        command = [*compiler, "-O2", "-shared", "-fPIC", f"-I{sysconfig.get_path('include')}"]
        try:
            subprocess.run(
                [*command, str(source), "-o", str(target)], check=True, capture_output=True, text=True
            )
        except FileNotFoundError:
            return Missing(NAME, f"no C compiler ({compiler[0]} not found)")
        except subprocess.CalledProcessError as error:
            return Missing(NAME, f"does not compile: {error.stderr.strip()}")
        spec = importlib.util.spec_from_file_location("floor_call", target)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        # Loaded, the file may go: the mapping stays.
        return module
