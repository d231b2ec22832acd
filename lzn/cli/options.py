"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from lzn.inference.fitting import Fitting

DEFAULT_SIZE = "digits"


class Conversion(NamedTuple):
    """How given images are converted to the model's input: the options --fit, --bit-depth and --first-frame."""

    fitting: Fitting | None = None
    bit_depth: int | None = None
    first_frame: bool = False


class Ode(NamedTuple):
    """How the image ODE is solved: the options --steps, --rk45 and --max-seconds."""

    steps: int
    tolerance: float | None
    max_seconds: float


RunName = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A trained run: its name (joint), its name and seed (joint:1), or the path to a seed's folder. "
        "`lzn runs` lists them.",
        show_default=False,
    ),
]
ImageFiles = Annotated[
    list[Path],
    typer.Argument(
        metavar="IMAGES...",
        help="Image files: PNG, JPEG, WebP, TIFF, BMP, GIF or PPM.",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="PATH", help="Output path.", show_default=False)]
OptionalOut = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="PATH", help="Output path; without it, nothing is written.", show_default=False
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite existing files.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON on stdout, errors as JSON on stderr.")
]
Size = Annotated[str, typer.Option("--size", help="The size of the runs, such as digits, fashion or paper.")]
Project = Annotated[
    Path | None,
    typer.Option(
        "--project",
        metavar="FOLDER",
        help="The project's folder; by default the current folder or the nearest parent with a folder outputs.",
        show_default=False,
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto (a GPU if there is one), cpu, cuda or cuda:1.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Random seed: the same seed gives the same result.")]
Steps = Annotated[
    int,
    typer.Option(
        "--steps",
        min=1,
        max=10_000,
        help="Euler steps of the image ODE: more steps are slower and more accurate.",
    ),
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        "--rk45",
        metavar="TOLERANCE",
        help="Solve the image ODE by adaptive RK45 with this tolerance instead (1e-5 in the paper).",
        show_default=False,
    ),
]
MaxSeconds = Annotated[
    float,
    typer.Option(
        "--max-seconds",
        min=0.0,
        help="Longest time of the image ODE. Work that clearly needs longer is refused within seconds.",
    ),
]
BitDepth = Annotated[
    int | None,
    typer.Option(
        "--bit-depth",
        min=1,
        max=16,
        help="With --fit: used bits of grey images with 16 bits, such as 12. Without it, images that seem to use fewer "
        "than 16 are refused.",
        show_default=False,
    ),
]
FirstFrame = Annotated[
    bool,
    typer.Option(
        "--first-frame",
        help="Read the first frame of animations and the first page of files with several pages.",
    ),
]
Fit = Annotated[
    Fitting | None,
    typer.Option(
        "--fit",
        help="Convert images to the model's format. crop: resize the largest centred square. pad: shrink, and centre "
        "on black. Without this option, images in another format are refused.",
        show_default=False,
    ),
]
