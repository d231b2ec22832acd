"""All tables of a size."""

from collections.abc import Mapping

from stages.reporting.results import Results
from stages.reporting.tables.classification import classification_table
from stages.reporting.tables.figure_numbers import figure_tables
from stages.reporting.tables.gap import gap_table
from stages.reporting.tables.image_metrics import image_tables, joint_table
from stages.reporting.tables.probes import linear_probe_table, other_architectures_table, tsne_table
from stages.reporting.tables.table import Table
from stages.reporting.tables.tables_params import TablesParams
from stages.reporting.tables.training import training_table
from stages.reporting.tables.zone_stability import zone_stability_table


def fill_tables(
    params: TablesParams, families: Mapping[str, Mapping[str, str]], results: Results
) -> list[Table]:
    """Return tables 1 to 8, then those of figures, reviews and training.

    Tables for which params.yaml names no run are left out, and tables of figures as long as no run is measured: the
    paper prints no numbers of these figures.
    """
    tables = list(image_tables(params, results))
    if params.classification:
        tables.append(classification_table(params.classification, results))
    if params.linear_probe:
        tables.append(linear_probe_table(params.linear_probe, results))
        tables.append(other_architectures_table(params.linear_probe, results))
    tables.sort(key=lambda table: table.name)
    if any(params.gaps()):
        tables.append(gap_table(params, results))
    joint = joint_table(params, results)
    tables += [joint] if joint is not None else []
    tables += figure_tables(params, results)
    if params.linear_probe:
        tables.append(tsne_table(params.linear_probe, results))
    if encoding := list(families.get("encoding", {})):
        tables.append(zone_stability_table(encoding, results))
    runs = sorted({run for family in families.values() for run in family})
    tables.append(training_table(runs, results))
    return tables
