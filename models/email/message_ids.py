"""The Message-ID of an e-mail, derived from its campaign, step and lead, so that a preview shows the same one."""


def of(step: str) -> str:
    """SQL for rows `c` of campaign, `cl` of campaign_lead and `m` of its first mailbox. step: SQL of the step's id.

    The installation's id is part of it, so that nobody can guess it; and a time and an address instead of ids, which a
    restored backup gives to others.
    """
    names = f"extract(epoch FROM c.created_at), cl.address, {step}"
    digest = f"sha256(convert_to(concat_ws('/', (SELECT id FROM installation), {names}), 'UTF8'))"  # noqa: S608
    return f"'<' || encode(substring({digest} FOR 16), 'hex')::uuid || '@' || split_part(m.address, '@', 2) || '>'"


def of_follow_up(step: str) -> str:
    """The same for a later step. step: the alias of its row.

    Its text is part of it: after a restored backup, a step that is added again may get the id of one that was sent.
    """
    return of(f"{step}.id, md5({step}.text)")
