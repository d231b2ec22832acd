"""The commands of ``lzn``. They parse, call, and show; what needs torch is imported when it is used."""

from importlib.metadata import entry_points
from typing import Annotated

import typer

from lzn.cli import options
from lzn.cli.catalogue import Catalogue
from lzn.cli.show import quiet_stdout, runs_as_json, runs_as_text, say
from lzn.inference.abilities import Ability

COMMANDS_GROUP = "lzn.commands"

app = typer.Typer(
    name="lzn",
    help="Use trained models of the Latent Zoning Network.\n\n"
    "Begin with `lzn runs`: which runs are trained, what each can do, how well. Then for example "
    "`lzn sample joint --class 3 --out threes.png`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def add_commands_of_other_packages() -> None:
    """Add the commands that installed packages register under the entry-point group ``lzn.commands``."""
    known = {
        command.name or command.callback.__name__ for command in app.registered_commands if command.callback
    }
    for entry_point in sorted(entry_points(group=COMMANDS_GROUP), key=lambda found: found.name):
        if entry_point.name not in known:
            app.command(entry_point.name)(entry_point.load())


@app.command()
def runs(
    size: options.Size = options.DEFAULT_SIZE,
    project: options.Project = None,
    all_numbers: Annotated[
        bool, typer.Option("--all", help="Show every number, those of controls too.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """List the trained runs: study, seeds, what each can do, and its numbers (mean ± deviation over seeds).

    Example: `lzn runs --size digits`
    """
    entries = Catalogue.find(project, size=size).entries()
    say(runs_as_text(entries, all_numbers=all_numbers), runs_as_json(entries), as_json=as_json)


@app.command()
def sample(
    run: options.RunName,
    out: options.Out,
    num: Annotated[int, typer.Option("--num", "-n", min=1, max=100_000, help="How many images.")] = 64,
    classes: Annotated[
        list[int] | None,
        typer.Option("--class", help="Of which class; repeat it for several in turn.", show_default=False),
    ] = None,
    steps: options.Steps = 50,
    rk45: options.Tolerance = None,
    seed: options.Seed = 0,
    size: options.Size = options.DEFAULT_SIZE,
    project: options.Project = None,
    device: options.Device = "auto",
    force: options.Force = False,
    as_json: options.AsJson = False,
) -> None:
    """Draw images.

    The ending of --out decides the form: .png is one grid, .npy an array (n, channels, height, width) of uint8, and a
    name without ending a folder with a PNG file for each image.

    Example: `lzn sample joint --num 64 --class 3 --steps 20 --out threes.png`
    """
    chosen = Catalogue.find(project, size=size).choose(run, Ability.SAMPLE, device=device)
    with quiet_stdout():
        from lzn.cli.work import sample as run_sample

        answer = run_sample(
            chosen,
            out=out,
            force=force,
            num_images=num,
            classes=tuple(classes or ()),
            seed=seed,
            steps=steps,
            tolerance=rk45,
        )
    say(answer.text, answer.payload, as_json=as_json)


@app.command()
def classify(
    run: options.RunName,
    images: options.ImageFiles,
    fit: options.Fit = None,
    size: options.Size = options.DEFAULT_SIZE,
    project: options.Project = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Say which class each image belongs to.

    The number beside a class is how much of the image's zone in the latent space lies in the zone of the class. Each
    image is answered by itself: what else is asked together changes nothing.

    Example: `lzn classify joint digit.png --json`
    """
    chosen = Catalogue.find(project, size=size).choose(run, Ability.CLASSIFY, device=device)
    with quiet_stdout():
        from lzn.cli.work import classify as run_classify

        answer = run_classify(chosen, images, fitting=fit)
    say(answer.text, answer.payload, as_json=as_json)


@app.command()
def embed(
    run: options.RunName,
    images: options.ImageFiles,
    out: options.Out,
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            help="Which representation. Of representation runs: without_head (what the paper measures; the default), "
            "with_head, with_latent, with_latent_alpha_0. Of others: anchor, latent, latent_alpha_0 (the centre of the "
            "image's zone; the default).",
            show_default=False,
        ),
    ] = None,
    fit: options.Fit = None,
    seed: options.Seed = 0,
    size: options.Size = options.DEFAULT_SIZE,
    project: options.Project = None,
    device: options.Device = "auto",
    force: options.Force = False,
    as_json: options.AsJson = False,
) -> None:
    """Turn images into vectors.

    With --out x.npy one array (n, d) of float32, a row for each image in the order given; with --out x.npz all
    representations of the run, by name.

    Example: `lzn embed representation digits/*.png --out digits.npy`
    """
    chosen = Catalogue.find(project, size=size).choose(run, Ability.EMBED, device=device)
    with quiet_stdout():
        from lzn.cli.work import embed as run_embed

        answer = run_embed(chosen, images, out=out, force=force, kind=kind, fitting=fit, seed=seed)
    say(answer.text, answer.payload, as_json=as_json)


@app.command()
def reconstruct(
    run: options.RunName,
    images: options.ImageFiles,
    out: options.OptionalOut = None,
    label: Annotated[
        int | None,
        typer.Option(
            "--class",
            help="The class of all images, for runs that draw by class; joint runs find it themselves.",
            show_default=False,
        ),
    ] = None,
    fit: options.Fit = None,
    steps: options.Steps = 50,
    rk45: options.Tolerance = None,
    seed: options.Seed = 0,
    size: options.Size = options.DEFAULT_SIZE,
    project: options.Project = None,
    device: options.Device = "auto",
    force: options.Force = False,
    as_json: options.AsJson = False,
) -> None:
    """Send images through the flow to noise and back, and say how far each has moved (L2, pixels in [-1, 1]).

    With --out x.png also pairs, each image and below it its reconstruction; with --out x.npy the reconstructions alone.

    Example: `lzn reconstruct joint digit.png --out pair.png`
    """
    chosen = Catalogue.find(project, size=size).choose(run, Ability.RECONSTRUCT, device=device)
    with quiet_stdout():
        from lzn.cli.work import reconstruct as run_reconstruct

        answer = run_reconstruct(
            chosen,
            images,
            out=out,
            force=force,
            fitting=fit,
            label=label,
            seed=seed,
            steps=steps,
            tolerance=rk45,
        )
    say(answer.text, answer.payload, as_json=as_json)
