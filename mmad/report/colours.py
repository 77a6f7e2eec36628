"""Colours shared by figures and HTML pages."""

# One for each body part, distinguishable with common colour blindness.
PART_COLOURS = (
    *("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#888888", "#995500"),
)

# One for each outcome of a detection (true positive, double, wrong label, localisation, confusion,
# background); distinguishable with common colour blindness, also side by side in this order.
OUTCOME_COLOURS = ("#228833", "#66ccee", "#aa3377", "#ccbb44", "#ee6677", "#bbbbbb")

# One for each recogniser of a figure; they differ in lightness too, for print without colour.
RECOGNISER_COLOURS = ("#004488", "#dd9911")

# One for each subset of a data set, or model of emotions, from dark to light, distinguishable
# without colour.
SUBSET_COLOURS = ("#004488", "#bb5566", "#ddaa33", "#999999")
MODEL_COLOURS = SUBSET_COLOURS
