"""``fleet blackbox``: what a vehicle did in the minute before something went wrong, and whether it decides so again."""

from __future__ import annotations

from pathlib import Path

import click

_FILE = click.Path(exists=False, dir_okay=False, path_type=Path)


@click.command("blackbox")
@click.argument("file", type=_FILE)
@click.option("--vehicle", metavar="NAME", help="Vehicle file, where it is not the one named in the box.")
@click.option("--actions", "show", is_flag=True, help="Every change of what was done, not only the last ten.")
def command(file: Path, vehicle: str | None, show: bool) -> int:
    """Replay a black box FILE: the same observations must give the same decisions, bit for bit.

    Black boxes lie in a vehicle's state folder (black-box/), one per trigger. Exit status 3: something was
    decided otherwise than recorded, so that software or vehicle file are not those of the drive.

    \b
    Examples:
      fleet blackbox state/v1/black-box/001764390000000-estop.jsonl
      fleet blackbox stop.jsonl --vehicle my_car.yaml --actions
    """
    from fleet.errors import ConfigError, HardwareError
    from hardware.replay import header_of, replay
    from hardware.vehicle import digest, load_vehicle

    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    try:
        header = header_of(data)
        named = vehicle or str(header.get("vehicle", ""))
        if not named:
            raise ConfigError(f"{file}: names no vehicle file; give one with --vehicle")
        car = load_vehicle(named)
        found = replay(data, car)
    except HardwareError as error:
        raise ConfigError(f"{file}: {error}") from error
    click.echo(f"vehicle {header.get('vehicle_id', '?')} ({named}), written for: {header.get('reason')}")
    recorded = header.get("config_digest")
    if recorded and recorded != digest(car):
        click.echo(f"the vehicle file is not that of the drive: {digest(car)}, recorded {recorded}")
    shown = found.actions if show else found.actions[-10:]
    for at_s, action, causes in shown:
        click.echo(f"  {at_s:12.3f} s  {action:12}  {', '.join(causes)}")
    others = ", ".join(f"{count} {kind}" for kind, count in found.others.items())
    click.echo(f"decided again: {found.ticks} ticks, {found.gate_calls} calls of the gate; beside them: {others}")
    for text in found.differences[:10]:
        click.echo(f"DIFFERS {text}")
    click.echo("decided the same, bit for bit" if not found.differences else f"{len(found.differences)} differences")
    return 3 if found.differences else 0
