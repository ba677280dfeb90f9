"""The part of ``docs/manifest-reference.md`` on templates and SQL, from the allow lists and limits themselves."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_dcp_provider.model.template_evaluation import MAX_OUTPUT
from airflow_dcp_provider.model.template_filters import FILTER_NAMES, TEST_NAMES
from airflow_dcp_provider.model.template_methods import DATETIME_MACROS, METHODS
from airflow_dcp_provider.model.template_state import MAX_STEPS, MAX_TURNS, MAX_WORK
from airflow_dcp_provider.model.template_tree import MAX_DEPTH, MAX_NESTING, MAX_TAGS, MAX_TEMPLATE_TEXT, MAX_TOKENS
from airflow_dcp_provider.model.template_values import MAX_ITEMS, MAX_TEXT, MAX_WIDTH
from airflow_dcp_provider.model.templates import ALLOWED_MACROS, ALLOWED_NAMES
from dag_factory.docs.markdown import table
from dag_factory.manifest.sql_words import MAX_NESTING as MAX_SQL_NESTING
from dag_factory.manifest.sql_words import MAX_SQL, MAX_WORDS
from dag_factory.manifest.template_reading import MAX_CONDITIONS, MAX_WAYS

_TEMPLATES = """\
Texts of a manifest and its SQL may hold templates in a part of Jinja's language: `{{ }}`, `{% if %}`, `{% for %}`, `{% set %}`,
`{% with %}`, `{% raw %}` and comments. They are computed when a run begins, from that run alone, so that the same run always gives
the same job: nothing in them asks the clock, chance, a connection or a variable, and only texts, numbers, dates and times can be
written. Lint reads every branch without computing one; a condition on `environment` is decided for each environment."""

_LITERALS = """\
### `| sql`

Whoever starts a run may give its parameters any value, and a text that is pasted into SQL becomes SQL. The filter `sql` writes a
value as a literal instead, with the quotes that it needs:

```sql
SELECT * FROM flights
WHERE ds = {{ ds | sql }}                                    -- ds = '2013-01-05'
  AND carrier IN {{ params.parameters.carriers | sql }}      -- carrier IN ('AA', 'O\\'Hare')
  AND distance > {{ params.parameters.miles | sql }}         -- distance > 500
  AND seen_at < {{ data_interval_end | sql }}                -- seen_at < TIMESTAMP '2013-01-06 00:00:00+00:00'
```

A text is quoted and escaped, `none` is `NULL`, a date is `DATE '...'`, a list is what `IN` takes. What has no literal, such as a
number that is not finite or an empty list, fails the run. The literals are those of Spark's default parser settings."""

_SQL = """\
### SQL

A transformation is one query. In a SparkJob it reads sources and earlier transformations by their names, in a derived dataset
tables as `database.table`, also as they were (`VERSION AS OF`). In both it reads the metadata of these tables, as
`database.table.snapshots`. Table names are written out: a template may
choose between names in the branches of an `{% if %}`, or take them from a list that stands in the template, not from a parameter.
Files are read by sources and not by SQL, and what would run code on the driver is refused: `reflect`, `java_method`,
`TRANSFORM ... USING`, `IDENTIFIER(...)`, and variables of Spark (`${...}`)."""


def templates_section() -> str:
    """Return the section on templates, `| sql`, SQL and their limits."""
    methods = {name for methods in METHODS.values() for name in methods}
    offered = (
        ("names", ALLOWED_NAMES),
        ("macros", (f"macros.{name}" for name in ALLOWED_MACROS)),
        ("of `macros.datetime`", DATETIME_MACROS),
        ("functions", ("range",)),
        ("filters", FILTER_NAMES),
        ("tests", (name for name in TEST_NAMES if name.isalpha())),
        ("methods of texts, maps, dates and times", methods),
    )
    limits = (
        ("characters of a text that holds templates", MAX_TEMPLATE_TEXT),
        ("templates in one text", MAX_TAGS),
        ("words and signs in the templates of one text", MAX_TOKENS),
        ("brackets inside of each other in a template", MAX_NESTING),
        ("blocks and expressions inside of each other", MAX_DEPTH),
        ("steps that the templates of a job compute", MAX_STEPS),
        ("turns of all loops in a job", MAX_TURNS),
        ("characters that the templates of a job handle; an item of a list counts as 16", MAX_WORK),
        ("characters that one text's templates write", MAX_OUTPUT),
        ("characters of a value, items of a list or map", (MAX_TEXT, MAX_ITEMS)),
        ("width of a padded text or a placeholder", MAX_WIDTH),
        ("conditions, and ways through the branches, that lint reads", (MAX_CONDITIONS, MAX_WAYS)),
        ("characters of a query", MAX_SQL),
        ("words and signs of a query", MAX_WORDS),
        ("brackets inside of each other in a query", MAX_SQL_NESTING),
    )
    return "\n\n".join(
        (
            "## Templates and SQL",
            _TEMPLATES,
            table(("what", "there is"), ((what, _listed(names)) for what, names in offered)),
            _LITERALS,
            _SQL,
            "### Limits of templates and SQL",
            table(("what", "at most"), ((what, _number(most)) for what, most in limits)),
        )
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _number(most: int | tuple[int, int]) -> str:
    return f"{most:,}" if isinstance(most, int) else ", ".join(f"{each:,}" for each in most)
