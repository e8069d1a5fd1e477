"""The loop, read first: the bridges in order, and what a decided checkpoint does.

    incident -> pattern -> recovery -> policy -> routing, and the policy prevents the next incident

Each bridge leads to the stage it is named for; ``land`` does the work in one fenced transaction, ``ask`` (if any)
talks to servers that are not ours, ``undo`` takes back what only this loop caused. ``governance/loop`` runs them.
"""

import catalog.bridge
import governance.bridge
import policies.bridge
import policies.services
import policies.services.graduation
import policies.services.life
import policies.services.regret
import recovery.bridge
import recovery.services
import routing.bridge
import routing.services
from catalog import services as catalog_services
from governance import revert
from governance.actors import Actor
from governance.loop.bridges import Bridge
from governance.models import Checkpoint, Stage
from policies.models import Policy

BRIDGES = (
    Bridge(
        Stage.PATTERN_MATCHED, "match the incident", catalog.bridge.land, undo=catalog.bridge.undo
    ),
    Bridge(
        Stage.RECOVERY_SUGGESTED,
        "suggest a recovery",
        recovery.bridge.land,
        undo=recovery.bridge.undo,
        ask=recovery.bridge.ask,
    ),
    Bridge(
        Stage.POLICY_GENERATED, "draft a policy", policies.bridge.land, undo=policies.bridge.undo
    ),
    Bridge(Stage.ROUTING_ADJUSTED, "adjust routing", routing.bridge.land, undo=routing.bridge.undo),
    Bridge(Stage.LOOP_COMPLETE, "close the story", governance.bridge.land),
)


def policy_decided(checkpoint: Checkpoint, actor: Actor) -> None:
    """A policy that is in force again has its weights back."""
    policy = policies.services.life.decided(checkpoint, actor)
    if policy.state == Policy.State.ACTIVE:
        routing.services.readjust(policy, actor=actor)


# What a decision does, in the deciding transaction. Steps that wait for the checkpoint go on besides.
DECISIONS = {
    Checkpoint.Type.APPROVE_RECOVERY: recovery.services.decided,
    Checkpoint.Type.APPROVE_POLICY: policy_decided,
    Checkpoint.Type.SIMULATE_ROUTING: routing.services.decided_preview,
    Checkpoint.Type.OVERRIDE_GUARDRAIL: routing.services.decided_override,
    Checkpoint.Type.REVERT_LOOP: revert.decided,
    Checkpoint.Type.APPEAL: policies.services.regret.uphold_appeal,
}

# What a story shows of the records above it, as they are now.
RECORDS = {
    "match": catalog_services.story,
    "pattern": catalog_services.pattern_story,
    "recovery": recovery.services.story,
    "policy": policies.services.story,
    "adjustment": routing.services.story,
}
# What a pattern's page shows of the records above it.
CAME_OF_PATTERN = (recovery.services.of_pattern, policies.services.of_pattern)
# Why a match is one, for the story's page.
REASONS = catalog_services.reasons
GRADUATION = policies.services.graduation.status
# A person who opens a story may thereby pass the third gate.
TIMELINE_OPENED = policies.services.graduation.note_timeline_view
