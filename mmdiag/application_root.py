"""Where the flows, the dashboard and the data contracts lie: in the checkout, or in the folder that
the wheel carries.
"""

from pathlib import Path


def application_root() -> Path:
    """The folder that holds `flows/`, `dashboards/` and `data_contracts/`."""
    package = Path(__file__).resolve().parent
    checkout = package.parent
    return (
        checkout
        if (checkout / "data_contracts").is_dir() and (checkout / "flows").is_dir()
        else package / "application"
    )
