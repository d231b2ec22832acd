"""Arguments and options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from lzn.inference.fitting import Fitting

DEFAULT_SIZE = "digits"

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
Out = Annotated[Path, typer.Option("--out", "-o", metavar="PATH", help="Where to write.", show_default=False)]
OptionalOut = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="PATH", help="Where to write; without, nothing is written.", show_default=False
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON on stdout, errors in JSON on stderr.")]
Size = Annotated[str, typer.Option("--size", help="The size whose runs are meant: digits, fashion, paper.")]
Project = Annotated[
    Path | None,
    typer.Option(
        "--project",
        metavar="FOLDER",
        help="The project; without, the nearest folder from here upwards that has outputs.",
        show_default=False,
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto (a GPU if there is one), cpu, cuda or cuda:1.")]
Seed = Annotated[
    int, typer.Option("--seed", min=0, help="Of what is drawn: the same seed gives the same result.")
]
Steps = Annotated[
    int,
    typer.Option(
        "--steps", min=1, max=10_000, help="Euler steps of the image ODE; more is slower and better."
    ),
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        "--rk45",
        metavar="TOLERANCE",
        help="Solve the image ODE adaptively to this tolerance instead (the paper's: 1e-5).",
        show_default=False,
    ),
]
Fit = Annotated[
    Fitting | None,
    typer.Option(
        "--fit",
        help="Convert images that are not as the model wants them. crop: the largest centred square, resized. "
        "pad: shrunk, centred on black. Without it they are refused.",
        show_default=False,
    ),
]
