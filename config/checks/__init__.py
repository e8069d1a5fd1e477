"""What must be so before the guard serves, in the order in which it is asked and told.

The first that fails is the one that callers are told, so what explains others comes before them. A check is a
function that answers None, or what is wrong and how to mend it; ``governance/readiness.py`` runs them.
"""

from governance.readiness import DATABASE, Check

from . import database, deployment, isolation, ledger, others, product

CHECKS = (
    # What the process was started with.
    Check("debug", deployment.debug, needs_database=False),
    Check("secret_key", deployment.secret_key, needs_database=False),
    Check("allowed_hosts", deployment.allowed_hosts, needs_database=False),
    Check("secrets", deployment.secret_files, needs_database=False),
    # The database, and that it keeps what it was told.
    Check(DATABASE, database.answers, needs_database=False),
    Check("version", database.version),
    Check("role", database.role),
    Check("migrations", database.migrations),
    Check("writable", database.writable),
    Check("synchronous_commit", database.synchronous_commit),
    Check("fsync", database.fsync),
    Check("clock", database.clock),
    # That it keeps tenants apart and evidence as it was written, whatever we send it.
    Check("rls", isolation.row_security),
    Check("composite_keys", isolation.composite_keys),
    Check("triggers", isolation.triggers),
    Check("functions", isolation.functions),
    Check("rights", isolation.rights),
    Check("grants", isolation.grants),
    Check("indexes", isolation.indexes, is_warning=True),
    # That what happens is written down where nobody can change it unseen.
    Check("ledger_append", ledger.append),
    Check("ledger_key", ledger.key, needs_database=False),
    # That what decides is all there.
    Check("bridges", product.bridges, needs_database=False),
    Check("hooks", product.hooks, needs_database=False),
    Check("spine", product.spine, needs_database=False),
    Check("conditions", product.conditions, needs_database=False),
    Check("policies", product.policies),
    # The processes beside the web. Redis is expendable: what needs it is told and stops nothing.
    Check("sweeper", others.sweeper, needs_running=True),
    Check("ledger_checkpoint", ledger.checkpoint, needs_running=True),
    Check("beat", others.beat, is_warning=True, needs_running=True),
    Check("broker", others.broker, is_warning=True, needs_database=False),
)
