"""The pages on which owners do what the commands do: campaigns from letter to start, mailboxes, suppressions."""

from web.owners import campaigns, leads, mailboxes, suppressions

BLUEPRINTS = (campaigns.blueprint, leads.blueprint, mailboxes.blueprint, suppressions.blueprint)
