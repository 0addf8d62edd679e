"""Commands on bundles: keys, sign, verify."""

from pathlib import Path

import click

from mmdiag.cli.boundary import DONE, FAILED
from mmdiag.cli.context import Context, with_context

KEY = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(short_help="Sign bundles, and verify who signed one.")
def bundle() -> None:
    """Sign a bundle and verify who signed it (Ed25519).

    The hashes in a bundle say that it is whole; a signature says who made it.

    \b
    Examples:
      mmdiag bundle keys --out ~/keys
      mmdiag bundle sign b-3f9c1d20a1b2 --key ~/keys/private.pem
      mmdiag bundle verify b-3f9c1d20a1b2 --key ~/keys/public.pem
      mmdiag score --bundle b-3f9c1d20a1b2 --trust ~/keys/public.pem --cohort c.toml --out p.parquet
    """


@bundle.command(short_help="Make a pair of keys.")
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for private.pem and public.pem.",
)
@with_context
def keys(context: Context, out: Path) -> int:
    """Make a pair of Ed25519 keys: private.pem signs and stays with you, public.pem verifies and is
    given to whoever scores.

    \b
    Example:
      mmdiag bundle keys --out ~/keys
    """
    from mmdiag.inference.signature import make_keys

    private, public = make_keys(out.expanduser())
    answer = context.answer("bundle keys", private=str(private), public=str(public))
    context.emit(
        answer,
        lambda done: click.echo(f"private key: {done['private']}\npublic key: {done['public']}"),
    )
    return DONE


@bundle.command(short_help="Sign a bundle.")
@click.argument("which", metavar="BUNDLE")
@click.option("--key", required=True, type=KEY, metavar="PRIVATE", help="The private key, as PEM.")
@with_context
def sign(context: Context, which: str, key: Path) -> int:
    """Write a signature of BUNDLE, an id of the workspace or a folder, beside its manifest.

    \b
    Example:
      mmdiag bundle sign b-3f9c1d20a1b2 --key ~/keys/private.pem
    """
    from mmdiag import api
    from mmdiag.inference import signature
    from mmdiag.roles import require_operator

    folder = api.bundle_folder(context.workspace, which)
    if context.workspace.path in folder.parents:
        require_operator(context.workspace.path)
    written = signature.sign(folder, key)
    answer = context.answer("bundle sign", signature=str(written))
    context.emit(answer, lambda done: click.echo(f"signed: {done['signature']}"))
    return DONE


@bundle.command(short_help="Verify who signed a bundle.")
@click.argument("which", metavar="BUNDLE")
@click.option("--key", required=True, type=KEY, metavar="PUBLIC", help="The public key, as PEM.")
@with_context
def verify(context: Context, which: str, key: Path) -> int:
    """Check the files of BUNDLE, an id of the workspace or a folder, and that PUBLIC's pair signed
    it; exit 1 where that does not hold.

    \b
    Example:
      mmdiag bundle verify b-3f9c1d20a1b2 --key ~/keys/public.pem
    """
    from mmdiag import api
    from mmdiag.errors import BundleError
    from mmdiag.inference import signature

    folder = api.bundle_folder(context.workspace, which)
    try:
        facts = {"ok": True, "id": signature.verify(folder, key), "because": ""}
    except BundleError as error:
        facts = {"ok": False, "id": None, "because": str(error)}
    answer = context.answer("bundle verify", **facts)
    context.emit(
        answer, lambda done: click.echo(f"{done['id']} holds" if done["ok"] else done["because"])
    )
    return DONE if facts["ok"] else FAILED
