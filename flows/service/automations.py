"""What the Prefect server does by itself with runs that go wrong. Each automation is registered by
its name; one whose definition has not changed is left as it is, with what it counts.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from prefect.automations import ResourceSpecification
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore as Automation
from prefect.events.schemas.automations import EventTrigger, Posture

EVENT = "prefect.flow-run."
PENDING = ("Pending", "Submitting", "InfrastructurePending")  # the way of a run through a worker
ENDED = ("Completed", "Failed", "Cancelled", "Crashed")
LEFT_PENDING = (*ENDED, "Running", "Cancelling", "Paused", "Suspended", "Scheduled")
BACK_IN_LINE = ("AwaitingRetry", "AwaitingConcurrencySlot", "Late", "Retrying")
EVERY_RUN = ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"})
AS_GIVEN = {  # all parameters of the run that the automation is about
    "__prefect_kind": "json",
    "value": {"__prefect_kind": "jinja", "template": "{{ flow_run.parameters | tojson }}"},
}
RUN, DEPLOYMENT = "prefect.resource.id", "related:deployment:prefect.resource.id"
Action = ChangeFlowRunState | RunDeployment


@dataclass(frozen=True, slots=True)
class Times:
    """How long is waited before a run is given up.

    Args:
        silent_seconds: Without a heartbeat; more than one of them must be missed.
        pending_seconds: Between Pending and Running.
        starts_an_hour: Starts of crashed runs of one deployment.
    """

    silent_seconds: int = 90
    pending_seconds: int = 600
    starts_an_hour: int = 3


def automations(times: Times) -> list[Automation]:
    """All of them, in the order in which a run meets them."""
    return [_pending(times), _silent(times), *_again(times)]


def register(times: Times) -> list[str]:
    """Bring the server's automations to these; gives their names."""
    with get_client(sync_client=True) as client:
        known = {automation.name: automation for automation in client.read_automations()}
        for wanted in automations(times):
            there = known.get(wanted.name)
            if there is not None and there.description == wanted.description:
                continue
            if there is not None:
                client.delete_automation(there.id)
            client.create_automation(wanted)
    return [wanted.name for wanted in automations(times)]


def _pending(times: Times) -> Automation:
    """A worker that was killed between taking a run and starting it leaves it Pending, with the
    only slot of its deployment; no heartbeat tells.
    """
    left = {f"{EVENT}{state}" for state in (*LEFT_PENDING, *BACK_IN_LINE)}
    return _named(
        "a run that stays Pending is Crashed",
        EventTrigger(
            after={f"{EVENT}{state}" for state in PENDING},
            expect=left,
            match=EVERY_RUN,
            for_each={RUN},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=times.pending_seconds),
        ),
        _to(StateType.CRASHED, f"Pending for {times.pending_seconds} s"),
    )


def _silent(times: Times) -> Automation:
    """After Running and after each heartbeat a heartbeat is expected, or an end of the run. One
    that arrives after the end changes nothing: the server refuses Crashed after any end.
    """
    expected = {f"{EVENT}{state}" for state in ("heartbeat", *ENDED, *BACK_IN_LINE)}
    return _named(
        "a run whose heartbeat stops is Crashed",
        EventTrigger(
            after={f"{EVENT}heartbeat", f"{EVENT}Running"},
            expect=expected,
            match=EVERY_RUN,
            for_each={RUN},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=times.silent_seconds),
        ),
        _to(StateType.CRASHED, f"no heartbeat for {times.silent_seconds} s"),
    )


def _again(times: Times) -> list[Automation]:
    """The first crash of a deployment within an hour starts a run in its place, with the parameters
    that it was given; so does the second, and the third. Each of these fires once an hour.

    It is a run of its own: the crashed one stays Crashed, so that what still works for it, and what
    a worker says late of it, can be told from what works in its place.
    """
    return [
        _named(
            f"a Crashed run is started again, start {number} in an hour",
            EventTrigger(
                expect={f"{EVENT}Crashed"},
                match=EVERY_RUN,
                match_related={
                    "prefect.resource.role": "deployment",
                    "prefect.resource.id": "prefect.deployment.*",
                },
                for_each={DEPLOYMENT},
                posture=Posture.Reactive,
                threshold=number,
                within=timedelta(hours=1),
            ),
            RunDeployment(
                source="inferred", deployment_id=None, parameters=AS_GIVEN, job_variables=None
            ),
        )
        for number in range(1, times.starts_an_hour + 1)
    ]


def _to(state: StateType, message: str) -> ChangeFlowRunState:
    return ChangeFlowRunState(state=state, message=message, name=None, force=False)


def _named(name: str, trigger: EventTrigger, action: Action) -> Automation:
    """An automation whose description ends in a hash of what it says."""
    said = f"{trigger.model_dump_json(exclude={'id'})}{action.model_dump_json()}"
    parts = "".join(sorted(said))  # sets have no order of their own
    description = f"mmdiag {hashlib.sha256(parts.encode()).hexdigest()[:12]}"
    return Automation(name=name, description=description, trigger=trigger, actions=[action])
