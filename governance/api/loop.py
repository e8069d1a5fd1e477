"""The loop of one incident: where it is, what happened, and what a person may do about it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from .. import revert
from ..access.bodies import validated
from ..access.matrix import READ, RETRY, REVERT
from ..access.principals import actor_of, principal_of
from ..access.reasons import PerhapsReasonSerializer, ReasonSerializer
from ..access.views import ApiView
from ..loop import verbs as loop
from ..models import LoopTrace, Stage
from ..story.hooks import timeline_opened
from ..story.progress import progress, stages
from ..story.stats import MOST_HOURS, stats
from ..story.timeline import NoStory, newest_trace, timeline


class ProgressSerializer(serializers.Serializer[Any]):
    """Where a loop is."""

    incident_id = serializers.CharField()
    trace_id = serializers.CharField()
    generation = serializers.IntegerField()
    current_stage = serializers.ChoiceField(choices=Stage.choices)
    stages_completed = serializers.ListField(child=serializers.CharField())
    total_stages = serializers.IntegerField()
    completion_pct = serializers.IntegerField()
    state = serializers.ChoiceField(choices=LoopTrace.State.choices)
    failure_state = serializers.CharField(allow_null=True)
    is_complete = serializers.BooleanField()
    details = serializers.DictField()
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class StageSerializer(serializers.Serializer[Any]):
    """One stage of a loop."""

    stage = serializers.CharField()
    state = serializers.CharField()
    headline = serializers.CharField()
    failure_state = serializers.CharField(allow_null=True)
    waits_for = serializers.CharField(allow_null=True)
    attempts = serializers.IntegerField()
    error = serializers.CharField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    can_retry = serializers.BooleanField()


class StagesSerializer(serializers.Serializer[Any]):
    """All stages of a loop, in order."""

    incident_id = serializers.CharField()
    stages = StageSerializer(many=True)


class RevertSerializer(serializers.Serializer[Any]):
    """What came of asking for a revert: done, or the checkpoint that waits for somebody else's approval."""

    state = serializers.CharField()
    checkpoint_id = serializers.CharField(allow_null=True)


class EntrySerializer(serializers.Serializer[Any]):
    """One thing that happened."""

    id = serializers.CharField()
    place = serializers.CharField(
        help_text="To be sent as Last-Event-ID: a stream goes on after it."
    )
    type = serializers.CharField()
    stage = serializers.CharField(allow_null=True)
    timestamp = serializers.DateTimeField()
    headline = serializers.CharField()
    is_milestone = serializers.BooleanField()
    subject = serializers.CharField(allow_null=True)
    actor = serializers.CharField()
    gesture = serializers.CharField(allow_null=True)
    simulated = serializers.BooleanField()
    details = serializers.DictField()


class SummarySerializer(serializers.Serializer[Any]):
    """What a timeline comes to."""

    event_count = serializers.IntegerField()
    has_prevention = serializers.BooleanField()
    is_learning_proof = serializers.BooleanField(
        help_text="It shows a failure, the policy born of it, and a recurrence that was prevented."
    )


class HumanDecisionSerializer(serializers.Serializer[Any]):
    """What one person decided."""

    headline = serializers.CharField()
    by = serializers.CharField()
    at = serializers.DateTimeField()
    reason = serializers.CharField()


class NarrativeSerializer(serializers.Serializer[Any]):
    """The story in five parts."""

    what_happened = serializers.CharField()
    what_we_learned = serializers.CharField()
    what_we_changed = serializers.CharField()
    confidence_summary = serializers.CharField()
    human_decisions = HumanDecisionSerializer(many=True)


class TimelineSerializer(serializers.Serializer[Any]):
    """Everything that happened because of an incident, and what it means."""

    incident_id = serializers.CharField()
    timeline = EntrySerializer(many=True)
    summary = SummarySerializer()
    narrative = NarrativeSerializer()


class TargetSerializer(serializers.Serializer[Any]):
    """One thing we aim for, and how it is; value and met are null while there is nothing to tell."""

    key = serializers.CharField()
    name = serializers.CharField()
    target = serializers.CharField()
    value = serializers.FloatField(allow_null=True)
    met = serializers.BooleanField(allow_null=True)


class StatsSerializer(serializers.Serializer[Any]):
    """The figures of the last hours; simulated evidence is left out."""

    hours = serializers.IntegerField()
    total_incidents = serializers.IntegerField()
    patterns_matched = serializers.IntegerField()
    patterns_created = serializers.IntegerField()
    recoveries_suggested = serializers.IntegerField()
    recoveries_applied = serializers.IntegerField()
    policies_generated = serializers.IntegerField()
    routing_adjustments = serializers.IntegerField()
    preventions = serializers.IntegerField()
    regrets = serializers.IntegerField()
    avg_loop_completion_time_ms = serializers.IntegerField(allow_null=True)
    loop_completion_rate = serializers.FloatField(allow_null=True)
    loops = serializers.DictField(child=serializers.IntegerField())
    targets = TargetSerializer(many=True)


class StoryView(ApiView):
    """A view about one incident's loop."""

    lookup_url_kwarg = "incident"
    serializer_class = ProgressSerializer

    def locate(self) -> LoopTrace:
        try:
            return newest_trace(self.kwargs["incident"])
        except NoStory as error:
            raise Http404 from error


class LoopView(StoryView):
    """Where the loop of an incident is."""

    access: ClassVar[Any] = {"get": READ}

    @extend_schema(responses=ProgressSerializer)
    def get(self, request: Request, incident: str) -> Response:
        return Response(progress(self.locate()))


class StagesView(StoryView):
    """The stages of an incident's loop."""

    access: ClassVar[Any] = {"get": READ}

    @extend_schema(responses=StagesSerializer)
    def get(self, request: Request, incident: str) -> Response:
        trace = self.locate()
        rows = [
            {key: value for key, value in row.items() if key != "step_id"} for row in stages(trace)
        ]
        return Response({"incident_id": incident, "stages": rows})


class RetryView(StoryView):
    """Try a failed stage again."""

    access: ClassVar[Any] = {"post": RETRY}

    @extend_schema(request=PerhapsReasonSerializer, responses={202: ProgressSerializer})
    def post(self, request: Request, incident: str, stage: str) -> Response:
        trace = self.locate()
        asked = validated(PerhapsReasonSerializer, request)
        loop.retry(trace, stage, actor=actor_of(request), **asked)
        trace.refresh_from_db()
        return Response(progress(trace), status=status.HTTP_202_ACCEPTED)


class RevertView(StoryView):
    """Ask that what a loop did be taken back; somebody else approves."""

    access: ClassVar[Any] = {"post": REVERT}

    @extend_schema(request=ReasonSerializer, responses={202: RevertSerializer})
    def post(self, request: Request, incident: str) -> Response:
        trace = self.locate()
        asked = validated(ReasonSerializer, request)
        checkpoint = revert.ask_revert(trace, actor=actor_of(request), **asked)
        answer = {"state": trace.state, "checkpoint_id": checkpoint.id if checkpoint else None}
        return Response(answer, status=status.HTTP_202_ACCEPTED)


class TimelineView(StoryView):
    """Everything that happened because of an incident, and what it means."""

    access: ClassVar[Any] = {"get": READ}

    @extend_schema(
        parameters=[OpenApiParameter("gesture", str, description="Only what this one caused.")],
        responses=TimelineSerializer,
    )
    def get(self, request: Request, incident: str) -> Response:
        self.locate()
        if (user := principal_of(request).user) is not None:
            timeline_opened(user, incident)
        return Response(timeline(incident, request.query_params.get("gesture", "")))


class HoursSerializer(serializers.Serializer[Any]):
    """How far back to look."""

    hours = serializers.IntegerField(min_value=1, max_value=MOST_HOURS, default=24)


class StatsView(ApiView):
    """Figures of the last hours beside what we aim for."""

    access: ClassVar[Any] = {"get": READ}
    serializer_class = HoursSerializer

    @extend_schema(parameters=[OpenApiParameter("hours", int)], responses=StatsSerializer)
    def get(self, request: Request) -> Response:
        asked = HoursSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        return Response(stats(**asked.validated_data))
