"""Units of measurement: how they are written, and their names in singular and plural."""

from __future__ import annotations

import re

UNITS = {
    # lengths, areas, volumes
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "nm": "nanometer",
    "µm": "micrometer", "μm": "micrometer", "um": "micrometer", "dm": "decimeter", "mi": "mile",
    "ft": "foot", "yd": "yard", "yds": "yard", "in.": "inch", "nmi": "nautical mile",
    "ha": "hectare", "ac": "acre", "sq ft": "square foot", "sq. ft": "square foot",
    "sqft": "square foot", "sq m": "square meter", "sq km": "square kilometer",
    "sq mi": "square mile", "sq in": "square inch", "sq yd": "square yard",
    "sq. m": "square meter", "sq. km": "square kilometer", "sq. mi": "square mile",
    "sq. in": "square inch", "sq. yd": "square yard", "cu ft": "cubic foot",
    "cu. ft": "cubic foot", "cu m": "cubic meter", "cu in": "cubic inch", "cu yd": "cubic yard",
    "l": "liter", "L": "liter", "ml": "milliliter", "mL": "milliliter", "cl": "centiliter",
    "cL": "centiliter", "dl": "deciliter", "dL": "deciliter", "hl": "hectoliter",
    "gal": "gallon", "qt": "quart", "qts": "quart", "pt.": "pint", "pt": "point", "pts": "point",
    "fl oz": "fluid ounce", "fl. oz": "fluid ounce", "tsp": "teaspoon", "tsps": "teaspoon",
    "tbsp": "tablespoon", "tbsps": "tablespoon", "Tbsp": "tablespoon", "tbs": "tablespoon",
    "cc": "cubic centimeter", "bbl": "barrel",
    # weights
    "kg": "kilogram", "kgs": "kilogram", "g": "gram", "mg": "milligram", "mcg": "microgram",
    "µg": "microgram", "μg": "microgram", "lb": "pound", "lbs": "pound", "oz": "ounce",
    "kt": "kiloton", "Mt": "megaton",
    # time
    "ns": "nanosecond", "µs": "microsecond", "μs": "microsecond", "ms": "millisecond",
    "s": "second", "sec": "second", "secs": "second", "min": "minute", "mins": "minute",
    "h": "hour", "hr": "hour", "hrs": "hour", "wk": "week", "wks": "week", "mo": "month",
    "mos": "month", "yr": "year", "yrs": "year",
    # speed and rates
    "km/h": "kilometer per hour", "kmh": "kilometer per hour", "kph": "kilometer per hour",
    "km/hr": "kilometer per hour", "mph": "mile per hour", "mpg": "mile per gallon",
    "fps": "frame per second", "rpm": "revolution per minute", "bpm": "beat per minute",
    "kn": "knot", "kts": "knot", "dpi": "dot per inch", "ppi": "pixel per inch",
    "ppm": "part per million", "ppb": "part per billion",
    # data
    "kB": "kilobyte", "KB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte",
    "PB": "petabyte", "KiB": "kibibyte", "MiB": "mebibyte", "GiB": "gibibyte",
    "Kb": "kilobit", "kb": "kilobit", "Mb": "megabit", "Gb": "gigabit", "Mbit": "megabit",
    "kbps": "kilobit per second", "Mbps": "megabit per second", "Gbps": "gigabit per second",
    "MBps": "megabyte per second", "px": "pixel", "MP": "megapixel",
    # physics
    "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz",
    "THz": "terahertz", "W": "watt", "mW": "milliwatt", "kW": "kilowatt", "MW": "megawatt",
    "GW": "gigawatt", "Wh": "watt hour", "kWh": "kilowatt hour", "MWh": "megawatt hour",
    "V": "volt", "mV": "millivolt", "kV": "kilovolt", "mA": "milliamp",
    "mAh": "milliamp hour", "Ah": "amp hour", "Ω": "ohm", "dB": "decibel", "dBA": "decibel",
    "J": "joule", "kJ": "kilojoule", "MJ": "megajoule", "cal": "calorie", "kcal": "kilocalorie",
    "kN": "kilonewton", "N/m": "newton per meter",
    "N/m^2": "newton per square meter", "in^2": "square inch", "in^3": "cubic inch",
    "Nm": "newton meter", "Pa": "pascal", "hPa": "hectopascal",
    "kPa": "kilopascal", "MPa": "megapascal", "psi": "pound per square inch",
    "hp": "horsepower", "lm": "lumen", "mol": "mole", "mmHg": "millimeter of mercury",
}  # fmt: skip
DOTTED_UNITS = frozenset(
    (
        *("ft", "yd", "mi", "lb", "lbs", "oz", "gal", "qt", "tsp", "tbsp", "Tbsp"),
        *("tbs", "min", "mins", "sec", "secs", "hr", "hrs", "wk", "wks", "mo", "mos", "yr", "yrs"),
        *("sq ft", "sq. ft", "sq in", "sq. in", "sq mi", "sq. mi", "sq yd", "sq. yd", "cu ft"),
        *("cu. ft", "fl oz", "fl. oz", "cal"),
    )
)
"""Units that are also written with a full stop: 2 lb. of flour."""
_SAME_IN_PLURAL = ("hertz", "horsepower")
_IRREGULAR = {"foot": "feet", "inch": "inches", "square foot": "square feet",
              "cubic foot": "cubic feet", "square inch": "square inches",
              "cubic inch": "cubic inches"}  # fmt: skip
POWERS = {"2": "square", "3": "cubic"}
UNIT = "|".join(map(re.escape, sorted(UNITS, key=len, reverse=True)))
UNIT_WORDS = frozenset(word for name in UNITS.values() for word in name.split())


def pluralize_unit(name: str) -> str:
    """Return the plural, which falls on the word before "per" or "of"."""
    for joint in (" per ", " of "):
        counted, found, rest = name.partition(joint)
        if found:
            return pluralize_unit(counted) + found + rest
    if name.endswith(_SAME_IN_PLURAL):
        return name
    return _IRREGULAR.get(name) or f"{name}s"


def name_unit(written: str, power: str = "", *, one: bool = False) -> str:
    """Return the name of a unit: "km", "2" -> "square kilometers"; "m/s", "2" -> "... squared"."""
    above, slash, below = written.partition("/")
    if slash and written not in UNITS:
        squared = {"2": " squared", "3": " cubed"}.get(power, "")
        if power and UNITS[below] != "second":
            return f"{name_unit(above, one=one)} per {POWERS[power]} {UNITS[below]}"
        return f"{name_unit(above, one=one)} per {UNITS[below]}{squared}"
    name = f"{POWERS[power]} {UNITS[written]}" if power else UNITS[written]
    return name if one else pluralize_unit(name)
