"""The commands of ``lzn``: parse arguments, call `lzn.cli.implementation`, print. Torch is imported on first use."""

import functools
from importlib.metadata import entry_points
from typing import Annotated

import typer

from lzn.cli import options
from lzn.cli.catalogue import Catalogue
from lzn.cli.options import Conversion
from lzn.cli.run_list import runs_as_json, runs_as_text
from lzn.cli.terminal import print_result, stdout_to_stderr
from lzn.inference.abilities import Ability
from lzn.inference.errors import UserError

COMMANDS_GROUP = "lzn.commands"

app = typer.Typer(
    name="lzn",
    help="Use trained models of the Latent Zoning Network.\n\n"
    "Start with `lzn runs`: it lists the trained runs, what each can do, and its numbers. Then, for example, "
    "`lzn sample joint --class 3 --out threes.png`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


@functools.cache
def add_commands_of_other_packages() -> None:
    """Add to `app` the functions of the entry-point group ``lzn.commands``, once a process.

    The functions of this project are in packages of its checkout, which the wheel does not contain.
    """
    for entry_point in sorted(entry_points(group=COMMANDS_GROUP), key=lambda found: found.name):
        try:
            app.command(entry_point.name)(entry_point.load())
        except ModuleNotFoundError as error:
            _add_command_that_is_missing(entry_point.name, package=str(error.name))


def _add_command_that_is_missing(name: str, *, package: str) -> None:
    """Add a command that takes any arguments and says why it does not work."""

    def command() -> None:
        """A command of the pipeline: it needs a checkout of the project."""
        raise UserError(
            f"lzn {name} is a command of the pipeline, which is run from a checkout of the project. There, `make` "
            f"installs what it needs. Here, the package {package} is missing"
        )

    any_arguments = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command(name, context_settings=any_arguments)(command)


@app.command()
def runs(
    size: options.Size = options.DEFAULT_SIZE,
    project: options.Project = None,
    all_numbers: Annotated[
        bool, typer.Option("--all", help="Show all numbers, including control experiments.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """List the trained runs: study, seeds, abilities and numbers (mean ± standard deviation over seeds).

    Example: `lzn runs --size digits`
    """
    entries = Catalogue.find(project, size=size).entries()
    print_result(runs_as_text(entries, all_numbers=all_numbers), runs_as_json(entries), as_json=as_json)


@app.command()
def sample(
    run: options.RunName,
    out: options.Out,
    num: Annotated[int, typer.Option("--num", "-n", min=1, max=100_000, help="Number of images.")] = 64,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            help="Class of the images, by name or index; repeat the option for several classes in rotation. "
            "`lzn runs` lists the classes.",
            show_default=False,
        ),
    ] = None,
    steps: options.Steps = 50,
    rk45: options.Tolerance = None,
    max_seconds: options.MaxSeconds = 3600,
    seed: options.Seed = 0,
    size: options.Size = options.DEFAULT_SIZE,
    project: options.Project = None,
    device: options.Device = "auto",
    force: options.Force = False,
    as_json: options.AsJson = False,
) -> None:
    """Sample images.

    The suffix of --out chooses the format: .png is one grid, .npy an array (n, channels, height, width) of uint8, and a
    name without suffix is a folder with one PNG file for each image.

    Example: `lzn sample joint --num 64 --class 3 --steps 20 --out threes.png`
    """
    chosen = Catalogue.find(project, size=size).choose(run, Ability.SAMPLE, device=device)
    with stdout_to_stderr():
        from lzn.cli import implementation

        result = implementation.sample(
            chosen,
            out=out,
            force=force,
            num_images=num,
            classes=tuple(classes or ()),
            seed=seed,
            ode=options.Ode(steps, rk45, max_seconds),
        )
    print_result(result.text, result.payload, as_json=as_json)


@app.command()
def classify(
    run: options.RunName,
    images: options.ImageFiles,
    fit: options.Fit = None,
    bit_depth: options.BitDepth = None,
    first_frame: options.FirstFrame = False,
    size: options.Size = options.DEFAULT_SIZE,
    project: options.Project = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Classify images.

    The number beside a class is the fraction of the image's zone in the latent space that lies in the zone of the
    class. Each image is classified alone: the other images do not change its result.

    Example: `lzn classify joint digit.png --json`
    """
    chosen = Catalogue.find(project, size=size).choose(run, Ability.CLASSIFY, device=device)
    with stdout_to_stderr():
        from lzn.cli import implementation

        result = implementation.classify(chosen, images, conversion=Conversion(fit, bit_depth, first_frame))
    print_result(result.text, result.payload, as_json=as_json)


@app.command()
def embed(
    run: options.RunName,
    images: options.ImageFiles,
    out: options.Out,
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            help="Kind of representation. Representation runs: without_head (the default; the paper's main result), "
            "with_head, with_latent, with_latent_alpha_0. Other runs: anchor, latent, latent_alpha_0 (the default; "
            "the centre of the image's zone).",
            show_default=False,
        ),
    ] = None,
    fit: options.Fit = None,
    bit_depth: options.BitDepth = None,
    first_frame: options.FirstFrame = False,
    seed: options.Seed = 0,
    size: options.Size = options.DEFAULT_SIZE,
    project: options.Project = None,
    device: options.Device = "auto",
    force: options.Force = False,
    as_json: options.AsJson = False,
) -> None:
    """Compute representations of images.

    --out x.npy writes one kind as an array (n, d) of float32, one row for each image in the given order; --out x.npz
    writes all kinds by name.

    Example: `lzn embed representation digits/*.png --out digits.npy`
    """
    chosen = Catalogue.find(project, size=size).choose(run, Ability.EMBED, device=device)
    with stdout_to_stderr():
        from lzn.cli import implementation

        result = implementation.embed(
            chosen,
            images,
            out=out,
            force=force,
            kind=kind,
            conversion=Conversion(fit, bit_depth, first_frame),
            seed=seed,
        )
    print_result(result.text, result.payload, as_json=as_json)


@app.command()
def reconstruct(
    run: options.RunName,
    images: options.ImageFiles,
    out: options.OptionalOut = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--class",
            help="Class of all images, by name or index, for class-conditional runs; joint runs predict it by default.",
            show_default=False,
        ),
    ] = None,
    fit: options.Fit = None,
    bit_depth: options.BitDepth = None,
    first_frame: options.FirstFrame = False,
    steps: options.Steps = 50,
    rk45: options.Tolerance = None,
    max_seconds: options.MaxSeconds = 3600,
    seed: options.Seed = 0,
    size: options.Size = options.DEFAULT_SIZE,
    project: options.Project = None,
    device: options.Device = "auto",
    force: options.Force = False,
    as_json: options.AsJson = False,
) -> None:
    """Reconstruct images: solve the image ODE to noise and back, and print the L2 distances (pixels in [-1, 1]).

    --out x.png writes each image with its reconstruction below it; --out x.npy writes only the reconstructions.

    Example: `lzn reconstruct joint digit.png --out pair.png`
    """
    chosen = Catalogue.find(project, size=size).choose(run, Ability.RECONSTRUCT, device=device)
    with stdout_to_stderr():
        from lzn.cli import implementation

        result = implementation.reconstruct(
            chosen,
            images,
            out=out,
            force=force,
            conversion=Conversion(fit, bit_depth, first_frame),
            label=label,
            seed=seed,
            ode=options.Ode(steps, rk45, max_seconds),
        )
    print_result(result.text, result.payload, as_json=as_json)
