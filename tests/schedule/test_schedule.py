"""mod_udm/core/schedule.c and cron.c against slower ways to the same times.

Every random choice follows from UDM_TEST_SEED, which a failure tells.
"""
import datetime
import random

import pytest
from croniter import CroniterBadDateError, croniter

from udmtest.schedules import DAY, EPOCH, MICROSECOND, SEED, Cron, Maker, Window, Word, ask

SECOND, MINUTE = datetime.timedelta(seconds=1), datetime.timedelta(minutes=1)
# Around here calendars are wrong, when they are.
CORNERS = [datetime.date(*day) for day in (
    (1972, 2, 20), (1999, 12, 20), (2000, 2, 20), (2026, 11, 20), (2027, 2, 20), (2028, 2, 20),
    (2096, 2, 20), (2099, 12, 20), (2100, 2, 20), (2104, 2, 20), (2400, 2, 20), (9999, 9, 1))]
NEVER = "asks for no run at all"


def generator(name):
    return random.Random(f"{SEED} {name}")


def random_day(rng):
    if rng.random() < 0.5:
        return rng.choice(CORNERS)
    return datetime.date(1970, 1, 1) + rng.randrange(366 * 180) * DAY


def random_instant(rng, first, days):
    """Often at the turn of a second, minute, hour or day, or a microsecond beside it."""
    when = EPOCH + (first - EPOCH.date()) + rng.random() * days * DAY
    for unit in ({"microsecond": 0}, {"second": 0}, {"minute": 0}, {"hour": 0}):
        if rng.random() < 0.3:
            break
        when = when.replace(**unit)
    return beside(rng, when)


def beside(rng, when):
    """The same or, now and then, the microsecond before or after."""
    return max(EPOCH, when + rng.choice([0, 0, -1, 1]) * MICROSECOND)


def verdict(wrong, checked, least):
    text = "".join(f"\n  {line}" for line in wrong[:20])
    assert not wrong, f"UDM_TEST_SEED={SEED}: {len(wrong)} of {checked} answers are wrong:{text}"
    print(f"{checked} answers")
    assert checked >= least


def compare(cases, least):
    """Asks for the next and the last time at each instant of the cases: (schedule, window, now, instants)."""
    questions = [(question, schedule.param, now, instant) for schedule, _, now, instants in cases
                 for instant in instants for question in ("next", "last")]
    answers = iter(ask(questions))
    wrong, checked = [], 0
    for schedule, window, _, instants in cases:
        for instant in instants:
            for question, expected in (("next", window.next(instant)), ("last", window.last(instant))):
                found = next(answers)
                if expected is not None:
                    good = found == expected
                elif isinstance(found, str):
                    good = found == "never" or NEVER in found
                else:  # outside of the window
                    good = found >= window.end if question == "next" else found < window.first
                checked += 1
                if not good:
                    wrong.append(f"{schedule.param} {question} {instant}: {found}, expected {expected}")
    verdict(wrong, checked, least)


@pytest.mark.parametrize("quartz", [False, True], ids=["five", "quartz"])
def test_cron_day_by_day(quartz):
    """All of the language against trying each day of some weeks, and each time of a day."""
    rng = generator(f"day by day {quartz}")
    maker = Maker(rng, quartz)
    cases = []
    for _ in range(1200):
        cron, first = Cron(maker), random_day(rng)
        days = rng.choice([10, 45, 100])
        window = Window(cron, first, days)
        instants = [random_instant(rng, first, days) for _ in range(4)]
        instants += [beside(rng, when) for when in [window.some(rng) for _ in range(4)] if when]
        cases.append((cron, window, EPOCH, instants))
    compare(cases, 12000)


def test_cron_minute_by_minute():
    """Expressions of minutes against trying each minute, and nothing cleverer than that."""
    rng = generator("minute by minute")
    step_by_step(rng, Maker(rng), MINUTE, 400)


def test_cron_second_by_second():
    rng = generator("second by second")
    step_by_step(rng, Maker(rng, quartz=True), SECOND, 400)


def step_by_step(rng, maker, unit, count):
    questions, expected = [], []
    for _ in range(count):
        cron = Cron(maker)
        # Begin shortly before some time at which it is due, if there is one.
        day = random_day(rng)
        when = Window(cron, day, 60).some(rng) or random_instant(rng, day, 1)
        when = max(EPOCH, when - rng.randint(0, 500) * unit)
        tried = when.replace(microsecond=0, **({} if unit == SECOND else {"second": 0})) + unit
        end = tried + 600 * unit
        while tried < end and not cron.at(tried):
            tried += unit
        questions.append(("next", cron.param, EPOCH, when))
        expected.append(tried if tried < end else None)
    wrong = []
    for question, found, right in zip(questions, ask(questions), expected):
        good = found == right if right else isinstance(found, str) or found > question[3] + 590 * unit
        if not good:
            wrong.append(f"{question[1]} next {question[3]}: {found}, expected {right}")
    verdict(wrong, len(questions), count)
    assert sum(1 for right in expected if right) > count // 2


def test_cron_years_apart():
    """Rare days against trying each day of 130 years, and what never comes in 400 years at all."""
    rng = generator("years apart")
    expressions = ["0 0 29 2 ?", "0 0 ? 2 MON#5", "0 0 ? 2 0#5,SAT#5", "0 0 L-28 2 ?", "0 0 29W 2 ?",
                   "0 0 0 29 2 ? 2096", "0 0 0 LW 2 ? 2096/4", "0 0 30 2 ?", "0 0 31 4,6,9,11 ?",
                   "0 0 L-29 2 *", "0 0 31W 2,4 ?"]
    rules = {  # after the expressions, in their order
        0: lambda d: d.day == 29, 1: lambda d: d.day == 29 and d.isoweekday() == 1,
        2: lambda d: d.day == 29 and d.isoweekday() >= 6,
        3: lambda d: d.day == 1 and (d + 28 * DAY).month == 2,
        4: lambda d: leap(d) and d.day == {7: 27, 6: 28}.get(d.replace(day=29).isoweekday(), 29),
        5: lambda d: d.day == 29 and d.year == 2096,
        6: lambda d: 2096 <= d.year <= 2099 and d.year % 4 == 0 and d.isoweekday() <= 5 and d.day == 29,
    }

    def leap(day):
        return (datetime.date(day.year, 3, 1) - DAY).day == 29

    februaries = [d for d in (datetime.date(1970, 1, 1) + n * DAY for n in range(366 * 440)) if d.month == 2]
    questions, expected = [], []
    for number, text in enumerate(expressions):
        due = [EPOCH + (d - EPOCH.date()) for d in februaries if number in rules and rules[number](d)]
        for _ in range(20):
            after = random_instant(rng, datetime.date(1970, 1, 1), 365 * 420)
            questions.append(("next", {"cron": text}, EPOCH, after))
            expected.append(next((when for when in due if when > after), None))
    wrong = []
    for question, found, right in zip(questions, ask(questions), expected):
        good = found == right if right else isinstance(found, str) and (found == "never" or NEVER in found)
        if not good:
            wrong.append(f"{question[1]} next {question[3]}: {found}, expected {right}")
    verdict(wrong, len(questions), 200)


def test_words_day_by_day():
    """hourly, daily, weekly and monthly, from starts at any microsecond."""
    rng = generator("words")
    cases = []
    for _ in range(800):
        first = random_day(rng)
        start = random_instant(rng, first, 40)
        # The corners end with the year 9999.
        days = min(100, (datetime.date.max - first).days)
        word = Word(rng.choice(["hourly", "daily", "weekly", "monthly"]), start)
        window = Window(word, first, days, start)
        now = start
        word.param = {"runs": word.word}
        if rng.random() < 0.8:
            now = min(start, random_instant(rng, first, 10))
            word.param["startDate"] = start.isoformat(timespec="microseconds") + "Z"
        instants = [random_instant(rng, first, days) for _ in range(3)]
        instants += [beside(rng, when) for when in [window.some(rng) for _ in range(3)] if when]
        cases.append((word, window, now, instants))
    compare(cases, 5000)


def test_first_runs():
    """The first run of a cron is not before now, nor before startDate, and may be at either."""
    rng = generator("first")
    maker = Maker(rng)
    questions, expected = [], []
    while len(questions) < 2000:
        cron, first = Cron(maker), random_day(rng)
        window = Window(cron, first, 60)
        now = beside(rng, window.some(rng) or random_instant(rng, first, 30))
        start = beside(rng, window.some(rng) or random_instant(rng, first, 30))
        right = window.next(max(now, start) - MICROSECOND)
        if right and start.year > 1970:
            cron.param["startDate"] = start.isoformat(timespec="microseconds") + "Z"
            questions.append(("first", cron.param, now, EPOCH))
            expected.append(right)
    wrong = [f"{question[1]} now {question[2]}: {found}, expected {right}"
             for question, found, right in zip(questions, ask(questions), expected) if found != right]
    verdict(wrong, len(questions), 2000)


# ---------------------------------------------------------------- croniter

def croniter_text(cron, quartz):
    """The expression as croniter writes it, seconds last; None for what croniter 1.3.5 reads
    differently:
      - A set that is full however it is written (*/1, 1-31, 0-6) is a star to it, so that the other
        day field alone decides, where here either is enough (as in the cron of Debian).
      - Beside days past the 28th it passes over the first days of March, and of the month after any
        shorter one: from 27 February 2093 on, "0 0 1,31 * *" is due on 1 March, not 31 March.
    And what is not even made here: W, L-n and ranges that wrap around, which croniter lacks; L and
    #, which it takes for both day fields at once when there is a day of month as well; and numbers
    for the weekdays of Quartz.
    """
    if not cron.day.free and not cron.weekday.free:
        if len(cron.day.values) == 31 or len(cron.weekday.values) == 7:
            return None
    if not cron.day.free and max(cron.day.values) > 28 and min(cron.day.values) <= 3:
        return None
    text = cron.text.split()
    if quartz:
        text = text[1:6] + text[:1]
    text[2], text[4] = text[2].replace("?", "*"), text[4].replace("?", "*")
    return " ".join(text)


@pytest.mark.parametrize("quartz", [False, True], ids=["five", "seconds"])
def test_cron_against_croniter(quartz):
    rng = generator(f"croniter {quartz}")
    maker = CroniterMaker(rng, quartz)
    questions, expected = [], []
    while len(questions) < 6000:
        cron = Cron(maker)
        text = croniter_text(cron, quartz)
        if text is None:
            continue
        for _ in range(6):
            after = random_instant(rng, datetime.date(1970, 1, 1), 365 * 250).replace(microsecond=0)
            try:
                right = croniter(text, after).get_next(datetime.datetime)
            except CroniterBadDateError:
                # It gives up after 50 years, and also when only one of the day fields never comes.
                if not cron.day.free and not cron.weekday.free:
                    continue
                right = None
            questions.append(("next", cron.param, EPOCH, after))
            expected.append(right)
    wrong = []
    for question, found, right in zip(questions, ask(questions), expected):
        if isinstance(found, str):
            good = right is None and (found == "never" or NEVER in found)
        else:
            good = found == right or (right is None and found.year - question[3].year > 50)
        if not good:
            wrong.append(f"{question[1]} next {question[3]}: {found}, croniter says {right}")
    verdict(wrong, len(questions), 6000)


class CroniterMaker(Maker):
    """No more than croniter knows; weekdays of Quartz by name, for its numbers are others."""

    def __init__(self, rng, quartz):
        super().__init__(rng, quartz, wrap=False, special=False)

    def number(self, kind, value):
        if kind == "weekday" and self.quartz:
            return "sun mon tue wed thu fri sat".split()[value]
        return super().number(kind, value)

    def item(self, kind, all_values):
        while True:  # MON/2 ends with Saturday in Quartz, and with Sunday in croniter
            text, values = super().item(kind, all_values)
            if not (self.quartz and kind == "weekday" and "/" in text and text[0] != "*" and "-" not in text):
                return text, values

    def year(self):
        return self.field("year", 1970, 2099, 1)
