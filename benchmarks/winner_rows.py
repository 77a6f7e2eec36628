"""The rows of Tables 2 to 6 of Li et al. (ACM MM 2024), and the config of each, in configs/winner.

For a row that is trained on training and validation clips, the column Test*, it is NAME_trainval.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        labels: What it is, in the paper's columns.
        config: Its config.
        printed: F1_mean (%) that the paper states, by column.
    """

    labels: tuple[str, ...]
    config: str
    printed: Mapping[str, float]

    def config_of(self, column: str) -> str:
        """The config that is trained for a column."""
        return f"{self.config}_trainval" if column == "Test*" else self.config


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    Attributes:
        name: Its name in file names.
        title: Its name and its caption.
        labels: Columns that say what a row is.
        columns: Columns of F1_mean: Val, Test, or Test*.
        rows: Its rows.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def runs(self) -> Iterator[tuple[str, str]]:
        """Config and column of each figure."""
        for row in self.rows:
            for column in row.printed:
                yield row.config_of(column), column


ALL = "Data Aug, F1ArcFaceLoss, Frame-level pred"
FLOW = "F1ArcFaceLoss, Frame-level pred, OpticalFlow"
SWIN_B, SWIN_FRAME = "table2_row01_video_swin_b", "table2_row02_video_swin_b_frame"
SWIN_L = "table2_row03_video_swin_l_frame"
FRAME, EVERYTHING = "table2_row04_videomae_b_frame", "table2_row05_videomae_b_all"
SHARED, SEPARATE = "table2_row07_videomae_b_flow_shared", "table2_row10_videomae_b_flow_separate"
TIMESFORMER = "table2_row09_videomae_b_timesformer"

TABLES = (
    Table(
        "table2",
        "Table 2: models and configurations",
        ("Method", "Head", "Version", "Pre-train", "Components"),
        ("Test", "Test*"),
        (
            Row(("Video-Swin", "I3D", "Base", "SSv2", "F1ArcFaceLoss"), SWIN_B, {"Test": 70.80}),
            Row(
                ("Video-Swin", "I3D", "Base", "SSv2", ALL),
                SWIN_FRAME,
                {"Test": 69.48, "Test*": 71.54},
            ),
            Row(
                ("Video-Swin", "I3D", "Large", "K700", ALL),
                SWIN_L,
                {"Test": 66.51, "Test*": 71.02},
            ),
            Row(("VideoMAE", "I3D", "Base", "K710", ALL), FRAME, {"Test": 71.14, "Test*": 72.81}),
            Row(
                ("VideoMAE", "TSN", "Base", "K710", "All Components"),
                EVERYTHING,
                {"Test": 71.18, "Test*": 73.13},
            ),
            Row(
                ("VideoMAE", "I3D", "Base", "K710", "Data Aug, F1ArcFaceLoss"),
                "table2_row06_videomae_b",
                {"Test": 71.11},
            ),
            Row(
                ("VideoMAE", "I3D", "Base", "K710", f"{FLOW} (Weight Sharing)"),
                SHARED,
                {"Test": 70.04, "Test*": 71.56},
            ),
            Row(
                ("VideoMAE", "TimeSformer", "Base", "SSv2", "Data Aug"),
                "table2_row08_videomae_b_ssv2",
                {"Test": 68.94},
            ),
            Row(
                ("VideoMAE", "TimeSformer", "Base", "K710", "Data Aug"),
                TIMESFORMER,
                {"Test*": 71.94},
            ),
            Row(("VideoMAE", "I3D", "Base", "K710", FLOW), SEPARATE, {"Test*": 72.17}),
            Row(
                ("VideoMAE", "TimeSformer", "Large", "K700", "Data Aug"),
                "table2_row11_videomae_l",
                {"Test*": 73.06},
            ),
            Row(
                ("VideoMAE", "TimeSformer", "Huge", "K700", "Data Aug"),
                "table2_row12_videomae_h",
                {"Test*": 72.68},
            ),
            Row(
                ("UMT", "TimeSformer", "Large", "K700", "Data Aug"),
                "table2_row13_umt_l",
                {"Test*": 72.37},
            ),
            Row(
                ("InternVideo2", "TimeSformer", "1B", "K700", "Data Aug"),
                "table2_row14_internvideo2_1b",
                {"Test": 69.87},
            ),
        ),
    ),
    Table(
        "table3",
        "Table 3: pre-training",
        ("Method", "Version", "Pre-train"),
        ("Val",),
        (
            Row(
                ("Video-Swin", "Tiny", "ImageNet-1K"),
                "table3_row01_video_swin_t_imagenet",
                {"Val": 64.45},
            ),
            Row(("Video-Swin", "Tiny", "K400"), "table3_row02_video_swin_t_k400", {"Val": 66.19}),
            Row(("Video-Swin", "Base", "K400"), "table3_row03_video_swin_b_k400", {"Val": 66.69}),
            Row(("Video-Swin", "Base", "K600"), "table3_row04_video_swin_b_k600", {"Val": 67.40}),
            Row(("Video-Swin", "Base", "SSv2"), "table3_row05_video_swin_b_ssv2", {"Val": 67.82}),
        ),
    ),
    Table(
        "table4",
        "Table 4: data processing",
        ("Baseline", "Uniform", "K710", "Human-centered Crop"),
        ("Val",),
        (
            Row(("✓", "", "", ""), "table4_row01_random", {"Val": 69.51}),
            Row(("", "✓", "", ""), "table4_row02_uniform", {"Val": 70.02}),
            Row(("", "✓", "✓", ""), "table4_row03_k710", {"Val": 71.20}),
            Row(("", "✓", "✓", "✓"), TIMESFORMER, {"Val": 72.32}),
        ),
    ),
    Table(
        "section42",
        "Section 4.2: F1 and ArcFace loss",
        ("Baseline", "F1", "ArcFace"),
        ("Val",),
        (
            Row(("✓", "", ""), "table4_row01_random", {"Val": 69.51}),
            Row(("✓", "✓", ""), "section42_f1", {"Val": 70.09}),
            Row(("✓", "", "✓"), "section42_arcface", {"Val": 69.89}),
        ),
    ),
    Table(
        "table5",
        "Table 5: auxiliary heads",
        ("MAE Head", "Frame-level", "Coarse-grained"),
        ("Val", "Test", "Test*"),
        (
            Row(
                ("TimeSformer", "", ""), TIMESFORMER, {"Val": 72.32, "Test": 70.80, "Test*": 71.94}
            ),
            Row(
                ("TimeSformer", "✓", ""),
                "table5_row02_timesformer_frame",
                {"Val": 72.28, "Test": 71.11},
            ),
            Row(("I3D", "✓", ""), FRAME, {"Val": 72.33, "Test": 71.14, "Test*": 72.81}),
            # The heads of I3D and of TSN are one function.
            Row(("I3D", "✓", "✓"), EVERYTHING, {"Val": 72.58, "Test": 70.98, "Test*": 73.07}),
            Row(("TSN", "✓", "✓"), EVERYTHING, {"Val": 72.70, "Test": 71.18, "Test*": 73.13}),
        ),
    ),
    Table(
        "table6",
        "Table 6: optical flow",
        ("Modality",),
        ("Val", "Test*"),
        (
            Row(("Optical Flow only",), "table6_row01_flow", {"Val": 67.61}),
            Row(("RGB only",), FRAME, {"Val": 72.33, "Test*": 72.81}),
            Row(("Optical Flow + RGB",), SEPARATE, {"Test*": 72.17}),
        ),
    ),
)
# Of all fourteen, in the order of Table 2 (4.1); and what the paper states of them together.
ENSEMBLE = "ensemble"
ENSEMBLE_PRINTED = 75.37
