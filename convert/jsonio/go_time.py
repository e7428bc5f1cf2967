"""Times as Go programs read and write them in JSON (Go's time package, RFC 3339).

Docker decodes `created` into a time.Time and encodes it again, so an ID covers Go's text, not the
config's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

from convert.errors import FormatError

#: Go's zero time, written if a config has no time.
ZERO: Final = "0001-01-01T00:00:00Z"
#: The epoch as an engine that runs in UTC writes it.
EPOCH: Final = "1970-01-01T00:00:00Z"

# RFC 3339 does not allow an hour of one digit or a comma before the fraction, but Go accepts them
# (golang/go#54580, unchanged in 1.26).
_TEXT: Final = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)T(?P<hour>\d\d?):(?P<minute>\d\d):(?P<second>\d\d)"
    r"(?:[.,](?P<fraction>\d+))?(?:Z|(?P<sign>[+-])(?P<zone_hour>\d\d):(?P<zone_minute>\d\d))\Z",
    re.ASCII,
)
#: Characters of a time with nanoseconds and an offset.
_USUAL_LENGTH: Final = 40
_DAY: Final = 86400
_CYCLE_YEARS: Final = 400
_CYCLE_DAYS: Final = 146097
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_LAST_NANOSECOND: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Time:
    """An instant and how Go prints it.

    `seconds` counts from 1970-01-01 UTC, rounded down; `nanoseconds` is the rest. `text` keeps the
    offset from UTC of the original.
    """

    seconds: int
    nanoseconds: int
    text: str

    @classmethod
    def parse(cls, text: str) -> Time:
        """Read a time as time.Time.UnmarshalJSON does; digits after nanoseconds are cut.

        Raises:
            FormatError: not a valid time, or one that Go cannot encode.
        """
        # Several structs decode one config, and images that are built together share times.
        return _parse_again(text) if len(text) <= _USUAL_LENGTH else cls._parse(text)

    @classmethod
    def _parse(cls, text: str) -> Time:
        found = _TEXT.match(text)
        if found is None:
            msg = f"'{text}' is not a valid RFC 3339 time"
            raise FormatError(msg, code="invalid-time")
        hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"])
        zone = 60 * int(found["zone_hour"] or 0) + int(found["zone_minute"] or 0)
        # Go accepts 60 minutes in an offset and writes them as an hour (1.21 accepted 61 too).
        if hour > 23 or minute > 59 or second > 59 or zone >= 24 * 60 or int(found["zone_minute"] or 0) > 60:
            msg = f"'{text}' is not a valid RFC 3339 time: a part of it is out of range"
            raise FormatError(msg, code="invalid-time")
        try:
            day = _day(int(found["year"]), int(found["month"]), int(found["day"]))
        except ValueError:
            msg = f"'{text}' is not a valid RFC 3339 time: the day does not exist"
            raise FormatError(msg, code="invalid-time") from None
        if found["sign"] == "-":
            zone = -zone
        seconds = day * _DAY + hour * 3600 + minute * 60 + second - zone * 60
        fraction = (found["fraction"] or "")[:9].ljust(9, "0")
        return cls(seconds, int(fraction), _written(found, hour, fraction.rstrip("0"), zone))

    @property
    def file_seconds(self) -> int:
        """Seconds that Docker sets as the time of a file: 0 outside 1970 to 2262.

        Docker uses the epoch if the nanoseconds since 1970 do not fit in 63 bits (moby
        pkg/system/chtimes.go).
        """
        fits = 0 <= self.seconds * 10**9 + self.nanoseconds <= _LAST_NANOSECOND
        return self.seconds if fits else 0


@lru_cache(maxsize=64)
def _parse_again(text: str) -> Time:
    return Time._parse(text)  # noqa: SLF001 - the cached form of the method


def _day(year: int, month: int, day: int) -> int:
    """Return days since 1970. `date` has no year 0, but the calendar repeats every 400 years."""
    if year == 0:
        return date(_CYCLE_YEARS, month, day).toordinal() - _CYCLE_DAYS - _EPOCH_DAY
    return date(year, month, day).toordinal() - _EPOCH_DAY


def _written(found: re.Match[str], hour: int, fraction: str, zone: int) -> str:
    head = f"{found['year']}-{found['month']}-{found['day']}T{hour:02}:{found['minute']}:{found['second']}"
    tail = f"{'-' if zone < 0 else '+'}{abs(zone) // 60:02}:{abs(zone) % 60:02}" if zone else "Z"
    return head + (f".{fraction}" if fraction else "") + tail
