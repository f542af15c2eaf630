"""The Message-ID of an e-mail, derived from its campaign, step and lead, so that a preview shows the same one."""


def of(step: str) -> str:
    """SQL for rows `c` of campaign, `cl` of campaign_lead and `m` of its first mailbox. step: SQL of the step's id.

    The installation's id is part of it, so that nobody can guess it; and times and addresses instead of ids, which a
    restored backup gives to others.
    """
    names = f"extract(epoch FROM c.created_at), cl.address, {step}"
    digest = f"sha256(convert_to(concat_ws('/', (SELECT id FROM installation), {names}), 'UTF8'))"  # noqa: S608
    return f"'<' || encode(substring({digest} FOR 16), 'hex')::uuid || '@' || split_part(m.address, '@', 2) || '>'"
