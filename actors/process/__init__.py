"""How a process of Punktual is put together, started and watched."""
