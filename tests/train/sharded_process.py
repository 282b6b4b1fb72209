"""trivec with its weights sharded over processes on CPUs; run by torchrun with the arguments of the command line.

accelerate shards on accelerators alone, so it is told that this is one.
"""

from __future__ import annotations

import sys
from typing import Any

from accelerate import state
from accelerate.utils import DistributedType

from trivec.cli import main

_begin = state.AcceleratorState.__init__


def _begin_sharded(self: state.AcceleratorState, *args: Any, **options: Any) -> None:
    _begin(self, *args, **options)
    kept = self._shared_state
    kept["fsdp_plugin"] = options.get("fsdp_plugin") or kept.get("fsdp_plugin")
    if kept["fsdp_plugin"] is not None:
        for shared in (kept, state.PartialState._shared_state):
            shared["distributed_type"] = DistributedType.FSDP


if __name__ == "__main__":
    state.AcceleratorState.__init__ = _begin_sharded
    sys.exit(main())
