"""Colours that pictures and the page share."""

# One for each body part, distinguishable with the common colour-blindnesses.
PART_COLOURS = (
    *("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#888888", "#995500"),
)

# One for each outcome of a detection (true positive, double, wrong label, localisation, confusion,
# background); apart for the common colour-blindnesses, also side by side in this order.
OUTCOME_COLOURS = ("#228833", "#66ccee", "#aa3377", "#ccbb44", "#ee6677", "#bbbbbb")
