"""What every Spark of ours is given besides a job's own settings, the same on each backend: guards, and ANSI mode's default.

Spark shows its settings in its web pages and writes them into event logs. Whatever may be a credential is left out of both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# What tells a secret by its setting's name; Python reads these as Java does. A private key without a dot is Spark's path of one.
_TELLTALE_WORDS = (
    r"passw(or)?d|token|secret([-._]?(access[-._]?)?key)?|access[-._]?key([-._]?id)?|(account|api)[-._]?key|private[-._]key"
    r"|connection[-._]?string|(?<![a-z])sas([-._]?key)?"
)
_TELLTALE_ENDS = r"(?<!renewal\.)credentials?|(?<!security\.)authorization|(en|de)cryption[-._]?key"

# After such a word: not the secret itself, but where it is or how it is got.
_ABOUT_SECRETS = r"endpoint|expiry|file|id|mode|name|provider|renew|token|type|uri|url"

_SECRET = re.compile(
    rf"({_TELLTALE_WORDS}|{_TELLTALE_ENDS})$"
    # Azure's settings end in the account that they are for.
    rf"|\b(adls|azure)\..*({_TELLTALE_WORDS})(\.(?!({_ABOUT_SECRETS})(\.|$))[^.]+)+$",
    re.IGNORECASE,
)

#: The only properties of a catalog that are shown: what a catalog calls its credentials is not ours to know.
_SHOWN_PROPERTIES = (
    "type|uri|warehouse|cache-enabled|catalog-impl|io-impl|default-namespace|prefix|client\\.region|s3\\.region|s3\\.endpoint"
    "|s3\\.path-style-access|view-endpoints-supported"
)
_HIDDEN_PROPERTIES = rf"spark\.sql\.catalog\.[^.=\s]+\.(?!({_SHOWN_PROPERTIES})([=\s]|$))"

#: User and password in an address.
_IN_ADDRESS = r"://[^/\s:@]*:[^/\s@]+@"

#: In texts of queries and plans: an address's password, and what stands after a telltale name and `=` or `:`.
_IN_TEXT = (
    rf"(?i){_IN_ADDRESS}"
    r"|(passw(or)?d|secret|credential|(access|account|api)[-._]?key)[\w.-]{0,40}[\"']?\s{0,3}[=:]\s{0,3}[\"']?[^\s\"',;)}\]]+"
)

#: Below everything: ANSI mode changes results, and Spark 4 has another default than 3.5. Here it is the same for all of them.
DEFAULTS = {"spark.sql.ansi.enabled": "false"}


def is_secret(setting: str) -> bool:
    """Whether a setting or a catalog's property holds what only its reader may know, by its name."""
    return bool(_SECRET.search(setting))


def guards(secret_settings: Iterable[str] = ()) -> dict[str, str]:
    """Return the settings that stand above a manifest's and an environment's.

    :param secret_settings: full names of settings that are secret whatever they are called.
    """
    return {
        # Days and time stamps mean UTC, and names are compared in one way everywhere.
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.caseSensitive": "false",
        # `${env:X}` in a query would read the driver's environment, and `csv.`/path`` any file.
        "spark.sql.variable.substitute": "false",
        "spark.sql.runSQLOnFiles": "false",
        "spark.redaction.regex": _redaction(secret_settings),
        "spark.redaction.string.regex": _IN_TEXT,
        "spark.sql.redaction.string.regex": _IN_TEXT,
    }


def _redaction(secret_settings: Iterable[str]) -> str:
    # Spark looks for it in names and in values.
    parts = [rf"(?i){_TELLTALE_WORDS}|{_TELLTALE_ENDS}", _HIDDEN_PROPERTIES, _IN_ADDRESS]
    parts += [re.sub(r"([^\w-])", r"\\\1", setting) for setting in sorted(secret_settings)]
    return "|".join(parts)
