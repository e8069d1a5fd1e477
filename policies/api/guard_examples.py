"""What an agent sends and is told, as the API's description shows it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample

QUESTION: dict[str, Any] = {
    "agent_id": "travel-desk",
    "run_id": "desk-7-1",
    "step": 3,
    "action": {
        "kind": "tool_call",
        "tool": "book_flight",
        "arguments": {"flight": "LH 454", "cabin": "first", "seats": 1},
    },
    "context": {"task": "a trip to San Francisco"},
}
_DECISION = "dec_01k7c3w9v0e8rtm6v5x1b2n4qd"
ALLOWED: dict[str, Any] = {
    "decision_id": _DECISION,
    "verdict": "allow",
    "mode": None,
    "would_be": None,
    "policies": [],
    "reason": "",
    "retryable": False,
    "appeal_url": None,
    "directives": [],
    "allowed_instead": [],
}
DENIED: dict[str, Any] = {
    **ALLOWED,
    "verdict": "block",
    "policies": [
        {
            "id": "pol_01k7c2m0z4h1pq8s9t3v5w6x7y",
            "name": "book_flight: No seats in first",
            "action": "block",
            "version": 2,
        }
    ],
    "reason": "Blocked by the policy 'book_flight: No seats in first'. Blocks book_flight when cabin is \"first\".",
    "appeal_url": f"/api/v1/guard/decisions/{_DECISION}/appeal",
    "allowed_instead": [
        {
            "argument": "cabin",
            "how": "one_of",
            "values": ["economy"],
            "good_calls": 12,
            "text": 'cabin in ["economy"] was let through in 12 good calls',
        }
    ],
}
UNAVAILABLE: dict[str, Any] = {
    **ALLOWED,
    "verdict": "block",
    "reason": "governance_unavailable: the policies cannot be read just now. Try again.",
    "retryable": True,
}

EXAMPLES = [
    OpenApiExample("A call of a tool", QUESTION, request_only=True),
    OpenApiExample("Allowed", ALLOWED, response_only=True),
    OpenApiExample("Denied, and what would be allowed", DENIED, response_only=True),
    OpenApiExample("Denied for now: ask again", UNAVAILABLE, response_only=True),
]
