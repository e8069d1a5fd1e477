"""The records of the ground: one noun a file."""

from .checkpoints import Checkpoint
from .heartbeats import Heartbeat
from .identity import Agent, Run
from .ledger import (
    LedgerEntry,
    LedgerLeaf,
    LedgerMark,
    LedgerNode,
    LedgerNote,
    LedgerPayload,
)
from .limits import Allowance, SignIn
from .modes import Bypass, ServerMode
from .people import Account, Membership, Role, Settings, Tenant, User
from .requests import IdempotentRequest
from .story import FailureState, LoopEvent, LoopStep, LoopTrace, Stage
from .switches import GlobalSwitch, Switch
from .tokens import ApiToken

__all__ = [
    "Account",
    "Agent",
    "Allowance",
    "ApiToken",
    "Bypass",
    "Checkpoint",
    "FailureState",
    "GlobalSwitch",
    "Heartbeat",
    "IdempotentRequest",
    "LedgerEntry",
    "LedgerLeaf",
    "LedgerMark",
    "LedgerNode",
    "LedgerNote",
    "LedgerPayload",
    "LoopEvent",
    "LoopStep",
    "LoopTrace",
    "Membership",
    "Role",
    "Run",
    "ServerMode",
    "Settings",
    "SignIn",
    "Stage",
    "Switch",
    "Tenant",
    "User",
]
