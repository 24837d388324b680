"""Every limit of the protocol by name (rule P13); what happens at each limit stands beside it."""

from __future__ import annotations

DATAGRAM_BYTES_MAX = 1200
"""One message, one unfragmented datagram. A longer one is not sent, and refused unread when received."""
ID_CHARS_MAX = 24
ZONE_CHARS_MAX = 32
PATH_CHARS_MAX = 64
PLAN_BYTES_MAX = 480
"""A TimedPath of 64 segments; refused by the parser beyond."""
MEMBERS_MAX = 32
"""Sets of signatures are known to each other by masks of 32 bits. A larger conflict set cannot be agreed on at
once: the proposer notes ``members_over_limit`` and waits."""
CERTIFICATE_VOTES_MAX = 15
"""So many signatures of 64 bytes fill a datagram. A certificate of more members travels in parts."""
BATCH_MAX = 12
ROSTER_MAX = 32
PERCEIVED_MAX = 8
LIVE_MAX = 4
"""Own tubes pending or held at one time; further proposals that name the vehicle are refused."""
DEAD_MAX = 4
"""Own tubes given up that an intent lists, newest first; the others die at their ``decide_by``."""
CERTIFICATES_MAX = 8
"""Certificates listed in an intent, newest kept; unlisted ones are gossiped again, which costs bytes only."""
REVOKED_KEYS_MAX = 14
"""Keys in one revocation, which then fits a datagram; a longer list travels in several, in any order."""
NOTICES_MAX = 16
"""Revocations passed on, highest numbers kept; the keys of the others stay out all the same."""
NOTICE_MS = 1_000
"""After it was heard and passed on at once, one of them is said again so often, for those who come later."""
REASONS_MAX = 8
REASON_CHARS_MAX = 64
PASSENGER_BYTES_MAX = 128
LEASE_MS_MAX = 120_000
"""Longest promise, from the proposal's stamp to the lease's end."""

FRESH_MS = 500
"""Older messages (plus the clock bound) are refused, and their sender is not planned with."""
PEER_SILENT_MS = 2_000
"""A peer not heard for longer no longer counts as a member by its word alone: its promises and the
perceived body still do. Bursts of five lost intents (500 ms) are common at 30 % loss; this is four."""
HEARS_MS = 1_200
"""Who has not named this vehicle in a roster for longer may soon not count it as heard any more, and leave it out:
a roster names those heard within ``FRESH_MS``, and 2,000 - 500 ms after it the last of them falls silent."""
SHOWN_MS = 1_500
"""A vehicle leaves out a silent one that stands only after it has moved in its sight for so long (rule P8): by then
that one has seen it, and has noticed that it is not heard, and has given back what it may hold."""
NEWCOMER_MS = 800
"""One that has just engaged need not have said yet whom it hears."""
LOCAL_AGE_MS_MAX = 150
"""Own estimate older than this: nothing is signed until the next tick."""
INTENT_MS = 100
INTENT_RELAXED_MS = 250
"""A holder with nothing to decide speaks less often."""
INTENT_CLEARED_MS = 500
"""A vehicle that has cleared the zone only says where it is."""
INTENT_GAP_MS_MIN = 50
"""Least spacing of intents that only a changed plan causes."""
GOSSIP_MS = 50
"""What somebody still lacks is said again at every tick: at 50 % loss, waiting two ticks doubles the tail."""
REPEATERS_MAX = 8
"""So many members say a proposal again in one round, in turns."""
RELAY_AFTER_MS = 250
"""A peer heard for so long should be in every roster; where it is not, its intents are passed on."""
RELAYS_MAX = 8
"""Intents of others passed on in one round of gossip, each by at most two of those who hear them."""
RANK_MS = 150
"""What each place in the order waits before it proposes in another's stead."""
JITTER_MS = 50
OUTAGE_WAIT_MS = 500
"""On a channel with outages whoever is not the first waits longer, by chance, at most by this."""
OUTAGE_DECIDE_MS = 4_000
"""Where there are outages, a decision of n members is given at least an n-th of this."""
LAST_WORDS_MAX = 10
"""A refusal or an abort is said so often, once in each round of gossip."""
BACKOFF_MS = (150, 300, 600, 1000)
"""After the k-th failed attempt in a row; the last repeats."""
DECIDE_MS_MIN = 200
DECIDE_MS_START = 300
DECIDE_MS_MAX = 2_000

PEERS_MAX = 192
"""When full of fresh peers, a stranger is not admitted and nothing is signed (``peers_full``): somebody
who may have to be a member is not heard."""
TUBES_MAX = 256
"""When full, no further promise is given (``tubes_full``); those given are kept."""
BALLOTS_MAX = 64
BALLOTS_PER_SENDER_MAX = 4
"""Further undecided proposals of one coordinator are ignored."""
ORPHANS_MAX = 128
"""Votes and refusals that came before their proposal; the oldest are dropped and come again by gossip."""
TOKEN_MS = 8
TOKENS_MS_MAX = 480
"""Token bucket per sender: one message per 8 ms in the long run, bursts of 60; the rest is dropped unread."""
QUARANTINE_MAX = 64
"""Further liars are noted, and go on costing time; safety does not rest on their being shut out."""
GIVEN_BACK_MAX = 8
"""Tubes given back that are remembered of one sender, newest kept, to hold against it what it says later."""
OVERDUE_MS_MAX = 3_000
"""A holder that is still in the zone when its lease ends drives its plan to the end for so long, and says that
it is in the way; then it gives the plan up, and asks for a way out like anybody who stands inside."""
SILENT_KEPT_MS = 60_000
"""So long the last words of a vehicle that fell silent are kept, for perception to clear it (rule P8)."""
STRANGER_BUCKETS = 16
STRANGER_TOKEN_MS = 32
"""Senders not known yet share 16 buckets by their names, each of one message per 32 ms: invented names buy
little, and one flood does not shut out all newcomers."""
CODEC_MEMO_MAX = 4096
LATENCIES_MAX = 4096
"""Decision times kept for statistics; further ones are only counted."""
