"""Schedules the slow way: random expressions that are made together with their meaning, and days and
times that are tried one after the other. Shares no idea with mod_udm/core/cron.c but the rules."""
import bisect
import calendar
import datetime
import json
import os
import subprocess

from .env import TOP

SEED = int(os.environ.get("UDM_TEST_SEED", "20261124"))
EPOCH = datetime.datetime(1970, 1, 1)
DAY = datetime.timedelta(days=1)
MICROSECOND = datetime.timedelta(microseconds=1)
MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
WEEKDAYS = "SUN MON TUE WED THU FRI SAT".split()


# ---------------------------------------------------------------- what the program says

def program():
    path = os.path.join(os.environ.get("UDM_BUILD", os.path.join(TOP, "build", "test")),
                        "tests", "schedule", "next")
    assert os.path.exists(path), f"{path} is missing: run ./dev test schedule"
    return path


def micros(when):
    """Whole numbers only: a float has no microseconds left in the year 9999."""
    return (when - EPOCH) // MICROSECOND


def ask(questions):
    """[(question, schedulerParam, now, instant)] to [datetime, "never" or "fault ..."]."""
    lines = "".join(f"{question}\t{json.dumps(param)}\t{micros(now)}\t{micros(instant)}\n"
                    for question, param, now, instant in questions)
    done = subprocess.run([program()], input=lines, stdout=subprocess.PIPE, text=True, check=True)
    answers = done.stdout.splitlines()
    assert len(answers) == len(questions)
    return [EPOCH + datetime.timedelta(microseconds=int(a)) if a.lstrip("-").isdigit() else a
            for a in answers]


# ---------------------------------------------------------------- the meaning of a day

def length(day):
    return calendar.monthrange(day.year, day.month)[1]


def weekday(day):
    """Sunday is 0."""
    return day.isoweekday() % 7


def nearest(day, number):
    """Whether this is the weekday nearest to the month's day `number`, which it must have."""
    if not 1 <= number <= length(day):
        return False
    work_days = [n for n in range(1, length(day) + 1)
                 if datetime.date(day.year, day.month, n).isoweekday() <= 5]
    return day.day == min(work_days, key=lambda n: abs(n - number))


# ---------------------------------------------------------------- random fields

class Field:
    """Its text; the numbers it names; for days also tests that take a date."""

    def __init__(self, text, values=(), tests=()):
        self.text, self.values, self.tests = text, frozenset(values), list(tests)

    @property
    def free(self):
        return self.text in ("*", "?")


class Maker:
    """Makes the fields of one form."""

    def __init__(self, rng, quartz=False, wrap=True, special=True):
        self.rng, self.quartz, self.wrap, self.special = rng, quartz, wrap, special

    def number(self, kind, value):
        """A value as text: a number, or its word."""
        words = {"month": MONTHS, "weekday": WEEKDAYS}.get(kind)
        if words and self.rng.random() < 0.3:
            word = words[value - (kind == "month")]
            return self.rng.choice([word, word.lower(), word.title()])
        if kind == "weekday":
            if self.quartz:
                return str(value + 1)
            return "7" if value == 0 and self.rng.random() < 0.3 else str(value)
        return self.rng.choice([str(value), f"{value:02}"])

    def walk(self, all_values, first, last):
        """The values from `first` on, until it comes to `last`."""
        at = all_values.index(first)
        found = [first]
        while found[-1] != last:
            at += 1
            found.append(all_values[at % len(all_values)])
        return found

    def item(self, kind, all_values):
        rng = self.rng
        step = rng.choice([1, 2, 2, 3, 4, 5, 7, 10, rng.randint(1, len(all_values))])
        step = min(step, len(all_values))
        form = rng.random()
        first, last = rng.choice(all_values), rng.choice(all_values)
        if form < 0.45:
            return self.number(kind, first), [first]
        if form < 0.6:
            return f"*/{step}", all_values[::step]
        if form < 0.7:
            text = self.number(kind, first)
            if kind == "weekday" and not self.quartz:  # the field ends with 7, a second Sunday
                found = (all_values + [0])[7 if text == "7" else first:]
            else:
                found = self.walk(all_values, first, all_values[-1])
            return f"{text}/{step}", found[::step]
        if not self.wrap or kind == "year":
            first, last = sorted([first, last])
        texts = self.number(kind, first), self.number(kind, last)
        if kind == "weekday" and not self.wrap:
            texts = tuple("0" if text == "7" else text for text in texts)
        found = self.walk(all_values, first, last)
        if kind == "weekday" and texts[1] == "7" and texts[0] in ("0", "SUN", "sun", "Sun"):
            found = all_values + [0]
        if form < 0.85:
            return "-".join(texts), found
        return "-".join(texts) + f"/{step}", found[::step]

    def field(self, kind, low, high, free=0.3, items=(1, 1, 1, 2, 3)):
        all_values = list(range(low, high + 1))
        if self.rng.random() < free:
            return Field("*", all_values)
        texts, values = zip(*(self.item(kind, all_values) for _ in range(self.rng.choice(items))))
        return Field(",".join(texts), set().union(*values))

    def second(self):
        if self.rng.random() < 0.6:
            value = self.rng.randint(0, 59)
            return Field(self.number("second", value), [value])
        return self.field("second", 0, 59, 0.1, (1,))

    def minute(self):
        return self.field("minute", 0, 59, 0.2)

    def hour(self):
        return self.field("hour", 0, 23)

    def month(self):
        return self.field("month", 1, 12, 0.5)

    def year(self):
        return self.field("year", 1970, 2099, 0.3)

    def special_day(self):
        rng, n = self.rng, self.rng.randint(1, 31)
        before = rng.choice([1, 2, 3, rng.randint(0, 30)])
        return rng.choice([
            ("L", lambda d: d.day == length(d)),
            (f"L-{before}", lambda d: d.day == length(d) - before),
            ("LW", lambda d: nearest(d, length(d))),
            (f"L-{before}W", lambda d: nearest(d, length(d) - before)),
            (f"{n}W", lambda d: nearest(d, n)),
            (f"{n}w", lambda d: nearest(d, n)),
        ])

    def special_weekday(self):
        rng, n, nth = self.rng, self.rng.randint(0, 6), self.rng.randint(1, 5)
        text = self.number("weekday", n)
        return rng.choice([
            (text + "L", lambda d: weekday(d) == n and d.day + 7 > length(d)),
            (f"{text}#{nth}", lambda d: weekday(d) == n and (d.day + 6) // 7 == nth),
        ])

    def with_special(self, field, special, chance):
        """In place of the field, or added to its list."""
        if not self.special or self.rng.random() >= chance:
            return field
        text, test = special
        if field.free or self.rng.random() < 0.6:
            return Field(text, (), [test])
        return Field(f"{field.text},{text}", field.values, [test])

    def days(self):
        """Day of month and weekday: most expressions use one of them."""
        day = self.field("day", 1, 31, 0.5)
        day = self.with_special(day, self.special_day(), 0.3)
        week = self.field("weekday", 0, 6, 0.5)
        week = self.with_special(week, self.special_weekday(), 0.3)
        if not self.quartz and day.free and week.free and self.rng.random() < 0.5:
            week = self.field("weekday", 0, 6, 0)
        for field in (day, week):
            if field.free:
                field.text = self.rng.choice("*?")
        return day, week


class Cron:
    """A random expression and what it means."""

    def __init__(self, maker):
        rng = maker.rng
        self.second = maker.second() if maker.quartz else Field("0", [0])
        self.minute, self.hour, self.month = maker.minute(), maker.hour(), maker.month()
        self.day, self.weekday = maker.days()
        self.year = maker.year() if maker.quartz and rng.random() < 0.3 else Field("*")
        fields = [self.minute, self.hour, self.day, self.month, self.weekday]
        if maker.quartz:
            fields.insert(0, self.second)
            if self.year.text != "*" or rng.random() < 0.2:
                fields.append(self.year)
        self.text = rng.choice([" ", " ", " ", "\t", "  "]).join(f.text for f in fields)
        self.param = {"cron": self.text}
        self._times = None

    @property
    def times(self):
        """How long after midnight it is due."""
        if self._times is None:
            self._times = [datetime.timedelta(0, h * 3600 + m * 60 + s)
                           for h in sorted(self.hour.values) for m in sorted(self.minute.values)
                           for s in sorted(self.second.values)]
        return self._times

    def on(self, day):
        """Whether it is due on this date."""
        if day.month not in self.month.values:
            return False
        if self.year.text != "*" and day.year not in self.year.values:
            return False
        by_date = day.day in self.day.values or any(test(day) for test in self.day.tests)
        by_weekday = (weekday(day) in self.weekday.values or
                      any(test(day) for test in self.weekday.tests))
        if self.day.free or self.weekday.free:
            return (self.day.free or by_date) and (self.weekday.free or by_weekday)
        return by_date or by_weekday

    def at(self, when):
        """Whether it is due at this second."""
        return (when.second in self.second.values and when.minute in self.minute.values and
                when.hour in self.hour.values and self.on(when.date()))


class Word:
    """hourly, daily, weekly or monthly from a start on."""

    def __init__(self, word, start):
        self.word, self.start = word, start
        midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
        self.times = [start - midnight]
        if word == "hourly":
            self.times = [datetime.timedelta(hours=h) for h in range(24)]

    def on(self, day):
        if self.word == "weekly":
            return (day - self.start.date()).days % 7 == 0
        if self.word == "monthly":
            return day.day == min(self.start.day, length(day))
        return True


class Window:
    """What is due in some days, found by trying each of them."""

    def __init__(self, schedule, first, days, start=datetime.datetime.min):
        self.first = datetime.datetime(first.year, first.month, first.day)
        self.end = self.first + days * DAY
        self.start = start
        self.days = [d for d in (self.first + n * DAY for n in range(days)) if schedule.on(d.date())]
        self.times = schedule.times

    def some(self, rng):
        """A time at which it is due; None when there is none."""
        if not self.days:
            return None
        when = rng.choice(self.days) + rng.choice(self.times)
        return when if when >= self.start else None

    def next(self, after):
        after = max(after, self.start - MICROSECOND) if self.start > EPOCH else after
        for day in self.days:
            found = bisect.bisect_right(self.times, after - day)
            if found < len(self.times):
                return day + self.times[found]
        return None

    def last(self, at):
        for day in reversed(self.days):
            found = bisect.bisect_right(self.times, at - day)
            if found > 0:
                when = day + self.times[found - 1]
                return when if when >= self.start else None
        return None
