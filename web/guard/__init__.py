"""Who may see the pages and send orders, and from where."""
