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

_DATE = _COMMAND + r"\\?(?:/usr)?(?:/bin/)?date(?![\w./=-])" + _FIXED + _ARGUMENTS

_MOMENTS = "datetime|DateTime|Timestamp|LocalDate|LocalDateTime|ZonedDateTime|Instant"
_DRAWS = (
    "random|randint|randrange|randbytes|choices?|shuffle|sample|uniform|getrandbits|gauss|"
    "SystemRandom"
)
_SEEDED = r"(?:default_rng|RandomState|Generator)\s*\(\s*\w"
# What is drawn after one of these is the same each time.
_SEED = r"\s*\(\s*(?:\w+\s*=\s*)?[\d'\"]"
_RUBY = r"\bruby\s+(?:-[\w:-]+\s+){0,8}?-\w*e\s*(['\"])(?:(?!\1)[\s\S])*?"
_GLOBAL = r"(?<![\w.])(?:(?:window|globalThis|global|self)\.)?"

# What it is called in the message, and the pattern.
_PATTERNS: tuple[tuple[str, str], ...] = (
    # JavaScript
    ("Date.now", _GLOBAL + r"Date\.now\b"),
    ("Math.random", _GLOBAL + r"Math(?:\.random\b|\[\s*['\"]random)"),
    ("new Date()", r"\bnew\s+Date\s*(?:\(\s*\)|(?![\w(.\s])|$)"),
    ("Date()", r"(?<![\w.])(?<!new )Date\(\s*\)"),
    ("performance.now", r"\bperformance\.now\b"),
    ("process.hrtime", r"\bprocess\.(?:hrtime|uptime)\b"),
    ("crypto.random", r"\bcrypto(?:['\"]\s*\))?\.(?:random\w+|getRandomValues)"),
    ("Temporal.Now", r"\bTemporal\.Now\b"),
    # shell
    ("$RANDOM", r"\$\{?S?RANDOM(?!\w)"),
    ("$SECONDS", r"\$\{?(?:SECONDS|EPOCHSECONDS|EPOCHREALTIME)(?!\w)"),
    ("$RANDOM", r"\(\([^()\n]{0,200}\bS?RANDOM\b"),
    ("date", _DATE),
    ("printf %()T", r"%\([^()\n]{0,200}\)T(?:\\n)?['\"]?\s*(?:-[12]\b|[;&|)}\n]|$)"),
    ("uuid", _COMMAND + r"uuid(?=\s*(?:$|[;&|)`>\n\"'}]|-(?:v\s*)?[14nmF1]))"),
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
    ("time.time", r"\bfrom\s+time\s+import\b[^;\n]{0,200}?\b(?:time|monotonic|perf_counter)(?:_ns)?\b"),
    ("time.strftime", r"(?<![\w.])time\.strftime\s*\(\s*(?:'[^'\n]{0,200}'|\"[^\"\n]{0,200}\")\s*\)"),
    ("random", rf"(?<![\w./-])random\.(?!seed\b|Random{_SEED})[A-Za-z]\w*\s*\("),
    ("random", rf"(?<![\w./-])random\.(?:{_DRAWS})\b"),
    ("random", rf"\bfrom\s+random\s+import\b(?![\s\S]*\b(?:seed|Random){_SEED})"),
    ("random", rf"\bimport\s+random\s+as\s+(\w+)(?![\s\S]*\b\1\.(?:seed|Random){_SEED})"),
    ("numpy.random", rf"\b(?:np|numpy)\.random\.(?!seed\b|{_SEEDED})\w+"),
    ("uuid", r"\buuid\.uuid(?![35]\b)"),
    ("uuid", r"\buuid(?:\.v|v)?[1467]\s*\("),
    ("torch.rand", r"\btorch\.rand(?:n|int|perm)?\s*\("),
    ("os.urandom", r"\bos\.urandom\b|\bfrom\s+os\s+import\b[^;\n]{0,200}?\burandom\b"),
    ("secrets", r"\bfrom\s+secrets\s+import\s+(?:token_|choice|rand|SystemRandom)"),
    ("secrets", r"(?<![\w./-])secrets\.(?:token_\w+|choice|randbelow|randbits|SystemRandom)\b"),
    # Go
    ("time.Now", r"\btime\.(?:Now|Since|Until)\b"),
    ("math/rand", r"(?<![\w.])c?rand\.(?:Int|Uint|Float|Perm|Shuffle|Read|Norm|Exp|Text|Prime|N\b)\w*"),
    ("go test -shuffle", r"\bgo\s+test\b[^;&|\n]{0,500}?\s--?(?:test\.)?shuffle[=\s]on\b"),
    ("uuid.New", r"\buuid\.(?:New|NewString|NewRandom|NewUUID|NewV[1467])\b"),
    # Ruby
    ("Time.now", r"(?<![\w.])Time\.(?:now|current)\b"),
    ("Time.new", r"(?<![\w.])Time\.new\b(?!\s*\(\s*[\w'\"]|\s+[\d\"'])"),
    ("Random", r"(?<![\w.])(?:Random\.(?:rand|bytes|new_seed|random_number)|Kernel\.rand)\b"),
    ("Random", r"(?<![\w.])Random\.new\b(?!\s*\(?\s*\d)"),
    ("rand", rf"{_RUBY}(?<![\w.:$@/-])rand\b(?![.\w])"),
    ("shuffle", rf"{_RUBY}\.(?:sample|shuffle)!?(?!\w|\s*\([^)\n]{{0,200}}random:)"),
    ("rspec --order random", r"\brspec\b[^;&|\n]{0,500}?\s--order[=\s]rand(?:om)?(?![\w:])"),
    ("SecureRandom", r"\bSecureRandom\."),
    ("Process.clock_gettime", r"\bProcess\.clock_gettime\b"),
    # Rust
    ("SystemTime::now", r"\b(?:SystemTime|Instant|Utc|Local|OffsetDateTime)::now(?:_utc|_local)?\b"),
    ("rand::", r"\b(?:rand::(?:random|thread_rng|rng)|thread_rng|fastrand::\w+|OsRng)\b"),
    ("rand::", r"\b(?:getrandom::\w+|\w+::from_(?:entropy|os_rng))\b"),
    ("UNIX_EPOCH.elapsed", r"\bUNIX_EPOCH\.elapsed\b"),
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
# Whatever a pattern finds holds one of those of these words that stand in it, or in its name. A command
# without any is cleared by one look, and the others meet few patterns.
_SUSPICIOUS = (
    "date", "rand", "now", "today", "time", "uuid", "guid", "uniqid", "seconds", "epoch", "shuf",
    "sort", "secrets", "rng", "entropy", "printf", "sample",
)  # fmt: skip
# What somebody looks for, or edits, is not what is run: `! grep -rn 'Math.random' src/` proves that it
# is gone. Nor is the name of a test, or what a commit is said to do.
_SEARCH = re.compile(
    r"""(?<![\w./-])(?:[efz]?grep|rg|ack|ag|sed|git\s+commit|--(?:grep|filter|testNamePattern|test-name-pattern))\b(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^;&|\n'"`\\])*"""
)
_LITERAL = re.compile(r"""'[^']*'|"[^"$`]*\"""")
# Lots that are drawn from a written-down seed are the same each time.
_SEEDED_BY = {
    name: re.compile(pattern)
    for name, pattern in (
        ("random", r"(?<![\w./-])random\.seed\(\s*[\d'\"]"),
        ("torch.rand", r"\bmanual_seed\(\s*\d"),
        ("math/rand", r"(?<![\w.])rand\.(?:Seed|NewSource|NewPCG)\(\s*\d"),
        ("rand", r"\bsrand\s*\(?\s*\d"),
        ("shuffle", r"\bsrand\s*\(?\s*\d"),
    )
}
_COMPILED = [
    (
        name,
        frozenset(word for word in _SUSPICIOUS if word in f"{name}{pattern}".lower()),
        re.compile(pattern, re.MULTILINE),
    )
    for name, pattern in _PATTERNS
]


def nondeterminism(command: str) -> list[str]:
    """What makes a command's outcome change from run to run, each named once; empty if nothing does."""
    lowered = command.lower()
    words = {word for word in _SUSPICIOUS if word in lowered}
    if not words:
        return []
    executed = _SEARCH.sub(lambda found: _LITERAL.sub("''", found[0]), command)
    names: dict[str, None] = {}
    for name, needed, pattern in _COMPILED:
        if name not in names and not needed.isdisjoint(words) and pattern.search(executed):
            names[name] = None
    for name in names.keys() & _SEEDED_BY.keys():
        if _SEEDED_BY[name].search(executed):
            del names[name]
    if any(name.lower().endswith("now") for name in names):
        names.pop("now()", None)  # the call that has been named already
    return list(names)
