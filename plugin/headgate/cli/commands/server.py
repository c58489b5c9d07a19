"""``headgate server``: the store over HTTP, for MLflow clients on other machines."""

from __future__ import annotations

import click

from headgate.cli.options import json_option, store_options
from headgate.cli.output import print_document, print_note


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=5000, show_default=True, help="Port; 0 takes a free one."
)
@store_options
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
@click.option("--auth", is_flag=True, help="Demand a token of every client (see: headgate tokens).")
@click.option("--allow-anonymous", is_flag=True, help="Serve other machines without tokens.")
@click.option("--allowed-host", "allowed_hosts", multiple=True, metavar="NAME", help="A further name of this server.")
@click.option(
    "--allowed-origin", "allowed_origins", multiple=True, metavar="URL", help="A web page's origin that may write."
)
@click.option("--ssl-certfile", type=click.Path(dir_okay=False), help="PEM file of the certificate chain.")
@click.option("--ssl-keyfile", type=click.Path(dir_okay=False), help="PEM file of the certificate's key.")
@json_option
def server(
    host: str,
    port: int,
    store_url: str | None,
    artifact_root: str | None,
    workers: int,
    auth: bool,
    allow_anonymous: bool,
    allowed_hosts: tuple[str, ...],
    allowed_origins: tuple[str, ...],
    ssl_certfile: str | None,
    ssl_keyfile: str | None,
    as_json: bool,
) -> None:
    """Serve the store over HTTP to MLflow's clients.

    Set MLFLOW_TRACKING_URI to the URL that is printed, and scripts that use mlflow log here. Ctrl-C and SIGTERM let the
    server finish what it accepted.
    """
    from headgate.server.options import ServerOptions
    from headgate.server.serve import serve

    options = ServerOptions(
        host=host,
        port=port,
        store_url=store_url,
        artifact_root=artifact_root,
        workers=workers,
        auth=auth,
        allow_anonymous=allow_anonymous,
        allowed_hosts=allowed_hosts,
        allowed_origins=allowed_origins,
        ssl_certfile=ssl_certfile,
        ssl_keyfile=ssl_keyfile,
    )
    serve(options, on_listening=_say_as_json if as_json else _say)


def _say(url: str) -> None:
    print_note(f"Headgate listens on {url}")


def _say_as_json(url: str) -> None:
    print_document({"url": url})
