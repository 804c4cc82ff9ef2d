"""What is sent: sets of frames by name, written to a capture file when one is first needed."""
import bisect
import itertools
import random
import struct

from frames import Request, message1, pattern

FRAMES = 1024             # of an ordinary set: different ids and bodies, small enough to stay in a core's cache
FUNCTION_FRAMES = 2_000   # two for each of 1,000 functions
RIGHT_FRAMES = 100_000    # spread over the rights
WIRE_FRAMES = 4096        # what wire.cpp wants
NEIGHBOUR_SHARE = 16      # one frame in so many is the neighbour's
LOOP_ONCE_IN = 1_000_000  # frames of all: the neighbour loops on every 62,500th of its own
FUNCTIONS = (1, 10, 100, 1000)
BODIES = (16, 64, 256, 1024)
SEED = 4646               # the same frames in every run


def shaped(body_bytes, answer_bytes, loop_after=0):
    """A body for guests/shaped.c."""
    return struct.pack("<II", answer_bytes, loop_after) + bytes(body_bytes - 8)


def zipf(population, draws, random_source):
    """Ranks from 0, the n-th with weight 1 / (n + 1)."""
    weights = list(itertools.accumulate(1 / rank for rank in range(1, population + 1)))
    return [min(bisect.bisect_left(weights, random_source.random() * weights[-1]), population - 1) for _ in range(draws)]


def echo(body_bytes, count=FRAMES):
    def build(lab):
        right = lab.site("base").right("echo")
        return [Request(right, pattern(i, body_bytes)) for i in range(count)]
    return build


def functions(count):
    def build(lab):
        uris = lab.site("functions").rights["functions"]
        rights = [message1.parse_uri(uri)[1] for uri in uris[:count]]
        return [Request(rights[i % count], pattern(i, 64)) for i in range(FUNCTION_FRAMES)]
    return build


def rights(kind):
    def build(lab):
        uris = lab.site("rights").rights["rights"]
        source = random.Random(SEED)
        if kind == "one":
            chosen = [0] * RIGHT_FRAMES
        elif kind == "zipf":
            order = list(range(len(uris)))
            source.shuffle(order)  # the popular ones lie anywhere in the table
            chosen = [order[rank] for rank in zipf(len(uris), RIGHT_FRAMES, source)]
        else:
            population = len(uris) if kind == "many" else min(int(kind), len(uris))
            chosen = [source.randrange(population) for _ in range(RIGHT_FRAMES)]
        parsed = {index: message1.parse_uri(uris[index])[1] for index in set(chosen)}
        return [Request(parsed[index], pattern(i, 64)) for i, index in enumerate(chosen)]
    return build


def replies(body_bytes, answer_bytes):
    def build(lab):
        right = lab.site("shaped").right("shaped")
        return [Request(right, shaped(body_bytes, answer_bytes))] * FRAMES
    return build


def refused(one_in):
    """Every so-manieth through a right whose rate is used up."""
    def build(lab):
        good, spent = lab.site("base").right("echo"), lab.site("base").right("spent")
        return [Request(spent if i % one_in == one_in - 1 else good, pattern(i, 64)) for i in range(FRAMES)]
    return build


def neighbour(loops, site="shaped"):
    def build(lab):
        good, shaped_right = lab.site(site).right("echo"), lab.site(site).right("neighbour")
        after = LOOP_ONCE_IN // NEIGHBOUR_SHARE if loops else 0
        return [Request(shaped_right, shaped(64, 64, after)) if i % NEIGHBOUR_SHARE == NEIGHBOUR_SHARE - 1
                else Request(good, pattern(i, 64)) for i in range(FRAMES)]
    return build


def both_workers(lab):
    """Half to a function on each of two workers."""
    site = lab.site("two-workers")
    pair = [site.right("echo"), site.right("echo-1")]
    return [Request(pair[i % 2], pattern(i, 64)) for i in range(FRAMES)]


SETS = {f"body-{size}": echo(size) for size in BODIES}
SETS |= {f"functions-{count}": functions(count) for count in FUNCTIONS}
SETS |= {f"rights-{kind}": rights(kind) for kind in ("one", "1000", "many", "zipf")}
SETS |= {"replies-larger": replies(16, 1024), "replies-smaller": replies(1024, 16),
         "refused-4th": refused(4), "refused-all": refused(1),
         "neighbour-quiet": neighbour(False), "neighbour-loops": neighbour(True),
         "neighbour-apart-quiet": neighbour(False, "two-workers"), "neighbour-apart-loops": neighbour(True, "two-workers"),
         "two-workers": both_workers, "wire": echo(64, WIRE_FRAMES)}
