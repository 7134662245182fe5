"""`rally verify` (contract R3)."""

from __future__ import annotations

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
    from rally.facilitation.ledger.damage import add_way_out, set_aside_command, told
    from rally.facilitation.ledger.folder import check_room_folder, file_identity
    from rally.facilitation.ledger.port import EMPTY_HEAD
    from rally.facilitation.ledger.verify import VerifyReport
    from rally.facilitation.ledger.verify import verify as examine
    from rally.facilitation.places import ledger_file

    place = session.place()
    path = ledger_file(place.root)
    if file_identity(path) is None:
        try:
            check_room_folder(place.root)
        except Failure as failure:
            await add_way_out(failure)
            raise
        warning = {"code": "no-room", "message": f"there is no ledger in {place.root}"}
        return VerifyReport(path, 0, *EMPTY_HEAD, 0, None).as_json(), [warning]
    report = await examine(path)
    data = report.as_json()
    if not report.ok:
        raise Failure(
            "corrupt-ledger",
            told(report),
            hint=set_aside_command(path),
            details={**data, "whole_to_seq": report.whole_until},
        )
    return data, []
