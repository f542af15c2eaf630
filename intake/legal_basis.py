"""The legal basis that a person names for writing to leads."""

import messages
from intake.leads import date_of
from mail.message import refuse_control_characters
from messages import Message, Said, gettext_noop
from models.people.leads import LONGEST_BASIS, LegalBasis


class BasisInvalid(Exception):
    """The legal basis cannot be recorded as given. field: basis, source or date."""

    def __init__(self, field: str, said: Said) -> None:
        super().__init__(said)
        self.field = field


def checked(basis: str | None, source: str | None, date: str | None) -> LegalBasis | None:
    """Check a legal basis. None: none was given. Raises BasisInvalid, and LetterInvalid for control characters."""
    for field, text in (("basis", basis), ("source", source)):
        refuse_control_characters(field, text or "")
        if text is not None and not 0 < len(text.strip()) <= LONGEST_BASIS:
            template = gettext_noop("must have from 1 to %(most)d characters")
            raise BasisInvalid(field, Message(template, most=LONGEST_BASIS))
    if basis is None:
        if source is not None or date is not None:
            raise BasisInvalid("basis", Message(gettext_noop("is missing, and a source or a date is given")))
        return None
    try:
        on = None if date is None else date_of(date)
    except ValueError as error:
        raise BasisInvalid("date", messages.of(error)) from None
    return LegalBasis(basis.strip(), source and source.strip(), on)
