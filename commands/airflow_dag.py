"""The dag DAG_ID of Parley as an Airflow DAG, for Airflow 2.10 and newer.

`deno task airflow export` wrote this file. After a change of the dag, export it again.
Each task is one call of Parley's `run-task`. Settings in the environment of the workers:

AIRFLOW_PARLEY_HOME     the folder of Parley's checkout
AIRFLOW_PARLEY_COMMAND  how its pipeline is called there; default: deno task --quiet pipeline
PARLEY_...              Parley's own settings, such as PARLEY_STORES; they can also be in its .env
"""

from __future__ import annotations

import json
import os
import shlex
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from airflow.timetables.interval import CronDataIntervalTimetable

try:  # Airflow 3
    from airflow.providers.standard.hooks.subprocess import SubprocessHook
    from airflow.providers.standard.operators.branch import BaseBranchOperator
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import DAG, BaseOperator, Param, TriggerRule
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.hooks.subprocess import SubprocessHook
    from airflow.models.baseoperator import BaseOperator
    from airflow.models.param import Param
    from airflow.operators.branch import BaseBranchOperator
    from airflow.operators.empty import EmptyOperator
    from airflow.utils.trigger_rule import TriggerRule

try:  # Links Parley's lineage to Airflow's, if Airflow sends any.
    from airflow.providers.openlineage.plugins.macros import lineage_parent_id
except ImportError:
    lineage_parent_id = None

PARLEY = json.loads(r"""DECLARATION""")

# A rule that Airflow 2 lacks: there the task waits for all tasks that it needs, and checks their states.
MIN_ONE_SUCCESS = "all_done_min_one_success"
HAS_MIN_ONE_SUCCESS = MIN_ONE_SUCCESS in {rule.value for rule in TriggerRule}


class ParleyTask(BaseBranchOperator):
    """One attempt of one task. It is a branch operator, since any task may choose which dependents continue."""

    def __init__(self, *, trigger_rule: str, **kwargs):
        self.min_one_success = trigger_rule == MIN_ONE_SUCCESS and not HAS_MIN_ONE_SUCCESS
        super().__init__(trigger_rule="all_done" if self.min_one_success else trigger_rule, **kwargs)

    @cached_property
    def process(self) -> SubprocessHook:
        return SubprocessHook()

    def execute(self, context):
        if self.min_one_success:
            self.check_upstream(context["dag_run"])
        home = Path(os.environ["AIRFLOW_PARLEY_HOME"])
        data = home / ".parley"  # the only folder that the command may write to
        data.mkdir(mode=0o700, exist_ok=True)
        with TemporaryDirectory(dir=data) as folder:
            result = Path(folder, "result.json")
            code = self.process.run_command(
                [*self.command(context), "--output", str(result.relative_to(home))],
                cwd=str(home),
                # Airflow's own secrets are no business of the tasks.
                env={name: value for name, value in os.environ.items() if "AIRFLOW" not in name},
            ).exit_code
            branch = json.loads(result.read_text())["branch"] if code == 0 else None
        if code == 99:
            raise AirflowSkipException("Nothing to do: the log says why.")
        if code == 98:
            raise AirflowFailException("Failed, and no retry can help: the log says why.")
        if code != 0:
            raise AirflowException(f"Failed with exit code {code}: the log says why.")
        if branch is not None:
            self.do_branch(context, branch)

    def command(self, context) -> list[str]:
        run, ti, params = context["dag_run"], context["ti"], context["params"]
        command = [
            *shlex.split(os.environ.get("AIRFLOW_PARLEY_COMMAND", "deno task --quiet pipeline")),
            *("run-task", "--dag", self.dag_id, "--task", self.task_id),
            # DAGs that run at the same time have the same run id in Airflow.
            *("--run-id", f"{self.dag_id}-{run.run_id}", "--attempt", str(ti.try_number)),
        ]
        if run.data_interval_start and run.data_interval_end:
            command += ["--from", run.data_interval_start.isoformat()]
            command += ["--to", run.data_interval_end.isoformat()]
        for name, schema in PARLEY["params"].items():
            if params[name] != schema["default"]:
                command += ["--param", f"{name}={json.dumps(params[name])}"]
        if lineage_parent_id:
            command += ["--lineage-parent", lineage_parent_id(ti)]
        return command

    def check_upstream(self, dag_run):
        states = {ti.state for ti in dag_run.get_task_instances() if ti.task_id in self.upstream_task_ids}
        if "success" in states:
            return
        if states <= {"skipped"}:
            raise AirflowSkipException("All tasks that it needs were skipped.")
        raise AirflowFailException("No task that it needs has succeeded.")

    def on_kill(self):
        self.process.send_sigterm()


class Watcher(BaseOperator):
    """Fails the run if a task has failed whose dependents still ran: Airflow looks at the leaves alone."""

    def execute(self, context):
        raise AirflowFailException("A task of this run has failed.")


with DAG(
    dag_id=PARLEY["dag_id"],
    doc_md=PARLEY["doc_md"],
    default_args={"owner": PARLEY["owner"]},
    tags=PARLEY["tags"],
    schedule=CronDataIntervalTimetable(**PARLEY["schedule"]) if PARLEY["schedule"] else None,
    start_date=datetime.fromisoformat(PARLEY["start_date"]),
    catchup=PARLEY["catchup"],
    max_active_runs=PARLEY["max_active_runs"],
    params={name: Param(**schema) for name, schema in PARLEY["params"].items()},
) as dag:
    tasks = {
        task["task_id"]: ParleyTask(
            task_id=task["task_id"],
            doc_md=task["doc_md"],
            trigger_rule=task["trigger_rule"],
            retries=task["retries"],
            retry_delay=timedelta(seconds=task["retry_delay"]),
            retry_exponential_backoff=True,
            max_retry_delay=timedelta(seconds=task["max_retry_delay"]),
            execution_timeout=task["execution_timeout"] and timedelta(seconds=task["execution_timeout"]),
            pool=task["pool"],
            pool_slots=task["pool_slots"],
            priority_weight=task["priority_weight"],
        )
        for task in PARLEY["tasks"]
    }
    for task in PARLEY["tasks"]:
        tasks[task["task_id"]].set_upstream([tasks[task_id] for task_id in task["upstream"]])
    if PARLEY["watched"]:
        watcher = Watcher(task_id="parley-watcher", trigger_rule="one_failed", retries=0)
        watcher.set_upstream([tasks[task_id] for task_id in PARLEY["watched"]])
    if PARLEY["may_fail"]:
        end = EmptyOperator(task_id="parley-end", trigger_rule="all_done")
        end.set_upstream([tasks[task_id] for task_id in PARLEY["may_fail"]])
