"""Installed packages that bring notifiers of their own."""

import contextlib

import pytest

from monitor import notifiers


@contextlib.contextmanager
def installed(folder, *, name, target, module=None):
    """Have a distribution with an entry point, as pip would leave it in *folder*."""
    metadata = folder / "thirdparty-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[{notifiers.GROUP}]\n{name} = {target}\n")
    if module is not None:
        (folder / f"{target}.py").write_text(module)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        notifiers._paths.cache_clear()
        try:
            yield
        finally:
            notifiers._paths.cache_clear()
