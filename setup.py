"""The wheel carries what stands beside the package in the repository (flows, dashboards, data
contracts) as mmdiag/application/.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

APPLICATION = ("flows", "dashboards", "data_contracts", ".streamlit", "prefect.yaml")
ROOT = Path(__file__).resolve().parent


class BuildWithApplication(build_py):
    """Build the package, then copy the application's folders into it."""

    def run(self) -> None:
        """Copy nothing in an editable installation: there the checkout itself is the
        application.
        """
        super().run()
        if not self.editable_mode:
            self._copy_application(Path(self.build_lib) / "mmdiag" / "application")

    def _copy_application(self, target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        for name in APPLICATION:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(
                    source,
                    target / name,
                    ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "secrets.toml"),
                )
            elif source.is_file():
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target / name)


setup(cmdclass={"build_py": BuildWithApplication})
