"""Who may do what: the one table. Routes, admin verbs and pages name a right of it, never a role.

Permissions, the test that walks every door, the console's page and ``docs/roles.md`` are all made from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..models import Role
from ..tenants import RANKS


@dataclass(frozen=True, slots=True)
class Right:
    """Something that a caller may be allowed to do: ``name`` is said after "may", ``covers`` says what it opens.

    ``role`` is the lowest role that has it, None where no member of a tenant does; ``agents`` are service accounts;
    ``server`` are those who run the server, ``public`` is everybody, without a token.
    """

    name: str
    covers: str = ""
    role: Role | None = None
    agents: bool = False
    server: bool = False
    public: bool = False

    @property
    def key(self) -> str:
        """Its name as templates write it: ``may.decide_checkpoints``."""
        return self.name.replace(" ", "_")

    def belongs_to(self, role: Role | str | None) -> bool:
        """Whether a member of this role has it; None asks for a service account."""
        if self.public:
            return True
        if role is None:
            return self.agents
        return self.role is not None and RANKS.index(Role(role)) >= RANKS.index(self.role)

    @property
    def holders(self) -> str:
        """Who has it, in words."""
        if self.public:
            return "everybody"
        parts = ["agents"] if self.agents else []
        parts += [f"people from {self.role.value} on"] if self.role else []
        parts += ["those who run the server"] if self.server else []
        return " and ".join(parts) or "nobody"


LOOK_IN = Right("look in", "Read how the API describes itself; it names no tenant.", public=True)
READ = Right(
    "read", "Incidents, stories, policies, evidence, live streams.", Role.VIEWER, agents=True
)
REPORT_HARM = Right("report harm", "Say that a policy did harm.", Role.VIEWER, agents=True)
OVERSEE = Right("oversee governance", "See switches and who may do what.", Role.VIEWER)
READ_LEDGER = Right(
    "read the ledger", "Entries, what was said in private, receipts, signed notes.", Role.VIEWER
)
DECIDE = Right("decide checkpoints", "Approve or reject what others asked for.", Role.REVIEWER)
HANDLE_INCIDENTS = Right("handle incidents", "Acknowledge, resolve and reopen them.", Role.REVIEWER)
HANDLE_RECOVERIES = Right(
    "handle recoveries", "Apply them, reject them, roll them back.", Role.REVIEWER
)
CURATE = Right(
    "curate patterns",
    "Merge, split, rename and silence them; let their recovery be applied without asking; take over a catalogue.",
    Role.REVIEWER,
)
JUDGE_POLICIES = Right("judge policies", "Confirm and activate them.", Role.REVIEWER)
RETRY = Right("retry stages", "Run a stage again that stopped or died.", Role.REVIEWER)
ACT = Right(
    "act as an agent",
    "Ask the guard, report outcomes and incidents, appeal, rehearse a decision.",
    Role.OPERATOR,
    agents=True,
)
WRITE_POLICIES = Right(
    "write policies", "Draft them, submit them to shadow, suspend and retire them.", Role.OPERATOR
)
WRITE_RECOVERIES = Right("write recoveries", "Write and disable templates.", Role.OPERATOR)
STEER = Right("steer routing", "Roll adjustments back.", Role.OPERATOR)
REVERT = Right("take loops back", "Ask for it; somebody else approves.", Role.OPERATOR)
REHEARSE = Right(
    "rehearse graduation", "Weigh it now; store evidence marked as simulated.", Role.OPERATOR
)
SWITCH = Right("turn switches", "Hold the loop or one of its steps.", Role.OPERATOR)
STOP_AGENTS = Right(
    "stop agents",
    "One or all of them; say that the product is degraded; and take either back.",
    Role.OPERATOR,
)
GOVERN_AGAIN = Right(
    "govern again", "End a bypass, or take back one that was asked for.", Role.OPERATOR
)
BYPASS = Right(
    "bypass governance",
    "Ask to govern nothing for at most an hour; confirm what another asked.",
    Role.ADMIN,
)
MANAGE_SETTINGS = Right("change settings", "What the tenant decided for itself.", Role.ADMIN)
MANAGE_MEMBERS = Right("manage members", "Give others a role, or take it away.", Role.ADMIN)
MANAGE_TOKENS = Right("revoke tokens", "Anybody's, for good.", Role.ADMIN)
ERASE = Right("erase what was said", "A reason in the ledger, for good.", Role.ADMIN)
READ_SECRETS = Right("read the webhook secret", "To give it to receivers.", Role.ADMIN)
RUN_SERVER = Right(
    "run the server", "Tenants, people, switches that hold for all of them.", server=True
)

MATRIX = (
    LOOK_IN,
    READ,
    REPORT_HARM,
    OVERSEE,
    READ_LEDGER,
    DECIDE,
    HANDLE_INCIDENTS,
    HANDLE_RECOVERIES,
    CURATE,
    JUDGE_POLICIES,
    RETRY,
    ACT,
    WRITE_POLICIES,
    WRITE_RECOVERIES,
    STEER,
    REVERT,
    REHEARSE,
    SWITCH,
    STOP_AGENTS,
    GOVERN_AGAIN,
    BYPASS,
    MANAGE_SETTINGS,
    MANAGE_MEMBERS,
    MANAGE_TOKENS,
    ERASE,
    READ_SECRETS,
    RUN_SERVER,
)
