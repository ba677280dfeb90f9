"""Every stable error code with its title and explanation; ``docs/errors.md`` is generated from here.

The first digit is whose fault it is and the command line's exit code: 1 the manifest's, 2 wrong usage, 3 the run's, 4 the
environment's. A code is never reused for something else.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorCode:
    """One code: ``title`` in a few words, ``explanation`` what it means and what to do, for the documentation."""

    title: str
    explanation: str


#: Manifests, DCP100 to DCP179: reading, schema, merging, templates, SQL.
MANIFEST_CODES: dict[str, ErrorCode] = {
    "DCP100": ErrorCode("manifest cannot be used", "The manifest has problems; each is listed with a code of its own."),
    "DCP101": ErrorCode("file cannot be read", "The file does not exist, may not be read, or is no regular file."),
    "DCP102": ErrorCode(
        "file too large",
        "A manifest or SQL file is larger than the deployment allows; such a file is rarely written by hand.",
    ),
    "DCP103": ErrorCode("file is not UTF-8", "Save the file as UTF-8; the place is that of the first byte that is none."),
    "DCP104": ErrorCode(
        "YAML does not parse",
        "The text is no YAML, or not what was meant; look at quotes, brackets, commas and indentation at and before the place.",
    ),
    "DCP105": ErrorCode(
        "given twice",
        "A field, or an environment under two of its names, stands twice; YAML would silently drop one of them.",
    ),
    "DCP106": ErrorCode(
        "nests or aliases without end",
        "Maps, lists or aliases of aliases make more values than any manifest has.",
    ),
    "DCP107": ErrorCode(
        "YAML that manifests do not use",
        "Tags, several documents in one file and keys that are no text are not used in manifests.",
    ),
    "DCP108": ErrorCode(
        "link out of the folder",
        "The manifest is a link to a file outside of the DAGs folder, which other machines may not have.",
    ),
    "DCP110": ErrorCode("unknown field", "The schema has no such field here; the hint names the nearest one."),
    "DCP111": ErrorCode(
        "wrong type",
        "The value is, for example, a text where a number is needed; the hint shows how to write it.",
    ),
    "DCP112": ErrorCode("missing field", "A field that is needed is neither in the manifest nor inherited from a `defaults.yaml`."),
    "DCP113": ErrorCode("value not allowed", "The value is of the right type, but not among those that the field takes."),
    "DCP114": ErrorCode("unknown kind", "No plugin of this installation reads manifests of this kind."),
    "DCP115": ErrorCode(
        "apiVersion not accepted",
        "The apiVersion is not `<host>/v1`, or its host is not among those that the deployment accepts.",
    ),
    "DCP116": ErrorCode("unknown section", "A `defaults.yaml` has a section for each kind of manifest; this one belongs to none."),
    "DCP120": ErrorCode(
        "removes what is not there",
        "A `$remove` names a field or an item that is not inherited, so it would do nothing.",
    ),
    "DCP121": ErrorCode(
        "override for no environment",
        "Overrides are for local, test, staging, prod (or production), playground_<user> or playground.",
    ),
    "DCP122": ErrorCode(
        "override without a name",
        "An item that overrides one of a list of named items must say by its name which.",
    ),
    "DCP123": ErrorCode(
        "character that no text may hold",
        "Control characters, halves of characters and overrides of the writing direction act where a text is shown or kept, and "
        "are not read. Tabs and line ends are texts like others, except in a field that is one line.",
    ),
    "DCP124": ErrorCode(
        "number out of range",
        "Numbers are finite; whole numbers have 64 bits, from -9223372036854775808 to 9223372036854775807. A longer one is a text.",
    ),
    "DCP125": ErrorCode(
        "text too long", "The text is longer than what keeps it can hold, for example a column of Airflow's database."
    ),
    "DCP126": ErrorCode(
        "further problems", "The manifest has more problems than are listed; correct those, and the others are shown."
    ),
    "DCP127": ErrorCode("too much of it", "A list, a map or the whole manifest has more parts than any job needs."),
    "DCP128": ErrorCode(
        "file name cannot be used",
        "The name of the file, or of a folder above it, is not UTF-8, holds control characters or is too long to be kept.",
    ),
    "DCP129": ErrorCode(
        "checking ended the process",
        "The process that checked the manifest died. No other manifest is concerned; take parts away until you know which it was.",
    ),
    "DCP130": ErrorCode("bad memory size", "Memory is a whole number and a unit, as Spark writes it: 512m or 8g."),
    "DCP131": ErrorCode(
        "numbers of executors contradict each other",
        "The smallest number is above the largest, or bounds are missing.",
    ),
    "DCP132": ErrorCode("bad schedule", "The text is no cron expression of five fields and no preset, or it never fires."),
    "DCP133": ErrorCode(
        "bad date",
        "Dates are ISO texts from 1900 to 2999: 2024-01-31, or 2024-01-31T06:00:00, in UTC unless they say otherwise.",
    ),
    "DCP134": ErrorCode("end before start", "The end date is before the start date, so the job would never run."),
    "DCP135": ErrorCode("bad asset", "Assets are written `iceberg://<catalog>/<database>/<table>`."),
    "DCP136": ErrorCode(
        "name cannot be used in Kubernetes or Airflow",
        "Names of jobs and teams become part of names of Kubernetes resources and of DAGs.",
    ),
    "DCP137": ErrorCode(
        "bad SQL name",
        "Names of catalogs, databases, tables, columns and views have letters, digits and `_`, no digit first.",
    ),
    "DCP138": ErrorCode("bad label", "Kubernetes would refuse the label, or only the platform sets it."),
    "DCP139": ErrorCode(
        "Spark setting not allowed",
        "A manifest may set certain Spark settings and readers' options, each with a value of its form. All else is the "
        "platform's: catalogs, classes, Java options, logs, security. A connection may allow more (`allowed_spark_conf`).",
    ),
    "DCP140": ErrorCode(
        "name given twice",
        "Names of sources and transformations are views of one job; sinks and columns have names of their own.",
    ),
    "DCP141": ErrorCode("unknown view", "The SQL reads a name that is neither a source nor a transformation."),
    "DCP142": ErrorCode("cycle", "Transformations read each other in a circle."),
    "DCP143": ErrorCode("view is made later", "Transformations run in order; each may read those before it."),
    "DCP144": ErrorCode("SQL does not parse", "The SQL is not understood as Spark SQL."),
    "DCP145": ErrorCode("SQL is no query", "A transformation is one SELECT, a filter one condition; tables are written by sinks."),
    "DCP146": ErrorCode(
        "table read past the sources",
        "A SparkJob's SQL reads its sources by name, so that lineage, rights and environments are known.",
    ),
    "DCP147": ErrorCode("table without a database", "A derived dataset's SQL names tables as `database.table`."),
    "DCP148": ErrorCode("column not in the result", "A partition column or merge key is not among the columns that are written."),
    "DCP149": ErrorCode("sink without input", "It is not said, or not known, which result the sink writes."),
    "DCP151": ErrorCode("result does not match the fields", "The SQL's columns are not the dataset's fields."),
    "DCP152": ErrorCode("unknown type", "The type is none that a column can have."),
    "DCP153": ErrorCode("decimal without digits", "A bare `decimal` is decimal(38,18); write the digits that the column needs."),
    "DCP154": ErrorCode(
        "table cannot be found before the run",
        "A template names the table, or an older version of a view is asked for.",
    ),
    "DCP155": ErrorCode(
        "not offered in templates",
        "Templates are a part of Jinja: what leads to Python's own objects or runs without bound is left out.",
    ),
    "DCP156": ErrorCode(
        "template too large",
        "A template is longer, deeper or computes more than the limits allow; the manifest reference states them.",
    ),
    "DCP157": ErrorCode(
        "template differs from run to run",
        "A template asks the clock or chance, or writes something that has no text of its own, such as a function or a list.",
    ),
    "DCP158": ErrorCode(
        "SQL reads files by their path",
        "Files are read by a source with a `path`, so that lineage and rights are known; SQL reads tables.",
    ),
    "DCP159": ErrorCode(
        "function not offered in SQL",
        "The SQL would run code on the driver (`reflect`, `java_method`, a script), or name a table or function by a text.",
    ),
    "DCP160": ErrorCode("file missing", "A file that the manifest names does not exist."),
    "DCP161": ErrorCode(
        "path leaves the folder",
        "A file that the manifest names is outside of the DAGs folder, directly or through a link.",
    ),
    "DCP162": ErrorCode(
        "variable of Spark in SQL",
        "Spark would put the value of `${...}`, also of an environment variable, into the SQL before it reads it.",
    ),
    "DCP163": ErrorCode(
        "SQL too large",
        "The SQL is longer, deeper or has more words than lint reads; the manifest reference states the limits.",
    ),
    "DCP164": ErrorCode(
        "parameter loses how it is written",
        "A parameter keeps its type: `01234` is 1234 in a run, and `3.10` is 3.1. A text stands in quotes.",
    ),
    "DCP165": ErrorCode("template does not parse", "A Jinja template has a mistake."),
    "DCP166": ErrorCode("name not defined in templates", "A template uses a name, filter or parameter that a run does not define."),
    "DCP167": ErrorCode(
        "date template without quotes",
        "In SQL a date is a text: `ds = 2024-01-05` compares with 2018, no row matches, and an overwrite empties the day.",
    ),
    "DCP168": ErrorCode(
        "parameter in SQL as it is",
        "Whoever starts a run writes the parameter, and so a part of the SQL; `| sql` makes it a literal.",
    ),
    "DCP169": ErrorCode("literal inside of quotes", "`| sql` writes quotes of its own where they are needed."),
}

#: Plugins and DAGs, DCP180 to DCP199.
DAG_CODES: dict[str, ErrorCode] = {
    "DCP180": ErrorCode("two manifests with one id", "Each manifest needs an id of its own; all that share one are left out."),
    "DCP181": ErrorCode(
        "two manifests with one DAG id",
        "Each DAG needs an id of its own; all manifests that share one are left out.",
    ),
    "DCP182": ErrorCode("plugin left out", "A plugin cannot be loaded, or another one reads its manifests already."),
    "DCP183": ErrorCode("two plugins claim a manifest", "It is not clear which plugin is to read the manifest."),
    "DCP184": ErrorCode(
        "not an e-mail address",
        "A notification goes to plain addresses, user@example.com, and to at most fifty of them for one event.",
    ),
    "DCP185": ErrorCode(
        "Airflow's database cannot keep it",
        "A text is longer than its column, a number larger than 64 bits, a date too far off, or a text holds what none may hold.",
    ),
    "DCP186": ErrorCode(
        "manifest takes too much",
        "Reading the manifest used more time, memory or room than one manifest may. The others are not affected.",
    ),
    "DCP187": ErrorCode(
        "manifest ended its process",
        "Reading the manifest ended the process that read it, which no manifest should do. The others are not affected.",
    ),
    "DCP188": ErrorCode(
        "not read yet",
        "The manifest is new and there was no time for it in this parse, or no process for it; the next parse goes on.",
    ),
    "DCP189": ErrorCode(
        "team of another folder",
        "The deployment's option `[dcp] team_folders` binds the manifest's folder to other teams than the one that it names.",
    ),
    "DCP190": ErrorCode("Airflow refuses the DAG", "The manifest is valid, but Airflow does not accept the DAG made from it."),
    "DCP191": ErrorCode("notifications cannot be sent", "The manifest asks for e-mail, and Airflow's smtp provider is missing."),
    "DCP192": ErrorCode(
        "bad parameter", "A parameter is declared in a way that makes no sense, or has a value that no run can have."
    ),
    "DCP193": ErrorCode("manifest is gone", "A task belongs to a DAG that no manifest in the folder makes any more."),
    "DCP194": ErrorCode("no such folder", "load_dags() was asked for a folder that is not there."),
    "DCP195": ErrorCode("manifest cannot be read", "Reading the manifest failed unexpectedly, in a plugin or in this project."),
    "DCP196": ErrorCode(
        "a policy refuses the DAG", "A cluster policy of the Airflow deployment refuses the DAG or one of its tasks."
    ),
}

#: Usage, DCP200 to DCP299.
USAGE_CODES: dict[str, ErrorCode] = {
    "DCP200": ErrorCode("wrong usage", "The command or call makes no sense as it was made; the message says what to change."),
    "DCP201": ErrorCode(
        "not offered", "This plugin, primitive or backend does not offer what was asked. Nothing was done instead."
    ),
    "DCP202": ErrorCode(
        "wrong command line", "An argument or option of `pretzel` is missing, unknown or has a value that it cannot have."
    ),
    "DCP203": ErrorCode("no such command", "The first word is neither a command of `pretzel` nor the name of an installed plugin."),
    "DCP204": ErrorCode(
        "another kind", "The kind that stands before the command is not the manifest's; leave it out or correct it."
    ),
    "DCP205": ErrorCode("no such file", "A path does not exist, or its name does not say in which format the file is."),
    "DCP206": ErrorCode(
        "file cannot be read", "The file's content is not what its name's ending says, or it cannot become a table."
    ),
    "DCP207": ErrorCode(
        "file does not fit the table", "Its columns, types or partitions differ; `--replace` makes the table anew."
    ),
    "DCP208": ErrorCode("no such column", "The table is to be partitioned by a column that the file does not have."),
    "DCP209": ErrorCode(
        "not a table's name", "A table of the embedded catalog is named DATABASE.TABLE in letters, digits and `_`."
    ),
    "DCP210": ErrorCode("condition cannot be used", "What `--where` says cannot be read, or does not fit the table's columns."),
    "DCP211": ErrorCode("no such table", "The embedded catalog has no table of this name; the hint lists those that it has."),
    "DCP212": ErrorCode(
        "no such execution", "No execution has this id or beginning of an id, more than one has it, or it has no such attempt."
    ),
    "DCP213": ErrorCode("not a manifest", "The file is no manifest of a kind that an installed plugin knows."),
    "DCP214": ErrorCode("not a day", "A run's day is written YYYY-MM-DD."),
    "DCP215": ErrorCode("not a parameter", "A parameter is written NAME=VALUE; the name is a word of letters, digits and `_`."),
    "DCP216": ErrorCode("no such kind", "No installed plugin has a kind of manifest with this name; `pretzel schema` lists them."),
    "DCP217": ErrorCode("no such environment", "The name is none of local, test, staging, prod, production, playground_<user>."),
    "DCP219": ErrorCode("unknown parameter", "The run was given a parameter that its manifest does not have."),
    "DCP220": ErrorCode("parameter has another value", "A run's parameter is not of its type, out of its bounds, or too large."),
    "DCP221": ErrorCode("handle unusable", "What a task handed on about an execution cannot be read; clear the task that made it."),
    "DCP218": ErrorCode("no cluster to ask", "`pretzel render --server` was asked for an environment that runs on this machine."),
}

#: Executions, DCP300 to DCP319: identity, cancel, time-out.
EXECUTION_CODES: dict[str, ErrorCode] = {
    "DCP300": ErrorCode("execution failed", "The Spark execution did not succeed; the message and the driver's log say why."),
    "DCP301": ErrorCode("cancelled", "The attempt was cancelled by a user or by the task's own kill; the message says by whom."),
    "DCP302": ErrorCode("timed out", "The execution's time-out had passed, queueing and retries included; the attempt was ended."),
    "DCP303": ErrorCode("superseded", "A newer round of the wait task has taken the execution over; the older one gives up."),
    "DCP304": ErrorCode(
        "execution not found", "The backend holds nothing for the execution. What has vanished is never a success."
    ),
    "DCP305": ErrorCode("driver not offered", "The manifest's mainClass needs a JVM driver, which this backend cannot run."),
    "DCP306": ErrorCode("engine not offered", "The manifest's engine type is known, but no backend of this version runs it."),
    "DCP307": ErrorCode("streaming not offered", "Streaming jobs pass the schema, but this version runs batch jobs only."),
    "DCP308": ErrorCode("job not rendered", "A job reached the Spark Runner while it still held templates."),
    "DCP309": ErrorCode("old attempt still ending", "A cancelled attempt had not ended yet when its successor was asked for."),
    "DCP310": ErrorCode(
        "name taken by another owner", "A resource with the attempt's name exists and belongs to another manifest."
    ),
    "DCP311": ErrorCode(
        "reserved Spark setting",
        "The job's sparkConf, or an option of a source, is not among those that a manifest may set in this environment.",
    ),
    "DCP312": ErrorCode(
        "template cannot be rendered", "A template of the job uses a name that the run does not define, or fails as it is computed."
    ),
    "DCP319": ErrorCode("interrupted", "The command was ended from outside, by Ctrl-C or a signal, before it was done."),
}

#: What the driver reports and what a diagnosis finds, DCP320 to DCP369.
FAILURE_CODES: dict[str, ErrorCode] = {
    "DCP320": ErrorCode("job spec unusable", "The driver cannot read its job spec; driver and submitter must be of one version."),
    "DCP321": ErrorCode(
        "SQL does not parse", "A filter or query has a syntax error, or is not a query; Spark's message says where."
    ),
    "DCP322": ErrorCode("SQL cannot be analysed", "A query names a view, column, function or type that is not there."),
    "DCP323": ErrorCode(
        "SQL failed on its data", "A query met a value that it cannot handle; Spark's message says which rule it broke."
    ),
    "DCP324": ErrorCode(
        "partition column missing", "A sink's partition column is not in the result, or cannot hold the run's day."
    ),
    "DCP325": ErrorCode("result differs from its columns", "The result does not match the columns that were declared for it."),
    "DCP326": ErrorCode("result differs from its table", "The result or its partitions do not match the table that is there."),
    "DCP327": ErrorCode("merge keys not unique", "The result has several rows for one value of the merge keys."),
    "DCP328": ErrorCode("merge key missing", "A sink's merge key is not a column of the result."),
    "DCP329": ErrorCode("sink without input", "A sink writes a view that is neither a source nor a transformation of the job."),
    "DCP330": ErrorCode("source missing", "A table or path that the job reads is not there."),
    "DCP331": ErrorCode("access denied", "The job may not read or write a table or path."),
    "DCP332": ErrorCode(
        "read past the sources",
        "A query reads what the job does not declare: another table, files by their path, another catalog; or it runs a program.",
    ),
    "DCP333": ErrorCode(
        "files of the snapshot are gone",
        "Another job expired or rewrote the snapshot that the run was reading; the next attempt reads the newer one.",
    ),
    "DCP334": ErrorCode(
        "partitions cannot be replaced",
        "Rows of the partitions share files with others, or the partitions are too many or of a kind that cannot be named exactly.",
    ),
    "DCP335": ErrorCode(
        "commits kept conflicting", "Other writers changed the same table each time that the driver tried to commit."
    ),
    "DCP336": ErrorCode("catalog or storage unreachable", "The catalog or the storage did not answer the driver."),
    "DCP337": ErrorCode("catalog not configured", "Spark was started without Iceberg's jar or without the catalog alias."),
    "DCP340": ErrorCode("driver out of memory", "The driver's heap was too small for what it had to hold."),
    "DCP341": ErrorCode("executor out of memory", "An executor or its container was ended for using too much memory."),
    "DCP342": ErrorCode("Spark's JVM ended", "Spark's process ended under the driver: memory ran out, or somebody ended it."),
    "DCP343": ErrorCode(
        "result is not the driver's own",
        "The driver's log shows a result that the driver did not deliver: it ended early, and something else wrote that line.",
    ),
    "DCP344": ErrorCode(
        "function not offered",
        "A query calls a function, or gives it an option, that reaches out of SQL: to Java, to classes, or to files and addresses.",
    ),
    "DCP345": ErrorCode(
        "path not for jobs",
        "On a cluster, files are read from object stores and from volumes that the environment mounts, not from the pod itself.",
    ),
    "DCP348": ErrorCode("write cannot be found", "The write ended well, but the table does not show it."),
    "DCP349": ErrorCode("driver failed", "The driver met a failure that it cannot explain; its log has the whole stack."),
    "DCP350": ErrorCode("driver crashed", "The Spark driver ended without reporting a result; the log's last lines say why."),
    "DCP351": ErrorCode(
        "out of memory", "The Spark driver ran out of memory or was killed for it; a retry gets more within limits."
    ),
    "DCP352": ErrorCode("supervisor ended", "The process that watched the Spark driver ended before the driver did."),
    "DCP353": ErrorCode("killed by a signal", "Something outside ended the Spark driver by a signal."),
    "DCP354": ErrorCode("driver did not start", "The Spark driver could not be started on this machine; the message says why."),
    "DCP355": ErrorCode("manifest's fault", "The driver found the SQL, the schema or the merge keys wrong; the log says more."),
    "DCP356": ErrorCode("table or path missing", "A table or path does not exist, or may not be read or written."),
    "DCP357": ErrorCode("commit or storage failed", "Commits kept conflicting, or the catalog or its storage did not answer."),
    "DCP358": ErrorCode("no result reported", "The driver ended well but did not report what it wrote, so nothing proves it."),
    "DCP360": ErrorCode(
        "driver's container out of memory", "The driver's pod was killed at its memory limit; the heap was not to blame."
    ),
    "DCP361": ErrorCode(
        "executor's heap out of memory", "An executor's JVM ran out of heap; a retry gets more of it within limits."
    ),
    "DCP362": ErrorCode(
        "executor's container out of memory", "An executor's pod was killed at its memory limit; a retry gets more overhead."
    ),
    "DCP363": ErrorCode("executors lost", "Executors were evicted, preempted or lost with their nodes until the job gave up."),
    "DCP364": ErrorCode(
        "Python code failed", "The job's own Python code raised an exception; the traceback is in the driver's log."
    ),
    "DCP365": ErrorCode("program missing", "The main class or file that the driver was to run is not in its image."),
    "DCP366": ErrorCode("image not pulled", "The cluster's nodes could not pull the image: no right to it, or no answer."),
    "DCP367": ErrorCode("image does not exist", "The image's name is not one, or its registry does not know it."),
    "DCP368": ErrorCode("no room in the cluster", "No node has the CPU or memory free that a pod asks for."),
    "DCP369": ErrorCode(
        "no node takes the pod", "Node selector, taints or affinity rule every node out, or the node refused the pod."
    ),
}

#: What a diagnosis finds on a cluster, DCP372 to DCP399.
CLUSTER_FAILURE_CODES: dict[str, ErrorCode] = {
    "DCP372": ErrorCode("quota exceeded", "The namespace's ResourceQuota does not allow the job's pods."),
    "DCP373": ErrorCode(
        "service account lacks rights", "The operator's or driver's service account may not make what Spark needs."
    ),
    "DCP374": ErrorCode("service account missing", "The driver's service account does not exist in the namespace."),
    "DCP375": ErrorCode("denied by a policy", "An admission webhook or the Pod Security policy refused the job's pods."),
    "DCP376": ErrorCode("webhook down", "An admission webhook that the cluster must ask did not answer."),
    "DCP377": ErrorCode("evicted", "The driver's node ran short of memory or disk and evicted it."),
    "DCP378": ErrorCode("local disk full", "Driver or executor filled the local disk that they may use."),
    "DCP379": ErrorCode("node lost", "The driver's node was shut down, drained, lost, or needed by a pod of higher priority."),
    "DCP380": ErrorCode("driver pod deleted", "The driver's pod was deleted or ended from outside, not by a cancellation of ours."),
    "DCP381": ErrorCode("pod deadline exceeded", "The cluster ended the driver's pod at its activeDeadlineSeconds."),
    "DCP382": ErrorCode("reserved label", "Spark refuses a label that it keeps for itself; nothing ran."),
    "DCP383": ErrorCode(
        "driver pod exists already", "The operator submitted twice; this does not prove that no driver of the attempt runs."
    ),
    "DCP384": ErrorCode("volume or Secret missing", "A ConfigMap, Secret or volume that the driver's pod needs is not there."),
    "DCP385": ErrorCode("operator did not act", "The Spark operator is down, overloaded, or does not watch the namespace."),
    "DCP386": ErrorCode("driver did not start in time", "The driver's pod was made and did not start before the start time-out."),
    "DCP387": ErrorCode("application vanished", "The SparkApplication is gone and nothing proves how it ended; never a success."),
    "DCP388": ErrorCode(
        "container does not start", "The image's entry point, user or architecture does not fit, or an init container failed."
    ),
    "DCP389": ErrorCode("operator could not submit", "The operator's spark-submit failed; the message has its exception."),
    "DCP390": ErrorCode(
        "columns differ only by case", "Two columns of a result or table have one name, or names that differ only by case."
    ),
    "DCP391": ErrorCode(
        "case of names matters", "spark.sql.caseSensitive is on; the driver matches columns without regard to case, as Spark does."
    ),
    "DCP392": ErrorCode("result too large for the driver", "The job collects more than spark.driver.maxResultSize allows."),
    "DCP393": ErrorCode("type that no table has", "A result's column has a type that Iceberg does not store, such as an interval."),
    "DCP394": ErrorCode(
        "source cannot be read as described", "Spark does not understand a source's options, or the file is of another type."
    ),
    "DCP395": ErrorCode(
        "Spark cannot plan the query",
        "Spark's planner met a fault of its own, which the same query would meet again; it is not retried.",
    ),
}

#: Proof of tables, DCP370 and DCP371.
PROOF_CODES: dict[str, ErrorCode] = {
    "DCP370": ErrorCode(
        "not proved",
        "No snapshot of the table carries the execution's id and the driver did not say that nothing had to be written.",
    ),
    "DCP371": ErrorCode("nothing to prove", "The execution did not succeed or names no job, so there is nothing to publish."),
}

#: Environments and connections, DCP400 to DCP419.
ENVIRONMENT_CODES: dict[str, ErrorCode] = {
    "DCP400": ErrorCode("environment fault", "The platform, not the manifest, is to blame; the message says which part."),
    "DCP401": ErrorCode("pretzel failed", "An error that `pretzel` should have explained; `--debug` prints where it came from."),
    "DCP403": ErrorCode(
        "Airflow could not run the DAG", "`pretzel run` starts an Airflow of its own, which broke down; its log says why."
    ),
    "DCP410": ErrorCode("unknown environment", "The name is none of local, test, staging, prod, production, playground_<user>."),
    "DCP411": ErrorCode("unknown catalog alias", "The environment's connection has no catalog of this alias."),
    "DCP412": ErrorCode("malformed connection field", "A field of a connection of type `dcp` does not hold what it should."),
    "DCP413": ErrorCode("unknown connection field", "A connection of type `dcp` has a field that this version does not know."),
    "DCP414": ErrorCode("backend not available", "The environment's backend is known, but this version cannot run jobs on it."),
    "DCP415": ErrorCode("environment not offered", "The run asked for an environment that its DAG or deployment does not offer."),
    "DCP416": ErrorCode("connection missing", "The environment's Airflow connection is not defined or cannot be read."),
    "DCP417": ErrorCode("wrong configuration", "An option of the configuration section `[dcp]` does not hold what it should."),
    "DCP418": ErrorCode(
        "team not served", "The environment's connection lists the teams that it serves; the job's is not one of them."
    ),
    "DCP419": ErrorCode("catalog is only read", "The job writes a table of a catalog that its environment only reads."),
}

#: Catalogs and tables, DCP420 to DCP435.
TABLE_CODES: dict[str, ErrorCode] = {
    "DCP420": ErrorCode("catalog failed", "The catalog or its storage did not answer, refused, or a package for it is missing."),
    "DCP421": ErrorCode("table cannot be declared so", "A column's type is no Iceberg type, or a partition column is no column."),
    "DCP422": ErrorCode("table missing", "A table that must be there is not in the catalog of the run's environment."),
    "DCP423": ErrorCode("partitions differ", "The table that is there has other partition columns than the job writes."),
    "DCP424": ErrorCode("change would lose data", "The declared columns differ from the table's in a way that would lose data."),
    "DCP425": ErrorCode("embedded catalog unusable", "The folder or the SQLite file of the embedded catalog cannot be used."),
    "DCP426": ErrorCode("Arrow not installed", "The extra `local` is missing, which brings Arrow."),
    "DCP427": ErrorCode("port taken", "The embedded catalog's server cannot listen on the port that it was given."),
    "DCP428": ErrorCode(
        "embedded catalog not started", "The embedded catalog's address was asked for before its server was started."
    ),
}

#: What a manifest asks of its environment, DCP170 to DCP175. They are found when a run begins, before anything is submitted.
LIMIT_CODES: dict[str, ErrorCode] = {
    "DCP170": ErrorCode(
        "above the environment's limit",
        "The manifest's resources ask for more than the environment gives to one job. Nothing is cut down; nothing was submitted.",
    ),
    "DCP171": ErrorCode(
        "Spark setting above the limit",
        "A setting in sparkConf asks for more than the environment's limit, alone or with the memory that it is added to.",
    ),
    "DCP172": ErrorCode(
        "image not allowed", "The manifest names an image that the environment's registries or its tag policy do not allow."
    ),
    "DCP173": ErrorCode("size cannot be read", "A size or number that a limit is held against is none that Spark understands."),
}

#: The gateway, DCP480 to DCP489: clusters, namespaces, images.
GATEWAY_CODES: dict[str, ErrorCode] = {
    "DCP480": ErrorCode("no cluster fits", "The environment has no cluster, all are drained, or none serves the job's Spark."),
    "DCP481": ErrorCode("no namespace", "The namespace template is missing or wrong, or lacks the user or team that it names."),
    "DCP482": ErrorCode("no image", "Neither the manifest nor a rule of the environment names an image for the engine's version."),
    "DCP483": ErrorCode("no cluster answers", "None of the environment's clusters could be asked; nothing was created."),
    "DCP484": ErrorCode(
        "a cluster cannot be asked",
        "An earlier try may have created the execution on a cluster that does not answer now. Nothing is created until it does, so "
        "that a job never runs twice.",
    ),
    "DCP485": ErrorCode("too many executions", "The environment's limit of concurrent executions in one namespace is reached."),
    "DCP486": ErrorCode(
        "image rule breaks the policy", "An image of the environment's own rules is not allowed by its own policy."
    ),
}

#: The sweeper, DCP490 to DCP494.
SWEEPER_CODES: dict[str, ErrorCode] = {
    "DCP490": ErrorCode(
        "sweep incomplete", "Some places could not be looked at, or something that was found there could not be mended."
    ),
}

#: The local backend and the store, DCP436 to DCP459.
LOCAL_CODES: dict[str, ErrorCode] = {
    "DCP436": ErrorCode(
        "Spark version not installed",
        "The job asks for a version of Spark that this machine, or the cluster's image, does not have. No other takes its place.",
    ),
    "DCP437": ErrorCode(
        "Iceberg jar for another Spark", "The Iceberg runtime that is set is for another version of Spark or Scala than the job's."
    ),
    "DCP438": ErrorCode(
        "no Iceberg runtime known", "No Iceberg runtime is known for this version of Spark; name one in `[dcp] iceberg_jar`."
    ),
    "DCP439": ErrorCode("no Spark there", "A place that `DCP_LOCAL_SPARK_HOMES` or `[dcp] spark_homes` names holds no Spark."),
    "DCP440": ErrorCode("Java missing", "No Java was found; Spark needs Java 17."),
    "DCP441": ErrorCode("Java does not fit", "The Java that was found cannot run this Spark; use Java 17."),
    "DCP442": ErrorCode("Iceberg jar missing", "The Iceberg runtime jar is not there and could not be fetched."),
    "DCP443": ErrorCode("Spark missing", "The Python package pyspark is not installed; the extra `local` brings it."),
    "DCP444": ErrorCode("supervisor did not start", "The process that watches the Spark driver could not be started."),
    "DCP445": ErrorCode(
        "record unusable",
        "A file of the local backend's record does not hold what it should, or the disk is full or refuses: see its rights.",
    ),
    "DCP446": ErrorCode("store failed", "The store of executions did not answer or could not be migrated. Jobs are not affected."),
    "DCP447": ErrorCode("wrong local setting", "A setting of the local backend does not hold what it should."),
    "DCP448": ErrorCode(
        "home is not private",
        "DCP_HOME belongs to another user, or every user of the machine may write to it: they could change what runs and read "
        "credentials.",
    ),
}

#: Clusters, DCP460 to DCP469: what an API server refused, or that it did not answer.
CLUSTER_CODES: dict[str, ErrorCode] = {
    "DCP460": ErrorCode("API server not reached", "The cluster's API server did not answer in time; the request may be repeated."),
    "DCP461": ErrorCode("credentials refused", "The cluster does not accept the token or certificate of its Airflow connection."),
    "DCP462": ErrorCode("right missing", "The connection's user may not do this in that namespace; the message names the right."),
    "DCP463": ErrorCode("quota used up", "A ResourceQuota of the namespace allows no further application or pod."),
    "DCP464": ErrorCode("quota not yet known", "The cluster has not computed its quota yet; this passes within minutes."),
    "DCP465": ErrorCode("webhook refused", "An admission webhook denies the resource, or does not answer; the message says which."),
    "DCP466": ErrorCode("resource refused", "The API server finds a field of the resource wrong or unknown; the message names it."),
    "DCP467": ErrorCode("unexpected answer", "The API server answered with an error of its own, or the resource kept changing."),
    "DCP468": ErrorCode("namespace or operator missing", "The namespace or the Spark operator's custom resource is not there."),
    "DCP469": ErrorCode("access unusable", "The cluster's Airflow connection holds no usable configuration or credentials."),
}


def all_codes() -> dict[str, ErrorCode]:
    """Return every code of every family, in order."""
    families = (
        MANIFEST_CODES,
        DAG_CODES,
        USAGE_CODES,
        EXECUTION_CODES,
        FAILURE_CODES,
        CLUSTER_FAILURE_CODES,
        PROOF_CODES,
        ENVIRONMENT_CODES,
        TABLE_CODES,
        LOCAL_CODES,
        LIMIT_CODES,
        CLUSTER_CODES,
        GATEWAY_CODES,
        SWEEPER_CODES,
    )
    return dict(sorted((code, text) for family in families for code, text in family.items()))
