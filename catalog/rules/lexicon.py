"""The words that say what went wrong, and the words after which a value follows.

General English of failures, none of one system: a difference between two of STATES ("opened", "closed") is a difference
of the failure, a difference between two words that are not known ("alice", "oracle") may be one of its values.
"""

__all__ = ["CALENDAR", "CODES", "FUNCTION", "NAMED", "PREPOSITIONS", "SLOTS", "STATES", "is_word"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTION = _words(
    """a about above across after again against all already also although am an and any are as at be because been before
    being below between both but by can cannot could did do does doing done down during each either else every few for from
    further had has have having he her here his how i if in into is it its itself just may me might more most much must my
    neither never no nor not now of off on once only or other our out over own per same shall she should since so some such
    than that the their them then there these they this those through thus to too under unless until up upon us very via was
    we were what when where whether which while who whom whose why will with within without would yet you your"""
)

# Verbs in their forms, states, and the nouns of computing that tell one failure from another.
STATES = _words(
    """abort aborted aborting aborts absent accept accepted accepting access account accounts action active add added adding
    address addresses alarm alive allocate allocated allocation allow allowed alert ambient amount answer append application apply
    argument arguments assert assertion assigned assign attach attached attempt attempted attempting attempts attribute
    authenticate authenticated authentication authorization authorized available backend backup bad balance bind blocked
    boot bootup broken buffer build busy byte bytes cache call called callback caller calling cancel canceled cancelled
    canceling capacity caught certificate change changed changing channel check checked checking checksum child class clean
    cleanup clear cleared client close closed closing cluster column command commands commit committed communication
    compare compile compiled complete completed completing component config configuration configured conflict confirm
    confirmed connect connected connecting connection connections consumer container content context continue control
    conversion convert core corrupt corrupted corruption could count cpu crash crashed create created creating creation
    credentials critical current cycle daemon data database date deadlock debug decode default delay delayed delete deleted
    deleting delivered denied deny dependency deprecated destination destroy destroyed detached detect detected device
    different directory disabled disable disabling disconnect disconnected disconnecting discarded disk display domain
    down download driver drop dropped dropping duplicate duplicated early element empty enable enabled enabling encode
    encountered end ended ending engine enough entry environment eof error errors event events exceed exceeded exceeds
    exception exec execute executed executing execution exhausted exist existing exists exit exited exiting expect expected
    expire expired expires expiring extend external extra fail failed failing fails failure failures fatal fault fetch field
    file files filesystem find finish finished finishing flag flush flushed flushing forbidden force forced format forward
    found free freed full function gateway generate get getting given global granted group guest halt halted handle handled
    handler handshake hang hardware hash header health heap heartbeat high host ignore ignored ignoring image import
    incompatible incomplete incorrect index info init initialize initialized initializing input insert inserted install
    installed instance insufficient interface internal interrupt interrupted interrupting invalid invalidated invocation
    issue item job join joined key kernel kill killed killing label last late latency launch launched launching layer leader
    leak leave left length level library limit limited line link list listen listener listening load loaded loading local
    locate location lock locked locking log login logout logged lookup loop lost low machine main malformed manager mapped
    mapping mask master match matched max maximum mechanism memory message metadata method metrics min minimum mismatch
    missing mode module monitor mount mounted move moved name negative negotiation network new next node none null number
    object offline offset old online open opened opening operation option order orphan other output overflow overload
    overloaded owner packet packets page panic parameter parse parsed parser parsing partial partition password path pause
    paused peer pending permission permissions pid ping plugin policy pool port power prepare present prevent previous
    priority private problem procedure process processed processing produce producer program progress property protocol
    provided provider proxy public publish pull push put query queue queued quit quota race range rate reached read reading
    ready reason reboot receive received receiver receiving reconnect record recover recovered recovering recovery
    recursion redirect reduce reference refused refusing register registered registering reject rejected rejecting relation
    release released releasing reload remote remove removed removing rename renamed renew reopen repair repeat repeated
    replace replica replicate replication reply report reported request requested requesting requests require required
    requires reserve reserved reset resetting resolve resolved resolving resource resources respond responding response
    restart restarted restarting restore restored restoring result results resume resumed retry retried retrying return
    returned returning revoked role rollback root rotate route row rule run running runtime safe sample save saved saving
    scan schedule scheduled scheduler scheduling schema script seat seats search second section secure security segment
    select send sender sending sent sequence server service session set setting settings setup shape share shutdown signal
    signature size skip skipped skipping slow socket soft source space stack stale standby start started starting starts
    startup state statement status step stop stopped stopping storage store stored stream string success successful
    successfully supported suspend suspended sync synchronize syntax system table tag target task temperature template
    temporary terminate terminated terminating termination test thread threshold throttled time timed timeout timer timestamp
    token tool total trace transaction transfer transition transitioned tree trigger triggered try trying type unable
    unauthorized unavailable undefined unexpected unhealthy uninitialized unique unit unknown unlock unlocked unmount
    unreachable unrecognized unregister unregistered unresolved unsupported unusable update updated updating upgrade upload
    uptime usage use used user username users using valid validate validated validation value values variable verification
    verified verify version view virtual volume wait waiting wake warning warnings warn watch web window worker write writing
    written wrong zero zone"""
)

# "user alice", "host build-farm": what follows is a name, even where it looks like any other word.
NAMED = _words("user username login logname uname hostname rhost ruser usr account agent named")

# What follows is a value where it looks like an identifier ("domain root_backup", "class a.b.C").
SLOTS = _words(
    """attribute bucket class client column command container database device directory domain dependency field file folder
    function group host id image index interface job key member method model module node object option package parameter
    partition path peer pod pool process property queue relation resource role rule schema script server service session
    sheet table tag target task template thread tool topic type url variable view volume worker zone"""
)

# A number after one of these says what went wrong: a 401 asks for another remedy than a 429.
CODES = _words("errno status http code exit signal sqlstate")

CALENDAR = _words(
    """mon tue wed thu fri sat sun monday tuesday wednesday thursday friday saturday sunday
    jan feb mar apr jun jul aug sep sept oct nov dec january february march april june july august september october
    november december"""
)


# A name after one of these is mostly a value: "for root", "by alice", "on host".
PREPOSITIONS = _words("at by for from in into of on to via with")

_ENDINGS = (
    "ed",
    "ing",
    "tion",
    "sion",
    "ment",
    "ness",
    "ance",
    "ence",
    "able",
    "ible",
    "ure",
    "ful",
    "less",
    "ity",
    "ly",
    "ive",
)


def is_word(word: str) -> bool:
    """Whether a lower-case word is one of the language of failures, and so no name of something."""
    return word in STATES or word in FUNCTION or (len(word) > 5 and word.endswith(_ENDINGS))
