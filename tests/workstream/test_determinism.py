"""Which commands answer something else each time, and which only look like it (contract W2)."""

from __future__ import annotations

import pytest

from rally.workstream.determinism import _COMPILED, nondeterminism

STEADY = """
! grep -rn 'Math.random' src/
sh -c "! grep -q 'Date.now' x"
rg "time.time\\(\\)" src && exit 1
grep "it's Date.now" f
python3 -c 'import random; random.seed(1); assert random.random() < 2'
node -e 'new Date(2020, 1, 1)'
bash validate-date.sh
git log --date=iso
npm run update
./candidate --check
python -m pytest tests/test_random.py
pytest tests/random.py -q
cat random.txt
node tests/random.test.js
test -f date.txt
echo update the date of the file
date=2024-01-01 ./run.sh
date -d @0 +%s
date -u -d '2024-01-01' +%F
date -r file +%s
grep -q 'date' README
npm run date
./date
echo "$RANDOM_SEED"
python -c 'import random; random.seed(1)'
python -c 'import datetime; print(datetime.date(2020,1,1))'
node -e 'console.log(new Date(0))'
node -e "new Date('2020-01-01')"
console.time()
cargo test --release
go test ./...
cat uuid.txt
sort -r file
python -c "import uuid; uuid.uuid5(uuid.NAMESPACE_URL, 'x')"
grep --random foo
cat secrets.txt
test "$(cat date)" = x
xargs -n1 validate-date
make validate && ls updates/date/
shuf --random-source=seed file
npx jest --testNamePattern 'Date.now is stubbed'
sed -i 's/Math.random()/draw()/' src/app.js
git commit -qm 'a clock in place of Date.now()' -- src
python3 -c 'import random; r = random.Random(x=1); r.random()'
python3 -c 'import random as r; r.seed(1); r.random()'
python3 -c 'from random import Random; Random(7).random()'
python3 -c 'from time import sleep; sleep(0.1)'
python3 -c 'import time; time.strftime("%Y", time.gmtime(0))'
python3 -c 'import torch; torch.manual_seed(0); torch.rand(2)'
printf '%(%Y)T' 0
printf '(%s)\\n' "$TOTAL"
test $((RANDOMIZED + 1)) = 2
rm -f uuid
jq .uuid x.json
go test -shuffle=off ./...
go run x.go # rand.New(rand.NewSource(42)).Intn(5), rand.Perm
ruby -e 'srand(1); p rand(10)'
ruby -e 'p [1, 2].shuffle(random: Random.new(1))'
ruby -e 'p Time.new(2020, 1, 1)'
ruby -Itest test/rand_test.rb
rspec --order random:42
cargo test from_entropy_is_refused
cargo test rng
""".strip().splitlines()

CHANGING = """
date
date +%s
echo $(date)
echo `date`
x=$(date +%s)
test "$(date -u +%F)" = "$(cat x)"
date;ls
ls && date
TZ=UTC date
env date
sh -c 'date +%s'
/bin/date
if date; then ls; fi
date -d tomorrow
date > x
timeout 5 date
echo $RANDOM
echo ${RANDOM}
echo $EPOCHSECONDS
uuidgen
head -c4 /dev/urandom
openssl rand -hex 4
ls | shuf
sort -R x
awk 'BEGIN{srand(); print rand()}'
sqlite3 x 'select random()'
node -e 'Date.now()'
Math.random()
new Date()
node -e "console.log(new Date().getTime())"
performance.now()
crypto.randomUUID()
python -c 'import time; time.time()'
time.time_ns()
python -c 'import random; print(random.random())'
random.choice(xs)
from random import choice
np.random.rand(3)
uuid.uuid4()
datetime.now()
datetime.datetime.utcnow()
date.today()
os.urandom(4)
secrets.token_hex()
time.Now()
rand.Intn(5)
uuid.NewString()
ruby -e 'puts Time.now'
SecureRandom.hex
Random.rand(5)
SystemTime::now()
rand::thread_rng()
Uuid::new_v4()
System.currentTimeMillis()
UUID.randomUUID()
grep -q "Date.now" f && date
grep "$(date)" f
rg 'time.time()' ; node -e 'Date.now()'
sh -c 'grep "Date.now" x; date'
python3 -c 'import random; random.seed(); random.random()'
node -p 'Date()'
node -p 'globalThis.Math.random()'
node -p 'Math["random"]()'
node -p 'Temporal.Now.instant()'
node -e 'require("node:crypto").randomBytes(4)'
echo $(( RANDOM % 5 ))
printf '%(%s)T' -1
printf '%(%F)T\\n'
\\date +%s
uuid -v4
python3 -c 'from time import monotonic; monotonic()'
python3 -c 'from time import sleep, time_ns; time_ns()'
python3 -c 'import time; time.strftime("%Y")'
python3 -c 'import random as r; r.random()'
python3 -c 'from secrets import token_hex; token_hex()'
python3 -c 'from os import path, urandom; urandom(2)'
python3 -c 'import torch; torch.rand(2)'
time.Until(t)
crand.Read(b)
rand.Text()
go test -count=1 -shuffle=on ./...
ruby -e 'p rand(10)'
ruby -rjson -e 'p [1, 2].sample'
ruby -e 'puts Time.new'
Random.random_number
Time.current
rspec --order rand spec/
thread_rng()
OsRng.next_u32()
StdRng::from_entropy()
SmallRng::from_os_rng()
getrandom::getrandom(&mut b)
git commit -m "built $(date)"
UNIX_EPOCH.elapsed()
""".strip().splitlines()


@pytest.mark.parametrize("command", STEADY)
def test_what_only_looks_like_a_clock_is_none(command: str) -> None:
    """A linter that cries wolf is switched off."""
    assert nondeterminism(command) == []


@pytest.mark.parametrize("command", CHANGING)
def test_clocks_lots_and_fresh_ids_are_found(command: str) -> None:
    """A validation that asks them proves nothing when it is run again."""
    assert nondeterminism(command) != []


@pytest.mark.parametrize("command", ["make\n  date +%s\n", "make;\tdate", "a\nb\nuuidgen"])
def test_every_line_of_a_command_is_looked_at(command: str) -> None:
    """A command may hold many lines."""
    assert nondeterminism(command) != []


def test_no_pattern_is_passed_over_for_want_of_a_word() -> None:
    """Each is looked for in what holds a word of its own."""
    assert all(words for _, words, _ in _COMPILED)


def test_each_cause_is_named_once() -> None:
    """Ten calls of one clock are one cause."""
    assert nondeterminism("date; date; echo $RANDOM; uuidgen; date") == [
        "$RANDOM",
        "date",
        "uuidgen",
    ]


def test_a_long_command_is_judged_in_no_time() -> None:
    """No pattern goes back and forth over hostile text: the work grows with the length."""
    for hostile in (
        "date " * 13_000,
        "a=b " * 16_000,
        "sort -x " * 8_000,
        "(" * 60_000,
        " x=" * 20_000,
        "grep '" + "x" * 60_000,
        "grep " + "\\" * 60_000,
        'grep "$' * 10_000,
        "ruby -e ' " * 6_000,
        "ruby -e 'ruby -x " * 4_000,
        "import random as r " * 3_500,
        "from time import a, " * 3_000,
        "((RANDO" * 9_000,
        "printf %(" * 7_000,
        "go test rspec " * 4_500,
    ):
        nondeterminism(hostile)
