"""Commands whose outcome changes from run to run (contract W2): clocks, random numbers, fresh ids.

A validation that asks the clock or draws lots proves nothing when it is run again. The patterns look
for the calls themselves in the languages that commands are written in, and are narrow on purpose: a
file called `validate-date.sh`, `--date=iso` or `update` is no clock.
"""

from __future__ import annotations

import re

# Where a command can begin in shell text: at the start, behind an operator or a keyword, behind
# `VAR=value`, behind programs that run others, and behind `sh -c '`.
_COMMAND = (
    r"(?:^|[;&|(`!{\n]|\b(?:then|do|else|elif|if|while|until|time|env|sudo|exec|command|builtin|nice|"
    r"nohup|xargs|watch|busybox)\b|\btimeout\s+\S+|-c\s*['\"]|\s\w+=\S*(?=\s)|^\w+=\S*(?=\s))\s*"
)
# What may follow the word `date` when it is the program and not a word of a sentence.
_ARGUMENTS = r"(?=\s*(?:$|[;&|)`<>\n\"'}#]|[-+]|['\"]\+))"
# `date` asked for a moment that is written down, or a file's, gives the same answer each time.
_FIXED = (
    r"(?!\s[^;&|\n]*(?:(?:-d|--date)[\s=]*['\"]?(?:@\d|\d{4}-\d)|-r\s|--reference|--resolution|--version|"
    r"--help))"
)

_DATE = _COMMAND + r"(?:/usr)?(?:/bin/)?date(?![\w./=-])" + _FIXED + _ARGUMENTS

_MOMENTS = "datetime|DateTime|Timestamp|LocalDate|LocalDateTime|ZonedDateTime|Instant"
_DRAWS = (
    "random|randint|randrange|randbytes|choices?|shuffle|sample|uniform|getrandbits|gauss|"
    "SystemRandom"
)
_SEEDED = r"(?:default_rng|RandomState|Generator)\s*\(\s*\w"

# What it is called in the message, and the pattern.
_PATTERNS: tuple[tuple[str, str], ...] = (
    # JavaScript
    ("Date.now", r"(?<![\w.])Date\.now\b"),
    ("Math.random", r"(?<![\w.])Math\.random\b"),
    ("new Date()", r"\bnew\s+Date\s*(?:\(\s*\)|(?![\w(.\s])|$)"),
    ("Date()", r"(?<![\w.])(?<!new )Date\(\s*\)"),
    ("performance.now", r"\bperformance\.now\b"),
    ("process.hrtime", r"\bprocess\.(?:hrtime|uptime)\b"),
    ("crypto.random", r"\bcrypto\.(?:random\w+|getRandomValues)"),
    # shell
    ("$RANDOM", r"\$\{?S?RANDOM(?!\w)"),
    ("$SECONDS", r"\$\{?(?:SECONDS|EPOCHSECONDS|EPOCHREALTIME)(?!\w)"),
    ("date", _DATE),
    ("uuidgen", r"(?<![\w.-])uuidgen(?![\w.-])"),
    ("/dev/urandom", r"/dev/u?random\b"),
    ("/proc/sys/kernel/random", r"/proc/sys/kernel/random\b"),
    ("openssl rand", r"\bopenssl\s+rand\b"),
    ("shuf", _COMMAND + r"shuf(?![\w./=-])(?![^;&|\n]*--random-source)"),
    ("sort -R", r"\bsort\s+(?:-\S+\s+)*(?:-\w*R|--random-sort)(?![^;&|\n]*--random-source)"),
    # Python
    ("time.time", r"(?<![\w.])time\.(?:time|monotonic|perf_counter|process_time)(?:_ns)?\b"),
    ("time.localtime", r"(?<![\w.])time\.(?:localtime|gmtime|ctime|asctime)\s*\(\s*\)"),
    ("datetime.now", rf"\b(?:{_MOMENTS})\.(?:now|utcnow|today|Now|UtcNow|Today)\b"),
    ("date.today", r"(?i:\bdate\.today\b)"),
    ("random", r"(?<![\w./-])random\.(?!seed\b|Random\s*\(\s*\d)[A-Za-z]\w*\s*\("),
    ("random", rf"(?<![\w./-])random\.(?:{_DRAWS})\b"),
    ("random", r"\bfrom\s+random\s+import\b"),
    ("numpy.random", rf"\b(?:np|numpy)\.random\.(?!seed\b|{_SEEDED})\w+"),
    ("uuid", r"\buuid\.uuid(?![35]\b)"),
    ("uuid", r"\buuid(?:\.v|v)?[1467]\s*\("),
    ("os.urandom", r"\bos\.urandom\b"),
    ("secrets", r"(?<![\w./-])secrets\.(?:token_\w+|choice|randbelow|randbits|SystemRandom)\b"),
    # Go
    ("time.Now", r"\btime\.(?:Now|Since)\b"),
    ("math/rand", r"(?<![\w.])rand\.(?:Int|Uint|Float|Perm|Shuffle|Read|Norm|Exp|N\b)\w*"),
    ("uuid.New", r"\buuid\.(?:New|NewString|NewRandom|NewUUID|NewV[1467])\b"),
    # Ruby
    ("Time.now", r"(?<![\w.])Time\.now\b"),
    ("Random", r"(?<![\w.])(?:Random\.(?:rand|bytes|new_seed)|Kernel\.rand)\b"),
    ("Random", r"(?<![\w.])Random\.new\b(?!\s*\(?\s*\d)"),
    ("SecureRandom", r"\bSecureRandom\."),
    ("Process.clock_gettime", r"\bProcess\.clock_gettime\b"),
    # Rust
    ("SystemTime::now", r"\b(?:SystemTime|Instant|Utc|Local|OffsetDateTime)::now(?:_utc|_local)?\b"),
    ("rand::", r"\b(?:rand::(?:random|thread_rng|rng)|thread_rng|fastrand::\w+)\b"),
    ("Uuid::new", r"\bUuid::(?:new_v[1467]|now_v[1467])\b"),
    # Java, C#, PHP, Perl, awk, SQL
    ("System.currentTimeMillis", r"\bSystem\.(?:currentTimeMillis|nanoTime)\b"),
    ("UUID.randomUUID", r"\b(?:UUID\.randomUUID|Guid\.NewGuid)\b"),
    ("new Random()", r"\bnew\s+Random\s*\(\s*\)"),
    ("mt_rand", r"\b(?:mt_rand|random_int|random_bytes|uniqid|microtime)\s*\("),
    ("rand()", r"(?<![\w.])s?rand\s*\(\s*\)"),
    ("random()", r"(?i:(?<![\w.])random\s*\(\s*\))"),
    ("time()", r"(?<![\w.])time\s*\(\s*\)"),
    ("now()", r"(?i:(?<!\w)now\s*\(\s*\)|\bcurrent_timestamp\b)"),
)  # fmt: skip
# Every pattern needs one of these words: a command without any is cleared by one look.
_SUSPICIOUS = (
    "date", "rand", "now", "today", "time", "uuid", "guid", "uniqid", "seconds", "epoch", "shuf",
    "sort", "secrets",
)  # fmt: skip
# What somebody looks for is not what is run: `! grep -rn 'Math.random' src/` proves that it is gone.
_SEARCH = re.compile(
    r"""(?<![\w./-])(?:[efz]?grep|rg|ack|ag)\b(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^;&|\n'"`\\])*"""
)
_LITERAL = re.compile(r"""'[^']*'|"[^"$`]*\"""")
# Lots that are drawn from a written-down seed are the same each time.
_PYTHON_SEEDED = re.compile(r"(?<![\w./-])random\.seed\(\s*[\d'\"]")
_COMPILED = [(name, re.compile(pattern, re.MULTILINE)) for name, pattern in _PATTERNS]


def nondeterminism(command: str) -> list[str]:
    """What makes a command's outcome change from run to run, each named once; empty if nothing does."""
    lowered = command.lower()
    if not any(word in lowered for word in _SUSPICIOUS):
        return []
    executed = _SEARCH.sub(lambda found: _LITERAL.sub("''", found[0]), command)
    names = dict.fromkeys(name for name, found in _COMPILED if found.search(executed))
    if "random" in names and _PYTHON_SEEDED.search(executed):
        del names["random"]
    if any(name.lower().endswith("now") for name in names):
        names.pop("now()", None)  # the call that has been named already
    return list(names)
