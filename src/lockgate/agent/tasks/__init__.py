"""The tasks, one per file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lockgate.agent.task import Task
from lockgate.agent.tasks import (
    azure_cli,
    azure_ml_job_wait,
    bash,
    cache,
    command_line,
    copy_files,
    delay,
    delete_files,
    download_pipeline_artifact,
    manual_validation,
    publish_build_artifacts,
    publish_code_coverage_results,
    publish_pipeline_artifact,
    publish_test_results,
    python_script,
    use_python_version,
)
from lockgate.agent.tasks.mapped import mapped_tasks
from lockgate.pipelines.task_specification import TaskCatalog

TASKS: Final[tuple[Task, ...]] = (
    azure_cli.TASK,
    azure_ml_job_wait.TASK,
    bash.TASK,
    cache.TASK,
    command_line.TASK,
    copy_files.TASK,
    delay.TASK,
    delete_files.TASK,
    download_pipeline_artifact.TASK,
    manual_validation.TASK,
    publish_build_artifacts.TASK,
    publish_code_coverage_results.TASK,
    publish_pipeline_artifact.TASK,
    publish_test_results.TASK,
    python_script.TASK,
    use_python_version.TASK,
)


def catalog(root: Path) -> TaskCatalog:
    """The tasks that can be run in a project, those it maps itself too."""
    return TaskCatalog((task.specification for task in TASKS), mapped_tasks(root))
