"""Turns pyiceberg's errors, and those of the libraries below it, into ours, so that none of them reaches a user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_dcp_provider.model.errors import DcpEnvironmentError, DcpError


@contextmanager
def wrapped(doing: str) -> Iterator[None]:
    """Run a block that talks to a catalog; ``doing`` completes the sentence "cannot ...".

    :raises DcpEnvironmentError: DCP420 with what the catalog, its storage or a missing package says.
    """
    try:
        yield
    except DcpError:
        raise
    except ImportError as error:
        raise DcpEnvironmentError(
            f"cannot {doing}: {error}",
            code="DCP420",
            hint="install the catalog's and the storage's packages, for example pip install 'airflow-dcp-provider[local]'",
        ) from error
    except Exception as error:
        from pyiceberg.exceptions import ForbiddenError, UnauthorizedError

        said = f"{type(error).__name__}: {error}"
        if isinstance(error, ForbiddenError | UnauthorizedError):
            raise DcpEnvironmentError(
                f"cannot {doing}, the catalog refuses: {said}",
                code="DCP420",
                hint="ask the catalog's owner for the right, or use the connection that has it",
            ) from error
        raise DcpEnvironmentError(
            f"cannot {doing}: {said}",
            code="DCP420",
            hint="check that the catalog's connection is right and that the catalog and its storage answer",
        ) from error
