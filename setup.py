"""The C kernels: every ``_name.c`` in ``src/trivec/index/native`` is the module ``trivec.index.native._name``.

They are optional: without a compiler, trivec installs and runs on numpy alone, only slower.
"""

from pathlib import Path

from setuptools import Extension, setup

_FOLDER = Path("src/trivec/index/native")

setup(
    ext_modules=[
        Extension(
            f"trivec.index.native.{source.stem}",
            [source.as_posix()],
            depends=[header.as_posix() for header in sorted(_FOLDER.glob("*.h"))],
            extra_compile_args=["-O3", "-ffp-contract=fast", "-fno-math-errno"],
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            py_limited_api=True,
            optional=True,
        )
        for source in sorted(_FOLDER.glob("_*.c"))
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
