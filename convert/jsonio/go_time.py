"""Times as Go programs read and write them in JSON (Go's time package, RFC 3339).

Docker decodes `created` into a time.Time and encodes it again, so the text that
goes into an ID is Go's, not the config's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from convert.errors import FormatError

#: Go's zero time, written where a config names none.
ZERO: Final = "0001-01-01T00:00:00Z"
#: The epoch as an engine that runs in UTC writes it.
EPOCH: Final = "1970-01-01T00:00:00Z"

# An hour of one digit and a comma before the fraction are no RFC 3339, but Go takes
# them (golang/go#54580, still so in 1.26).
_TEXT: Final = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)T(?P<hour>\d\d?):(?P<minute>\d\d):(?P<second>\d\d)"
    r"(?:[.,](?P<fraction>\d+))?(?:Z|(?P<sign>[+-])(?P<zone_hour>\d\d):(?P<zone_minute>\d\d))\Z",
    re.ASCII,
)
_DAY: Final = 86400
_CYCLE_YEARS: Final = 400
_CYCLE_DAYS: Final = 146097
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_LAST_NANOSECOND: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Time:
    """An instant and how Go prints it.

    `seconds` counts from 1970-01-01 UTC, rounded down, `nanoseconds` from there;
    `text` keeps the offset from UTC in which the time was written.
    """

    seconds: int
    nanoseconds: int
    text: str

    @classmethod
    def parse(cls, text: str) -> Time:
        """Read what time.Time.UnmarshalJSON accepts; digits past nanoseconds are cut.

        Raises:
            FormatError: no such time, or one that Go could not write again.
        """
        found = _TEXT.match(text)
        if found is None:
            msg = f"'{text}' is not a valid RFC 3339 time"
            raise FormatError(msg, code="invalid-time")
        hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"])
        zone = 60 * int(found["zone_hour"] or 0) + int(found["zone_minute"] or 0)
        # Go takes 60 minutes of offset and writes them as an hour (1.21 took 61 too).
        if hour > 23 or minute > 59 or second > 59 or zone >= 24 * 60 or int(found["zone_minute"] or 0) > 60:
            msg = f"'{text}' is not a valid RFC 3339 time: a part of it is out of range"
            raise FormatError(msg, code="invalid-time")
        try:
            day = _day(int(found["year"]), int(found["month"]), int(found["day"]))
        except ValueError:
            msg = f"'{text}' is not a valid RFC 3339 time: there is no such day"
            raise FormatError(msg, code="invalid-time") from None
        if found["sign"] == "-":
            zone = -zone
        seconds = day * _DAY + hour * 3600 + minute * 60 + second - zone * 60
        fraction = (found["fraction"] or "")[:9].ljust(9, "0")
        return cls(seconds, int(fraction), _written(found, hour, fraction.rstrip("0"), zone))

    @property
    def file_seconds(self) -> int:
        """Whole seconds for a file's time, as Docker sets it: 0 outside 1970 to 2262.

        Docker falls back to the epoch where a count of nanoseconds since 1970
        does not fit in 63 bits (moby pkg/system/chtimes.go).
        """
        fits = 0 <= self.seconds * 10**9 + self.nanoseconds <= _LAST_NANOSECOND
        return self.seconds if fits else 0


def _day(year: int, month: int, day: int) -> int:
    """Return days since 1970; `date` has no year 0, but the calendar repeats."""
    if year == 0:
        return date(_CYCLE_YEARS, month, day).toordinal() - _CYCLE_DAYS - _EPOCH_DAY
    return date(year, month, day).toordinal() - _EPOCH_DAY


def _written(found: re.Match[str], hour: int, fraction: str, zone: int) -> str:
    head = f"{found['year']}-{found['month']}-{found['day']}T{hour:02}:{found['minute']}:{found['second']}"
    tail = f"{'-' if zone < 0 else '+'}{abs(zone) // 60:02}:{abs(zone) % 60:02}" if zone else "Z"
    return head + (f".{fraction}" if fraction else "") + tail
