"""`rally verify` (contract R3)."""

from __future__ import annotations

from typing import Any

from rally.cli.command import verb
from rally.cli.plan import Answered, Session, Work
from rally.cli.text.ledger import show_verify
from rally.model.errors import Failure


@verb(
    "verify", example="rally verify --json", exits={0: "whole", 1: "damaged, or unreadable", 2: ""}
)
def verify() -> Work:
    """Prove that the history is whole.

    Every fact is hashed again, every link followed and every column compared; nothing that was
    found before is believed. Nothing is written.
    """
    return Work(_verify, show_verify)


async def _verify(session: Session) -> Answered:
    from rally.facilitation.ledger.damage import add_way_out, set_aside_command, still_whole
    from rally.facilitation.ledger.folder import check_room_folder, file_identity
    from rally.facilitation.ledger.verify import verify as examine
    from rally.facilitation.places import LEDGER_FILE, ROOM_FOLDER, find_place

    call = session.call
    place = find_place(call.cwd, session.room or call.env.get("RALLY_ROOM") or None)
    path = f"{place.root}/{ROOM_FOLDER}/{LEDGER_FILE}"
    if file_identity(path) is None:
        try:
            check_room_folder(place.root)
        except Failure as failure:
            await add_way_out(failure)
            raise
        empty: dict[str, Any] = {
            "ok": True, "facts": 0, "head": 0, "hash": "0" * 64, "whole_until": 0,
            "first_problem": None, "file": path,
        }  # fmt: skip
        warning = {"code": "no-room", "message": f"there is no ledger in {place.root}"}
        return empty, [warning]
    report = await examine(path)
    data = report.as_json()
    if not report.ok:
        problem = data["first_problem"]
        where = f"fact {problem['seq']}: " if problem["seq"] is not None else ""
        raise Failure(
            "corrupt-ledger",
            f"{path} is damaged: {where}{problem['what']}; {still_whole(report.whole_until)}",
            hint=set_aside_command(path),
            details={**data, "whole_to_seq": report.whole_until},
        )
    return data, []
