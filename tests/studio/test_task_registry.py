"""Every task of the registry names a request and a function that exist."""

from __future__ import annotations

from importlib import import_module

import pytest

from studio.app.task_registry import TASKS


@pytest.mark.parametrize("name", sorted(TASKS))
def test_request_and_function_of_a_task_exist(name: str) -> None:
    task = TASKS[name]
    for address in filter(None, (task.request, task.run, task.work_estimator)):
        module, attribute = address.split(":")
        assert callable(getattr(import_module(module), attribute))
