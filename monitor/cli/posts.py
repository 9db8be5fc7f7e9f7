"""posts: what was read, and what each edit changed."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from monitor.cli.root import AsJson, OfAgency, bad, listing, moment, posts_app, registered_agency
from monitor.cli.terminal import SHOWN_ROWS, iso, print_facts, print_rows
from monitor.store.listings import PostLine, list_posts
from monitor.store.versions import SeenPost, seen_posts
from monitor.versions import shown


@posts_app.command("list")
def posts_list(
    as_json: AsJson = False,
    agency: OfAgency = "",
    platform: Annotated[str, typer.Option(help="Only this platform.")] = "",
    account: Annotated[str, typer.Option(help="Only this handle.")] = "",
    since: Annotated[str, typer.Option(help="Only posts from this time on, such as 2026-11-01.")] = "",
) -> None:
    """List the stored posts, newest first."""
    begin = moment(since)
    with listing() as db:
        limit = None if as_json else SHOWN_ROWS + 1
        code = registered_agency(db, agency)
        found = list_posts(db, agency=code, platform=platform, handle=account, since=begin, limit=limit) if db else []
    columns = ("platform", "account", "native_id", "published_at", "versions", "deleted", "text")
    print_rows([_post_row(one) for one in found], as_json, columns)


@posts_app.command("show")
def posts_show(native_id: Annotated[str, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """Show a stored post: its text, what each edit changed, and whether it is still there."""
    with listing() as db:
        found = seen_posts(db, native_id=native_id) if db is not None else []
    if not found:
        raise bad(f"'{native_id}': no stored post has this id; `pantau posts list` shows them as native_id")
    rows = [_seen_row(one) for one in found]
    if as_json:
        print_rows(rows, True, ())
        return
    for row in rows:
        print_facts(row, but={"versions"})
        print_rows(row["versions"], False, ("number", "seen_at", "edited_at", "text", "changed"))


def _seen_row(one: SeenPost) -> dict[str, Any]:
    texts = ["", *(version.text for version in one.versions)]
    return {
        "platform": one.platform,
        "account": one.account,
        "native_id": one.native_id,
        "url": one.url,
        "published_at": one.published_at.isoformat(),
        "standing": one.standing,
        "since": iso(one.since),
        "versions": [
            {
                "number": version.number,
                "seen_at": version.seen_at.isoformat(),
                "edited_at": iso(version.edited_at),
                "text": version.text,
                "changed": "" if before == "" or version.purged else shown(before, version.text),
            }
            for before, version in zip(texts, one.versions, strict=False)
        ],
    }


def _post_row(one: PostLine) -> dict[str, Any]:
    return {
        "platform": one.platform,
        "account": one.account,
        "native_id": one.native_id,
        "url": one.url,
        "published_at": one.published_at.isoformat(),
        "text": one.text,
        "versions": one.versions,
        "deleted": one.deleted,
    }
